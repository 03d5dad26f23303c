//! Everything of a bucket but its content and tags: one call for each, to read and to write.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use provision::resource::{Bucket, Encryption, Lifecycle, Policy};

use crate::{
    call::{Call, Result, int, invalid, uint},
    classify::{gone, present, s3},
    tags::built,
};

/// Of [`Bucket`], those that can change.
pub(super) const FIELDS: &[&str] =
    &["public_access_blocked", "owner_enforced", "versioned", "encryption", "policy", "lifecycle"];

pub(super) async fn read(call: Call<'_>, name: &str) -> Result<Bucket> {
    let (blocked, enforced, versioned, encryption, policy, lifecycle) = futures_util::try_join!(
        Box::pin(blocked(call, name)),
        Box::pin(enforced(call, name)),
        Box::pin(versioned(call, name)),
        Box::pin(encryption(call, name)),
        Box::pin(policy(call, name)),
        Box::pin(lifecycle(call, name)),
    )?;
    Ok(Bucket {
        name: name.to_owned(),
        public_access_blocked: blocked,
        owner_enforced: enforced,
        versioned,
        encryption,
        policy,
        lifecycle,
    })
}

async fn blocked(call: Call<'_>, name: &str) -> Result<bool> {
    let reply = call.clients.s3.get_public_access_block().bucket(name).send().await.map_err(s3);
    let block = present(reply)?.and_then(|reply| reply.public_access_block_configuration);
    Ok(block.is_some_and(|block| {
        let all = [
            block.block_public_acls,
            block.block_public_policy,
            block.ignore_public_acls,
            block.restrict_public_buckets,
        ];
        all.iter().all(|on| *on == Some(true))
    }))
}

async fn enforced(call: Call<'_>, name: &str) -> Result<bool> {
    let reply = call.clients.s3.get_bucket_ownership_controls().bucket(name).send().await.map_err(s3);
    let rules = present(reply)?.and_then(|reply| reply.ownership_controls).map(|controls| controls.rules);
    Ok(rules.unwrap_or_default().iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced))
}

async fn versioned(call: Call<'_>, name: &str) -> Result<bool> {
    let reply = call.clients.s3.get_bucket_versioning().bucket(name).send().await.map_err(s3)?;
    Ok(reply.status == Some(BucketVersioningStatus::Enabled))
}

async fn encryption(call: Call<'_>, name: &str) -> Result<Option<Encryption>> {
    let reply = call.clients.s3.get_bucket_encryption().bucket(name).send().await.map_err(s3);
    let configuration = present(reply)?.and_then(|reply| reply.server_side_encryption_configuration);
    let rules = configuration.map(|configuration| configuration.rules).unwrap_or_default();
    let default = rules.into_iter().find_map(|rule| rule.apply_server_side_encryption_by_default);
    Ok(default.map(|default| match default.sse_algorithm {
        ServerSideEncryption::Aes256 => Encryption::Aes256,
        _ => Encryption::Kms,
    }))
}

async fn policy(call: Call<'_>, name: &str) -> Result<Option<Policy>> {
    let reply = call.clients.s3.get_bucket_policy().bucket(name).send().await.map_err(s3);
    let Some(text) = present(reply)?.and_then(|reply| reply.policy) else { return Ok(None) };
    let document = serde_json::from_str(&text);
    document.map(|document| Some(Policy(document))).map_err(|error| invalid(format!("policy of `{name}`: {error}")))
}

async fn lifecycle(call: Call<'_>, name: &str) -> Result<BTreeMap<String, Lifecycle>> {
    let reply = call.clients.s3.get_bucket_lifecycle_configuration().bucket(name).send().await.map_err(s3);
    let rules = present(reply)?.and_then(|reply| reply.rules).unwrap_or_default();
    Ok(rules.iter().map(|rule| (rule.id().unwrap_or_default().to_owned(), understood(rule))).collect())
}

/// A rule that says anything else than ours do is told as one that is never wanted.
fn understood(rule: &LifecycleRule) -> Lifecycle {
    let odd = Lifecycle::AbortUploads { days: 0 };
    let everywhere = rule.filter().is_none_or(|filter| {
        filter.prefix().unwrap_or_default().is_empty() && filter.tag().is_none() && filter.and().is_none()
    });
    if rule.status() != &ExpirationStatus::Enabled || !everywhere || rule.expiration().is_some() {
        return odd;
    }
    match (rule.abort_incomplete_multipart_upload(), rule.noncurrent_version_expiration()) {
        (Some(abort), None) => Lifecycle::AbortUploads { days: uint(abort.days_after_initiation()) },
        (None, Some(expire)) => Lifecycle::ExpireNoncurrent { days: uint(expire.noncurrent_days()) },
        _ => odd,
    }
}

