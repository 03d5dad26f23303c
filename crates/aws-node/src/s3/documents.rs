//! Documents: one object each.

use std::sync::Arc;

use aws_sdk_s3::{
    operation::put_object::builders::PutObjectFluentBuilder,
    primitives::{ByteStream, SdkBody},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use state::{Document, Expect, StateError, Version, WriteId};

use super::{
    Inner,
    failure::{Failure, Place, judge, unavailable},
    writes::{Tag, Writes},
};
use crate::calls::{TRIES, back_off, chain};

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";

/// The object without its content.
struct Head {
    version: Version,
    writes: Writes,
}

pub(super) async fn get(inner: &Arc<Inner>, key: &str) -> Result<Option<Document>, StateError> {
    let place = inner.place(key);
    let mut attempt = 0;
    loop {
        let request = inner.documents.get_object().bucket(&place.bucket).key(&place.object);
        let reply = match request.set_expected_bucket_owner(inner.account_id.clone()).send().await {
            Ok(reply) => reply,
            Err(error) => match judge(&place, GET, &error) {
                Failure::Missing => return Ok(None),
                failure => return Err(failure.into_error(&place)),
            },
        };
        let version = version(&place, GET, reply.e_tag)?;
        match reply.body.collect().await {
            Ok(body) => return Ok(Some(Document { bytes: body.into_bytes(), version })),
            // The SDK repeats only what failed before the reply began.
            Err(error) if attempt + 1 < TRIES => {
                tracing::debug!(%place, error = chain(&error), "a reply broke off; asking again");
                back_off(attempt).await;
                attempt += 1;
            }
            Err(error) => return Err(unavailable(&place, GET, &chain(&error))),
        }
    }
}

/// Of the document, without its content.
pub(super) async fn version_of(inner: &Inner, key: &str) -> Result<Option<Version>, StateError> {
    Ok(head(inner, &inner.place(key)).await?.map(|head| head.version))
}

pub(super) async fn put(
    inner: &Arc<Inner>,
    key: &str,
    bytes: Bytes,
    expect: &Expect,
    id: &WriteId,
) -> Result<Version, StateError> {
    let (place, tag) = (inner.place(key), Tag::new());
    let before = match expect {
        Expect::Anything | Expect::Absent => Writes::default(),
        Expect::Version(wanted) => match head(inner, &place).await? {
            Some(found) if found.version == *wanted && !found.writes.last_is(id.as_str()) => found.writes,
            found => return outcome(key, id, &tag, found),
        },
    };
    let writes = before.then(id.as_str(), &tag);
    let mut attempt = 0;
    loop {
        let request = write(inner, &place, bytes.clone(), &writes);
        let request = match expect {
            Expect::Anything => request,
            Expect::Absent => request.if_none_match("*"),
            Expect::Version(version) => request.if_match(&version.0),
        };
        let error = match request.send().await {
            Ok(reply) => return version(&place, PUT, reply.e_tag),
            Err(error) => error,
        };
        match judge(&place, PUT, &error) {
            Failure::Condition | Failure::Missing => return outcome(key, id, &tag, head(inner, &place).await?),
            Failure::Busy(_) if attempt + 1 < TRIES => back_off(attempt).await,
            failure => return Err(failure.into_error(&place)),
        }
        attempt += 1;
    }
}

pub(super) async fn delete(inner: &Arc<Inner>, key: &str, expect: &Expect) -> Result<(), StateError> {
    let place = inner.place(key);
    let conflict = || Err(StateError::Conflict { key: key.to_owned() });
    let condition = match expect {
        Expect::Anything => None,
        Expect::Absent => return if head(inner, &place).await?.is_some() { conflict() } else { Ok(()) },
        // Deleting nothing is a success for S3, whatever the condition says.
        Expect::Version(wanted) => match head(inner, &place).await? {
            Some(found) if found.version == *wanted => Some(wanted.0.clone()),
            _ => return conflict(),
        },
    };
    let mut attempt = 0;
    loop {
        let request = inner.documents.delete_object().bucket(&place.bucket).key(&place.object);
        let request = request.set_expected_bucket_owner(inner.account_id.clone()).set_if_match(condition.clone());
        let Err(error) = request.send().await else { return Ok(()) };
        match judge(&place, DELETE, &error) {
            Failure::Missing if condition.is_none() => return Ok(()),
            Failure::Missing | Failure::Condition => return conflict(),
            Failure::Busy(_) if attempt + 1 < TRIES => back_off(attempt).await,
            failure => return Err(failure.into_error(&place)),
        }
        attempt += 1;
    }
}

/// Of a write that was told that the object is not as expected: perhaps because of itself.
fn outcome(key: &str, id: &WriteId, tag: &Tag, found: Option<Head>) -> Result<Version, StateError> {
    match found {
        Some(head) if head.writes.last_is(id.as_str()) => Ok(head.version),
        // It happened, and is history: a version that nothing has any more.
        Some(head) if head.writes.contain(tag) => Ok(Version(format!("\"superseded-{}\"", id.as_str()))),
        _ => Err(StateError::Conflict { key: key.to_owned() }),
    }
}

async fn head(inner: &Inner, place: &Place) -> Result<Option<Head>, StateError> {
    let request = inner.documents.head_object().bucket(&place.bucket).key(&place.object);
    match request.set_expected_bucket_owner(inner.account_id.clone()).send().await {
        Ok(reply) => {
            let writes = Writes::of(reply.metadata());
            Ok(Some(Head { version: version(place, GET, reply.e_tag)?, writes }))
        }
        Err(error) => match judge(place, GET, &error) {
            Failure::Missing => Ok(None),
            failure => Err(failure.into_error(place)),
        },
    }
}

fn version(place: &Place, action: &str, e_tag: Option<String>) -> Result<Version, StateError> {
    e_tag.map(Version).ok_or_else(|| unavailable(place, action, "the reply has no ETag"))
}

/// The body is wrapped, so that the SDK cannot print it. S3 compares what arrives with the hash.
fn write(inner: &Inner, place: &Place, bytes: Bytes, writes: &Writes) -> PutObjectFluentBuilder {
    let hash = STANDARD.encode(Sha256::digest(&bytes));
    let body = SdkBody::retryable(move || SdkBody::from_body_1_x(Full::new(bytes.clone())));
    let request = inner.documents.put_object().bucket(&place.bucket).key(&place.object);
    let request = request.set_expected_bucket_owner(inner.account_id.clone()).set_metadata(Some(writes.metadata()));
    request.checksum_sha256(hash).body(ByteStream::new(body))
}
