//! Removing what is in a bucket: every version, every delete marker, every unfinished upload.

use aws_sdk_s3::{
    operation::list_object_versions::ListObjectVersionsOutput,
    types::{Delete, ObjectIdentifier},
};

use crate::{
    call::{Call, Result},
    classify::{self, gone, s3},
    tags::built,
};

pub(super) async fn all(call: Call<'_>, bucket: &str) -> Result<()> {
    uploads(call, bucket).await?;
    versions(call, bucket, "", false).await
}

/// One object with all that it ever was.
pub(crate) async fn versions_of(call: Call<'_>, bucket: &str, key: &str) -> Result<()> {
    versions(call, bucket, key, true).await
}

/// What is deleted is not listed again: after a deletion the listing begins anew. Only over what stays it goes on. What could
/// not be deleted is an error, so this ends.
async fn versions(call: Call<'_>, bucket: &str, prefix: &str, exact: bool) -> Result<()> {
    let mut after: Option<(String, Option<String>)> = None;
    loop {
        let (key, version) = after.take().unzip();
        let request = call.clients.s3.list_object_versions().bucket(bucket).prefix(prefix);
        let request = request.set_key_marker(key).set_version_id_marker(version.flatten());
        let request = request.expected_bucket_owner(&call.cluster.account_id);
        let page = request.send().await.map_err(s3)?;
        let found = identifiers(&page, exact.then_some(prefix))?;
        if !found.is_empty() {
            delete(call, bucket, found).await?;
        } else if page.is_truncated() == Some(true) && page.next_key_marker.is_some() {
            after = page.next_key_marker.map(|key| (key, page.next_version_id_marker));
        } else {
            return Ok(());
        }
    }
}

/// Of `only`, if it is given.
fn identifiers(page: &ListObjectVersionsOutput, only: Option<&str>) -> Result<Vec<ObjectIdentifier>> {
    let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
    let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
    let all = versions.chain(markers).filter(|(key, _)| only.is_none() || *key == only);
    let identifiers = all.filter_map(|(key, version)| {
        Some(built(ObjectIdentifier::builder().key(key?).set_version_id(version.map(str::to_owned)).build()))
    });
    identifiers.collect()
}

/// At most 1,000, which is also the most that a listing gives.
async fn delete(call: Call<'_>, bucket: &str, identifiers: Vec<ObjectIdentifier>) -> Result<()> {
    let delete = built(Delete::builder().set_objects(Some(identifiers)).quiet(true).build())?;
    let request = call.clients.s3.delete_objects().bucket(bucket).delete(delete);
    let request = request.expected_bucket_owner(&call.cluster.account_id);
    let failures = request.send().await.map_err(s3)?.errors.unwrap_or_default();
    match failures.first() {
        None => Ok(()),
        Some(error) => gone(Err(classify::s3_item(
            error.code().unwrap_or_default(),
            error.message().unwrap_or_default(),
            "s3:DeleteObjectVersion",
        ))),
    }
}

async fn uploads(call: Call<'_>, bucket: &str) -> Result<()> {
    let mut after: Option<(String, Option<String>)> = None;
    loop {
        let (key, upload) = after.take().unzip();
        let request = call.clients.s3.list_multipart_uploads().bucket(bucket);
        let request = request.set_key_marker(key).set_upload_id_marker(upload.flatten());
        let page = request.expected_bucket_owner(&call.cluster.account_id).send().await.map_err(s3)?;
        for upload in page.uploads() {
            let request = call.clients.s3.abort_multipart_upload().bucket(bucket);
            let request = request.set_key(upload.key.clone()).set_upload_id(upload.upload_id.clone());
            gone(request.send().await.map(drop).map_err(s3))?;
        }
        if page.is_truncated() != Some(true) {
            return Ok(());
        }
        after = page.next_key_marker.map(|key| (key, page.next_upload_id_marker));
        if after.is_none() {
            return Ok(());
        }
    }
}