/// Writes those settings that are wanted by name; one after the other, since S3 refuses two changes of one bucket at once.
pub(super) async fn write(call: Call<'_>, bucket: &Bucket, wants: impl Fn(&str) -> bool) -> Result<()> {
    if wants("public_access_blocked") {
        set_blocked(call, bucket).await?;
    }
    if wants("owner_enforced") {
        set_ownership(call, bucket).await?;
    }
    if wants("versioned") {
        set_versioning(call, bucket).await?;
    }
    if wants("encryption") {
        set_encryption(call, bucket).await?;
    }
    if wants("lifecycle") {
        set_lifecycle(call, bucket).await?;
    }
    if wants("policy") {
        set_policy(call, bucket).await?;
    }
    Ok(())
}

async fn set_blocked(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    let on = bucket.public_access_blocked;
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(on).ignore_public_acls(on);
    let block = block.block_public_policy(on).restrict_public_buckets(on).build();
    let request = call.clients.s3.put_public_access_block().bucket(&bucket.name);
    request.public_access_block_configuration(block).send().await.map(drop).map_err(s3)
}

async fn set_ownership(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    let ownership = if bucket.owner_enforced {
        ObjectOwnership::BucketOwnerEnforced
    } else {
        ObjectOwnership::BucketOwnerPreferred
    };
    let rule = built(OwnershipControlsRule::builder().object_ownership(ownership).build())?;
    let controls = built(OwnershipControls::builder().rules(rule).build())?;
    let request = call.clients.s3.put_bucket_ownership_controls().bucket(&bucket.name);
    request.ownership_controls(controls).send().await.map(drop).map_err(s3)
}

async fn set_versioning(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    let status = if bucket.versioned { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let configuration = VersioningConfiguration::builder().status(status).build();
    let request = call.clients.s3.put_bucket_versioning().bucket(&bucket.name);
    request.versioning_configuration(configuration).send().await.map(drop).map_err(s3)
}

async fn set_encryption(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    let algorithm = match bucket.encryption {
        None => return gone(clear_encryption(call, bucket).await),
        Some(Encryption::Aes256) => ServerSideEncryption::Aes256,
        Some(Encryption::Kms) => ServerSideEncryption::AwsKms,
    };
    let default = built(ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm).build())?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
    let configuration = built(ServerSideEncryptionConfiguration::builder().rules(rule).build())?;
    let request = call.clients.s3.put_bucket_encryption().bucket(&bucket.name);
    request.server_side_encryption_configuration(configuration).send().await.map(drop).map_err(s3)
}

async fn clear_encryption(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    call.clients.s3.delete_bucket_encryption().bucket(&bucket.name).send().await.map(drop).map_err(s3)
}

async fn set_lifecycle(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    if bucket.lifecycle.is_empty() {
        let request = call.clients.s3.delete_bucket_lifecycle().bucket(&bucket.name);
        return gone(request.send().await.map(drop).map_err(s3));
    }
    let rules = bucket.lifecycle.iter().map(|(id, lifecycle)| {
        let rule = LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled);
        let rule = rule.filter(LifecycleRuleFilter::builder().prefix("").build());
        built(match lifecycle {
            Lifecycle::AbortUploads { days } => {
                let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(int(*days)).build();
                rule.abort_incomplete_multipart_upload(abort).build()
            }
            Lifecycle::ExpireNoncurrent { days } => {
                let expire = NoncurrentVersionExpiration::builder().noncurrent_days(int(*days)).build();
                rule.noncurrent_version_expiration(expire).build()
            }
        })
    });
    let rules = rules.collect::<Result<Vec<_>>>()?;
    let configuration = built(BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build())?;
    let request = call.clients.s3.put_bucket_lifecycle_configuration().bucket(&bucket.name);
    request.lifecycle_configuration(configuration).send().await.map(drop).map_err(s3)
}

async fn set_policy(call: Call<'_>, bucket: &Bucket) -> Result<()> {
    match &bucket.policy {
        None => {
            let request = call.clients.s3.delete_bucket_policy().bucket(&bucket.name);
            gone(request.send().await.map(drop).map_err(s3))
        }
        Some(Policy(document)) => {
            let request = call.clients.s3.put_bucket_policy().bucket(&bucket.name).policy(document.to_string());
            request.send().await.map(drop).map_err(s3)
        }
    }
}
