//! The bucket, what is put in it, and the log group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mapping, Policy};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub name: String,
    /// All four settings of the public access block.
    pub public_access_blocked: bool,
    /// No access control lists: `BucketOwnerEnforced`.
    pub owner_enforced: bool,
    pub versioned: bool,
    pub encryption: Option<Encryption>,
    /// `None` only if found so, like the others.
    pub policy: Option<Policy>,
    /// By rule id.
    pub lifecycle: BTreeMap<String, Lifecycle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "aws:kms")]
    Kms,
}

/// For the whole bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Days after which an unfinished upload goes away.
    AbortUploads { days: u32 },
    /// Days after which what was overwritten or deleted goes away.
    ExpireNoncurrent { days: u32 },
}

/// Something the nodes need in the bucket before they boot. What it is made of is the uploader's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de>"))]
pub struct Object<L> {
    pub bucket: L,
    pub object_key: String,
    /// Digest of the content, kept in the object's metadata. Absent: written once (never overwritten), never compared.
    pub sha256: Option<String>,
    /// Tells the uploader what to put there.
    pub source: String,
    /// What it has to know for that: the DNS names of load balancers.
    pub inputs: BTreeMap<String, L>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    pub name: String,
    /// `None` only if found so: never.
    pub retention_days: Option<u32>,
}

impl<L> Object<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<Object<M>, E> {
        let Self { bucket, object_key, sha256, source, inputs } = self;
        let bucket = f(bucket)?;
        let inputs = inputs.into_iter().map(|(name, to)| Ok((name, f(to)?))).collect::<Result<_, E>>()?;
        Ok(Object { bucket, object_key, sha256, source, inputs })
    }
}
