//! What there is under a prefix, all pages of it.

use state::{Entry, StateError, Version};

use super::{Inner, blobs, failure::judge};

const LIST: &str = "s3:ListBucket";

pub(super) async fn documents(inner: &Inner, prefix: &str) -> Result<Vec<Entry>, StateError> {
    let mut entries = all(inner, prefix).await?;
    entries.retain(|entry| !blobs::is_blob(&entry.key));
    Ok(entries)
}

pub(super) async fn blobs(inner: &Inner, prefix: &str) -> Result<Vec<String>, StateError> {
    let keys = all(inner, prefix).await?.into_iter().map(|entry| entry.key);
    Ok(keys.filter(|key| blobs::is_blob(key)).collect())
}

/// S3 lists in the order of the names' bytes.
async fn all(inner: &Inner, prefix: &str) -> Result<Vec<Entry>, StateError> {
    let place = inner.place(prefix);
    let request = inner.documents.list_objects_v2().bucket(&place.bucket).prefix(&place.object);
    let mut pages = request.set_expected_bucket_owner(inner.account_id.clone()).into_paginator().send();
    let mut entries = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| judge(&place, LIST, &error).into_error(&place))?;
        for object in page.contents.unwrap_or_default() {
            let (Some(name), Some(e_tag)) = (object.key, object.e_tag) else { continue };
            let Some(key) = name.strip_prefix(&inner.prefix) else { continue };
            entries.push(Entry { key: key.to_owned(), version: Version(e_tag) });
        }
    }
    Ok(entries)
}
