//! The bucket with its settings, each of which Terraform has as a resource, and what is put in it.

use serde_json::{Value, json};

use super::{Address, Block};
use crate::resource::{Bucket, Encryption, Lifecycle, Object};

pub(super) fn bucket(of: &Bucket, own: &Address) -> Vec<Block> {
    let part = |r#type, setting: Value| {
        let mut body = setting;
        body["bucket"] = json!(own.attribute("id"));
        Block::part(r#type, own, body)
    };
    let blocked = of.public_access_blocked;
    let ownership = if of.owner_enforced { "BucketOwnerEnforced" } else { "ObjectWriter" };
    let mut blocks = vec![
        Block::of(own, json!({ "bucket": of.name })),
        part(
            "aws_s3_bucket_public_access_block",
            json!({
                "block_public_acls": blocked,
                "block_public_policy": blocked,
                "ignore_public_acls": blocked,
                "restrict_public_buckets": blocked,
            }),
        ),
        part("aws_s3_bucket_ownership_controls", json!({ "rule": { "object_ownership": ownership } })),
        part(
            "aws_s3_bucket_versioning",
            json!({ "versioning_configuration": { "status": if of.versioned { "Enabled" } else { "Disabled" } } }),
        ),
    ];
    blocks.extend(of.encryption.map(|encryption| {
        let algorithm = match encryption {
            Encryption::Aes256 => "AES256",
            Encryption::Kms => "aws:kms",
        };
        let rule = json!({ "apply_server_side_encryption_by_default": { "sse_algorithm": algorithm } });
        part("aws_s3_bucket_server_side_encryption_configuration", json!({ "rule": rule }))
    }));
    blocks.extend(
        of.policy.as_ref().map(|policy| part("aws_s3_bucket_policy", json!({ "policy": policy.0.to_string() }))),
    );
    if !of.lifecycle.is_empty() {
        let rules: Vec<Value> = of.lifecycle.iter().map(|(id, rule)| lifecycle(id, rule)).collect();
        blocks.push(part("aws_s3_bucket_lifecycle_configuration", json!({ "rule": rules })));
    }
    blocks
}

fn lifecycle(id: &str, rule: &Lifecycle) -> Value {
    let (setting, what) = match rule {
        Lifecycle::AbortUploads { days } => {
            ("abort_incomplete_multipart_upload", json!({ "days_after_initiation": days }))
        }
        Lifecycle::ExpireNoncurrent { days } => ("noncurrent_version_expiration", json!({ "noncurrent_days": days })),
    };
    json!({ "id": id, "status": "Enabled", "filter": {}, setting: what })
}

/// Without its content, which is the uploader's business. Terraform would make an empty object of it, and ignore what is in it later.
pub(super) fn object(of: &Object<String>, own: &Address) -> Vec<Block> {
    let body = json!({
        "//": format!("{}: `cortex cluster up` uploads what is in it", of.source),
        "bucket": of.bucket,
        "key": of.object_key,
        "metadata": of.sha256.as_ref().map(|sha256| json!({ "cortex-sha256": sha256 })),
        "lifecycle": { "ignore_changes": "all" },
    });
    vec![Block::of(own, body)]
}
