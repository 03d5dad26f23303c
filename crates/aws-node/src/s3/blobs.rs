//! Blobs: files of any size, never in memory as a whole.
//!
//! Their hash is in the metadata and checked by us after every download; S3 checks uploads against it, in parts if there
//! are several. Uploads that broke off and could not be taken back are left to the bucket's lifecycle rule.

use std::{io, path::Path};

use aws_sdk_s3::{
    primitives::{ByteStream, Length},
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use state::StateError;
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

use super::{
    Inner,
    failure::{Failure, Place, judge, unavailable},
};
use crate::calls::{TRIES, back_off, chain};

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";
/// In the metadata, hexadecimal; `aws-infra` writes the same.
const DIGEST: &str = "cortex-sha256";
/// How the keys of blobs begin.
const FOLDERS: [&str; 2] = ["bin/", "bundles/"];
const MIB: u64 = 1024 * 1024;
/// What is larger goes up in parts.
const WHOLE: u64 = 64 * MIB;
/// S3 takes at most this many parts.
const PARTS: u64 = 10_000;
const BUFFER: usize = 256 * 1024;

/// Whether the key is one of a blob.
pub(super) fn is_blob(key: &str) -> bool {
    FOLDERS.iter().any(|folder| key.starts_with(folder))
}

pub(super) async fn put(inner: &Inner, key: &str, file: &Path) -> Result<(), StateError> {
    let place = place(inner, key)?;
    let at = |error: io::Error| unavailable(&place, PUT, &format!("{}: {error}", file.display()));
    let size = fs::metadata(file).await.map_err(at)?.len();
    let digest = digest(file, 0, size).await.map_err(at)?;
    if size <= WHOLE {
        let body = ByteStream::read_from().path(file).build().await.map_err(|error| at(io::Error::other(error)))?;
        let request = inner.blobs.put_object().bucket(&place.bucket).key(&place.object).body(body);
        let request = request.set_expected_bucket_owner(inner.account_id.clone());
        let request = request.checksum_sha256(STANDARD.encode(digest)).metadata(DIGEST, hex::encode(digest));
        request.send().await.map_err(|error| judge(&place, PUT, &error).into_error(&place))?;
    } else {
        put_in_parts(inner, &place, file, size, &hex::encode(digest)).await?;
    }
    fs::remove_file(file).await.map_err(at)
}

async fn put_in_parts(inner: &Inner, place: &Place, file: &Path, size: u64, digest: &str) -> Result<(), StateError> {
    let begin = inner.blobs.create_multipart_upload().bucket(&place.bucket).key(&place.object);
    let begin = begin.set_expected_bucket_owner(inner.account_id.clone()).metadata(DIGEST, digest);
    let begun = begin.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
    let begun = begun.map_err(|error| judge(place, PUT, &error).into_error(place))?;
    let upload = begun.upload_id.ok_or_else(|| unavailable(place, PUT, "the reply has no upload id"))?;
    let sent = send_parts(inner, place, file, size, &upload).await;
    if sent.is_err() {
        let abort = inner.blobs.abort_multipart_upload().bucket(&place.bucket).key(&place.object).upload_id(upload);
        if let Err(error) = abort.send().await {
            tracing::warn!(%place, error = chain(&error), "the parts of an upload that failed are still there");
        }
    }
    sent
}

async fn send_parts(inner: &Inner, place: &Place, file: &Path, size: u64, upload: &str) -> Result<(), StateError> {
    let at = |error: io::Error| unavailable(place, PUT, &format!("{}: {error}", file.display()));
    let length = part_length(size);
    let mut parts = Vec::new();
    for (number, offset) in (1..).zip((0..size).step_by(usize::try_from(length).unwrap_or(usize::MAX))) {
        let length = length.min(size - offset);
        let hash = STANDARD.encode(digest(file, offset, length).await.map_err(at)?);
        let body = ByteStream::read_from().path(file).offset(offset).length(Length::Exact(length)).build().await;
        let body = body.map_err(|error| at(io::Error::other(error)))?;
        let request = inner.blobs.upload_part().bucket(&place.bucket).key(&place.object).upload_id(upload);
        let request = request.set_expected_bucket_owner(inner.account_id.clone()).part_number(number);
        let reply = request.checksum_sha256(&hash).body(body).send().await;
        let reply = reply.map_err(|error| judge(place, PUT, &error).into_error(place))?;
        let part = CompletedPart::builder().part_number(number).checksum_sha256(hash).set_e_tag(reply.e_tag);
        parts.push(part.build());
    }
    let complete = inner.blobs.complete_multipart_upload().bucket(&place.bucket).key(&place.object).upload_id(upload);
    let complete = complete.set_expected_bucket_owner(inner.account_id.clone());
    let complete =
        complete.multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build()).send().await;
    match complete {
        Ok(_) => Ok(()),
        // A repetition after a lost reply finds no such upload any more.
        Err(error) if is_there(inner, place).await.unwrap_or(false) => {
            tracing::debug!(%place, error = chain(&error), "the upload had been completed before");
            Ok(())
        }
        Err(error) => Err(judge(place, PUT, &error).into_error(place)),
    }
}

