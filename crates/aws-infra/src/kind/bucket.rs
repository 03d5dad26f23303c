//! The bucket: finding it, and making and removing it with everything in it. Its settings are in `bucket/settings.rs`.
//!
//! The names of buckets are everybody's, so a name proves nothing: every call says which account the bucket has to be of,
//! and a bucket without our tags is not ours, whatever it is called. In us-east-1 `CreateBucket` succeeds for a bucket
//! the account already has; so it is asked first.

mod empty;
mod settings;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, ObjectOwnership, Tagging};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use provision::{
    cloud::{Change, CloudError, ErrorKind, Ids, Observed, State, Wanted},
    names,
    resource::{Bucket, Key, Kind, Resource},
};

use crate::{
    call::{Call, Fields, Found, Result, named},
    classify::{gone, present, s3},
    cloud::BucketName,
    tags::{self, TagChanges, Tags, built},
};

/// Looked at at once when nobody knows the name.
const PARALLEL: usize = 16;

/// One of the cluster's buckets.
#[derive(Clone)]
pub(crate) struct Ours {
    pub name: String,
    key: Key,
    tags: Tags,
}

pub(crate) async fn ours(call: Call<'_>) -> Result<Vec<Ours>> {
    let standard = names::bucket(call.cluster);
    let mut candidates = vec![standard.clone()];
    if let BucketName::Given(name) = call.bucket {
        candidates.push(name.clone());
        candidates.dedup();
    }
    let mut found = Vec::new();
    for name in candidates {
        found.extend(look(call, name).await?);
    }
    if found.is_empty() && *call.bucket == BucketName::Unknown {
        let others = region(call).await?.into_iter().filter(|name| *name != standard);
        let looks = stream::iter(others).map(|name| async move {
            match look(call, name).await {
                // Somebody has closed it to us: then it is not what we made.
                Err(CloudError { kind: ErrorKind::Denied { .. }, .. }) => Ok(None),
                result => result,
            }
        });
        let all: Vec<Option<Ours>> = looks.buffer_unordered(PARALLEL).try_collect().await?;
        found.extend(all.into_iter().flatten());
    }
    Ok(found)
}

/// All buckets of the account in this region.
async fn region(call: Call<'_>) -> Result<Vec<String>> {
    let pages = call.clients.s3.list_buckets().bucket_region(&call.cluster.region).into_paginator().send();
    let pages = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(s3)?;
    Ok(pages.into_iter().filter_map(|page| page.buckets).flatten().filter_map(|bucket| bucket.name).collect())
}

async fn look(call: Call<'_>, name: String) -> Result<Option<Ours>> {
    let Some(tags) = tags_of(call, &name, Some(call.cluster.account_id.clone())).await? else { return Ok(None) };
    Ok(tags::owned(call.cluster, &tags).map(|key| Ours { name, key, tags }))
}

/// `None` if there is no such bucket. Without `owner` it may be anybody's.
async fn tags_of(call: Call<'_>, bucket: &str, owner: Option<String>) -> Result<Option<Tags>> {
    let request = call.clients.s3.get_bucket_tagging().bucket(bucket).set_expected_bucket_owner(owner);
    match request.send().await {
        Ok(reply) => Ok(Some(tags::collect(&reply.tag_set, |tag| (Some(tag.key()), Some(tag.value()))))),
        Err(error) if error.code() == Some("NoSuchTagSet") => Ok(Some(Tags::new())),
        Err(error) => present(Err(s3(error))),
    }
}

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    for Ours { name, key, tags } in call.buckets().await?.iter().cloned() {
        let Some(actual) = present(settings::read(call, &name).await)? else { continue };
        let ids = bucket_ids(&name);
        let (kind, state, actual) = (Kind::Bucket, State::Available, Some(Resource::Bucket(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

fn bucket_ids(name: &str) -> Ids {
    // Without its partition nobody could use an ARN; names are what everybody uses.
    named(name, None)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, bucket: &Bucket) -> Result<Ids> {
    call.begun(wanted, make(call, wanted, bucket)).await?;
    // One request each: if a single one of them is throttled, not all are to be made again. They can be repeated.
    let patient = call.clients.patient();
    let call = Call { clients: &patient, ..call };
    set_tags(call, &bucket.name, &wanted.tags).await?;
    settings::write(call, bucket, |_| true).await?;
    Ok(bucket_ids(&bucket.name))
}

async fn make(call: Call<'_>, wanted: &Wanted, bucket: &Bucket) -> Result<String> {
    free(call, bucket).await?;
    let region = call.cluster.region.as_str();
    let place = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
    let configuration = CreateBucketConfiguration::builder().set_location_constraint(place);
    let configuration = configuration.set_tags(Some(tags::s3(&wanted.tags)?)).build();
    let request = call.clients.s3.create_bucket().bucket(&bucket.name).create_bucket_configuration(configuration);
    let ownership = bucket.owner_enforced.then_some(ObjectOwnership::BucketOwnerEnforced);
    request.set_object_ownership(ownership).send().await.map_err(s3)?;
    Ok(bucket.name.clone())
}

/// Fails unless there is no bucket of that name.
async fn free(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    let name = &bucket.name;
    match tags_of(call, name, None).await {
        Ok(None) => Ok(()),
        Ok(Some(tags)) if tags::owned(call.cluster, &tags).is_some() => {
            Err(CloudError::new(ErrorKind::AlreadyExists, format!("the bucket `{name}` exists")))
        }
        Ok(Some(_)) => Err(CloudError::new(
            ErrorKind::Invalid,
            format!("there is a bucket `{name}` that does not belong to the cluster; choose another name"),
        )),
        Err(CloudError { kind: ErrorKind::Denied { .. }, message }) => {
            let message = format!("the bucket `{name}` belongs to another account, or is closed to you ({message})");
            Err(CloudError::new(ErrorKind::Invalid, message))
        }
        Err(error) => Err(error),
    }
}

/// Replaces all tags.
async fn set_tags(call: Call<'_>, bucket: &str, tags: &Tags) -> Result<()> {
    let tagging = built(Tagging::builder().set_tag_set(Some(tags::s3(tags)?)).build())?;
    let request = call.clients.s3.put_bucket_tagging().bucket(bucket).tagging(tagging);
    request.expected_bucket_owner(&call.cluster.account_id).send().await.map(drop).map_err(s3)
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    bucket: &Bucket,
    changes: &[Change],
) -> Result<()> {
    let fields = Fields::of(Kind::Bucket, changes, settings::FIELDS)?;
    settings::write(call, bucket, |field| fields.has(field)).await?;
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if set.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let mut tags = current.tags.clone();
    tags.extend(set);
    tags.retain(|name, _| !remove.contains(name));
    set_tags(call, &bucket.name, &tags).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let name = &what.ids.id;
    gone(empty::all(call, name).await)?;
    let request = call.clients.s3.delete_bucket().bucket(name).expected_bucket_owner(&call.cluster.account_id);
    gone(request.send().await.map(drop).map_err(s3))
}

pub(super) use empty::versions_of;
