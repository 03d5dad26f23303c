//! What nodes need in the bucket before they boot.
//!
//! Objects are found by where they are: everything under `bin/`, `config/` and `private/`, and what lies at the top. What else is in
//! the bucket the running cluster has put there, and goes with the bucket. The digest of an object under `bin/` is in
//! its name, and was checked by S3 when it was written; of one under `config/` it is in the metadata. What is under
//! `private/` nobody but the control nodes may read, and what lies at the top is written once or by the running cluster:
//! of these nobody compares it.

use std::{path::Path, time::Duration};

use aws_sdk_s3::{
    config::{StalledStreamProtectionConfig, timeout::TimeoutConfig},
    primitives::ByteStream,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Key, Kind, Object, Resource},
};
use sha2::{Digest as _, Sha256};

use super::bucket;
use crate::{
    Content,
    call::{Call, Fields, Found, Result, invalid, named},
    classify::{gone, present, s3},
    tags::Tags,
};

const BINARIES: &str = "bin/";
const CONFIGURATION: &str = "config/";
const FOLDERS: [&str; 3] = [BINARIES, CONFIGURATION, "private/"];
/// The reply comes after the last byte; 50 MB at 256 kbit/s take 26 minutes.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// In the metadata, hexadecimal.
const DIGEST: &str = "cortex-sha256";

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    for bucket::Ours { name: bucket, .. } in call.buckets().await?.iter() {
        for object_key in keys(call, bucket).await? {
            let Some(sha256) = present(digest(call, bucket, &object_key).await)? else { continue };
            let key = Key::new(Kind::Object, &[&object_key]);
            let ids = named(&object_key, None);
            let object = Object {
                bucket: bucket.clone(),
                object_key,
                sha256,
                source: String::new(),
                inputs: std::collections::BTreeMap::new(),
            };
            let (kind, state, actual) = (Kind::Object, State::Available, Some(Resource::Object(object)));
            observed.push(Found { key, kind, ids, tags: Tags::new(), state, actual, created_at: None }.into());
        }
    }
    Ok(observed)
}

/// Of everything, as long as that is one page; else of the folders that can be ours.
async fn keys(call: Call<'_>, bucket: &str) -> Result<Vec<String>> {
    let request = call.clients.s3.list_objects_v2().bucket(bucket).expected_bucket_owner(&call.cluster.account_id);
    let Some(page) = present(request.send().await.map_err(s3))? else { return Ok(Vec::new()) };
    if page.is_truncated() != Some(true) {
        let ours = |key: &String| !key.contains('/') || FOLDERS.iter().any(|folder| key.starts_with(folder));
        return Ok(page
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| object.key)
            .filter(ours)
            .collect());
    }
    let mut keys = list(call, bucket, "", Some("/")).await?;
    for folder in FOLDERS {
        keys.extend(list(call, bucket, folder, None).await?);
    }
    Ok(keys)
}

async fn list(call: Call<'_>, bucket: &str, prefix: &str, delimiter: Option<&str>) -> Result<Vec<String>> {
    let request = call.clients.s3.list_objects_v2().bucket(bucket).prefix(prefix);
    let request = request.set_delimiter(delimiter.map(str::to_owned));
    let pages = request.expected_bucket_owner(&call.cluster.account_id).into_paginator().send();
    let pages = present(pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(s3))?.unwrap_or_default();
    Ok(pages.into_iter().flat_map(|page| page.contents.unwrap_or_default()).filter_map(|object| object.key).collect())
}

async fn digest(call: Call<'_>, bucket: &str, key: &str) -> Result<Option<String>> {
    if let Some(rest) = key.strip_prefix(BINARIES) {
        return Ok(rest.split_once('/').map(|(digest, _)| digest.to_owned()));
    }
    if !key.starts_with(CONFIGURATION) {
        return Ok(None);
    }
    let reply = call.clients.s3.head_object().bucket(bucket).key(key).send().await.map_err(s3)?;
    Ok(reply.metadata.and_then(|mut metadata| metadata.remove(DIGEST)))
}

pub(crate) async fn create(call: Call<'_>, _: &Wanted, object: &Object<String>) -> Result<Ids> {
    put(call, object).await?;
    Ok(named(&object.object_key, None))
}

pub(crate) async fn update(
    call: Call<'_>,
    _: &Observed,
    _: &Wanted,
    object: &Object<String>,
    changes: &[Change],
) -> Result<()> {
    let changed = Fields::of(Kind::Object, changes, &["sha256"])?.has("sha256");
    if changed && object.sha256.is_some() { put(call, object).await } else { Ok(()) }
}

/// S3 compares what it gets with the digest sent along. What has no digest of its own is written once.
async fn put(call: Call<'_>, object: &Object<String>) -> Result<()> {
    let content = call.contents.content(&object.source, &object.inputs).await;
    let content = content.map_err(|error| invalid(format!("{}: {error}", object.object_key)))?;
    let (body, digest) = body(content).await.map_err(|error| invalid(format!("{}: {error}", object.source)))?;
    let hex = hex::encode(digest);
    if object.sha256.as_ref().is_some_and(|expected| *expected != hex) {
        return Err(invalid(format!("{}: the content has changed since it was looked at", object.source)));
    }
    let request = call.clients.s3.put_object().bucket(&object.bucket).key(&object.object_key);
    let request = request.expected_bucket_owner(&call.cluster.account_id).body(body);
    let request = request.checksum_sha256(STANDARD.encode(digest)).metadata(DIGEST, &hex);
    let request = if object.sha256.is_none() { request.if_none_match("*") } else { request };
    request.customize().config_override(patience()).send().await.map(drop).map_err(s3)
}

/// An upload takes as long as it takes, if only it moves.
fn patience() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder().read_timeout(UPLOAD_TIMEOUT).build();
    let stalled = StalledStreamProtectionConfig::enabled().upload_enabled(true).build();
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts).stalled_stream_protection(stalled)
}

async fn body(content: Content) -> std::io::Result<(ByteStream, [u8; 32])> {
    match content {
        Content::Bytes(bytes) => {
            let digest = Sha256::digest(&bytes).into();
            Ok((ByteStream::from(bytes), digest))
        }
        Content::File(path) => {
            let digest = file_digest(&path).await?;
            let body = ByteStream::from_path(path).await.map_err(std::io::Error::other)?;
            Ok((body, digest))
        }
    }
}

async fn file_digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let path = path.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(path)?, &mut HashWriter(&mut hash))?;
        Ok(hash.finalize().into())
    });
    hashing.await.map_err(std::io::Error::other)?
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// With its older versions.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let Some(Resource::Object(object)) = &what.actual else { return Ok(()) };
    gone(bucket::versions_of(call, &object.bucket, &what.ids.id).await)
}