pub(super) async fn has(inner: &Inner, key: &str) -> Result<bool, StateError> {
    is_there(inner, &place(inner, key)?).await
}

/// An object is there in full or not at all.
async fn is_there(inner: &Inner, place: &Place) -> Result<bool, StateError> {
    let request = inner.documents.head_object().bucket(&place.bucket).key(&place.object);
    match request.set_expected_bucket_owner(inner.account_id.clone()).send().await {
        Ok(_) => Ok(true),
        Err(error) => match judge(place, GET, &error) {
            Failure::Missing => Ok(false),
            failure => Err(failure.into_error(place)),
        },
    }
}

pub(super) async fn get(inner: &Inner, key: &str, to: &Path) -> Result<bool, StateError> {
    let place = place(inner, key)?;
    let mut attempt = 0;
    loop {
        let request = inner.blobs.get_object().bucket(&place.bucket).key(&place.object);
        let reply = match request.set_expected_bucket_owner(inner.account_id.clone()).send().await {
            Ok(reply) => reply,
            Err(error) => match judge(&place, GET, &error) {
                Failure::Missing => return Ok(false),
                failure => return Err(failure.into_error(&place)),
            },
        };
        let expected = reply.metadata().and_then(|metadata| metadata.get(DIGEST)).cloned();
        let broken = match receive(reply.body, to).await {
            Ok(digest) if expected.as_ref().is_none_or(|expected| *expected == digest) => return Ok(true),
            Ok(_) => "what came is not what its hash says".to_owned(),
            Err(Broken::Reply(why)) => why,
            Err(Broken::File(error)) => return Err(not_written(to, &error).await),
        };
        if attempt + 1 == TRIES {
            let _ = fs::remove_file(to).await;
            return Err(unavailable(&place, GET, &broken));
        }
        tracing::debug!(%place, broken, "a download broke off; from the beginning again");
        back_off(attempt).await;
        attempt += 1;
    }
}

enum Broken {
    Reply(String),
    File(io::Error),
}

/// The hash of what came.
async fn receive(mut body: ByteStream, to: &Path) -> Result<String, Broken> {
    let mut file = File::create(to).await.map_err(Broken::File)?;
    let mut hash = Sha256::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| Broken::Reply(chain(&error)))?;
        hash.update(&bytes);
        file.write_all(&bytes).await.map_err(Broken::File)?;
    }
    file.flush().await.map_err(Broken::File)?;
    Ok(hex::encode(hash.finalize()))
}

async fn not_written(to: &Path, error: &io::Error) -> StateError {
    let _ = fs::remove_file(to).await;
    match error.kind() {
        io::ErrorKind::StorageFull => StateError::Full { path: to.to_owned() },
        _ => StateError::Unavailable(format!("{}: {error}", to.display())),
    }
}

pub(super) async fn delete(inner: &Inner, key: &str) -> Result<(), StateError> {
    let place = place(inner, key)?;
    let request = inner.documents.delete_object().bucket(&place.bucket).key(&place.object);
    match request.set_expected_bucket_owner(inner.account_id.clone()).send().await {
        Ok(_) => Ok(()),
        Err(error) => match judge(&place, DELETE, &error) {
            Failure::Missing => Ok(()),
            failure => Err(failure.into_error(&place)),
        },
    }
}

/// A key is a path of plain segments, as for every other State, in one of the folders for blobs.
fn place(inner: &Inner, key: &str) -> Result<Place, StateError> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if is_blob(key) && key.split('/').all(plain) {
        Ok(inner.place(key))
    } else {
        Err(StateError::Unavailable(format!("`{key}` is not a blob's key")))
    }
}

/// Whole mebibytes: 16, or more where that would be too many parts.
fn part_length(size: u64) -> u64 {
    size.div_ceil(PARTS).div_ceil(MIB).max(16) * MIB
}

/// Of a part of a file.
async fn digest(file: &Path, offset: u64, length: u64) -> io::Result<[u8; 32]> {
    let mut file = File::open(file).await?;
    tokio::io::AsyncSeekExt::seek(&mut file, io::SeekFrom::Start(offset)).await?;
    let (mut part, mut buffer, mut hash) = (file.take(length), vec![0; BUFFER], Sha256::new());
    loop {
        match part.read(&mut buffer).await? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_large_enough() {
        for size in [WHOLE + 1, 1 << 30, 160_000 * MIB, 160_000 * MIB + 1, 5 << 40] {
            let length = part_length(size);
            assert!(size.div_ceil(length) <= PARTS && length >= 5 * MIB, "{size}: {length}");
        }
    }

    #[test]
    fn documents_and_blobs_do_not_meet() {
        assert!(is_blob("bundles/abc") && is_blob("bin/abc/cortex"));
        assert!(!is_blob("apis/bundles/a") && !is_blob("binary") && !is_blob("cluster.json"));
    }
}
