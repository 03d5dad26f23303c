//! The bucket, what nodes need in it, and the log group.

use std::collections::BTreeMap;

use super::{Build, balancing::Balancing, key, policies};
use crate::{
    names,
    resource::{Bucket, Encryption, Key, Kind, Lifecycle, Link, LogGroup, Object, Resource},
};

pub(super) struct Storage {
    pub log_group: Key,
    /// Everything a node fetches when it boots.
    pub objects: Vec<Key>,
}

pub(super) fn bucket_name(build: &Build<'_>) -> String {
    build.aws.bucket.clone().unwrap_or_else(|| names::bucket(build.cluster))
}

pub(super) fn add(build: &mut Build<'_>, balancing: &Balancing) -> Storage {
    let bucket = key(Kind::Bucket, &[]);
    let lifecycle = [
        ("abort-uploads".to_owned(), Lifecycle::AbortUploads { days: 7 }),
        ("expire-noncurrent".to_owned(), Lifecycle::ExpireNoncurrent { days: 30 }),
    ];
    let made = Bucket {
        name: bucket_name(build),
        public_access_blocked: true,
        owner_enforced: true,
        versioned: true,
        encryption: Some(Encryption::Aes256),
        policy: Some(policies::bucket(build)),
        lifecycle: lifecycle.into(),
    };
    build.add(&bucket, Resource::Bucket(made));
    let objects = objects(build, &bucket, balancing);

    let log_group = key(Kind::LogGroup, &[]);
    let retention_days = Some(build.aws.log_retention_days);
    let made = LogGroup { name: names::log_group(build.cluster), retention_days };
    build.add(&log_group, Resource::LogGroup(made));
    Storage { log_group, objects }
}

fn objects(build: &mut Build<'_>, bucket: &Key, balancing: &Balancing) -> Vec<Key> {
    let facts = build.facts;
    let mut keys = Vec::new();
    let mut add = |object_key: String, sha256: Option<String>, source: String, inputs: BTreeMap<String, Link>| {
        let key = key(Kind::Object, &[&object_key]);
        build.add(&key, Resource::Object(Object { bucket: Link::name(bucket), object_key, sha256, source, inputs }));
        keys.push(key);
    };
    for artifact in [&facts.node_binary, &facts.onnxruntime] {
        add(artifact.object_key(), Some(artifact.sha256.clone()), artifact.name.clone(), BTreeMap::new());
    }
    for upload in &facts.uploads {
        let inputs = match upload.endpoints {
            true => BTreeMap::from([
                ("api".to_owned(), Link::dns_name(&balancing.api)),
                ("operator".to_owned(), Link::dns_name(&balancing.operator)),
            ]),
            false => BTreeMap::new(),
        };
        add(upload.object_key.clone(), upload.sha256.clone(), upload.source.clone(), inputs);
    }
    keys
}
