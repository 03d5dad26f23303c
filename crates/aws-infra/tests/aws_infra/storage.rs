use std::collections::BTreeMap;

use aws_infra::BucketName;
use provision::{
    cloud::{Cloud as _, ErrorKind},
    names,
    resource::{Bucket, Encryption, Kind, Lifecycle, LogGroup, Object, Policy, Resource},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::bench::{Bench, key};

pub fn bucket(name: &str) -> Bucket {
    Bucket {
        name: name.to_owned(),
        public_access_blocked: true,
        owner_enforced: true,
        versioned: true,
        encryption: Some(Encryption::Aes256),
        policy: Some(allow(name, "s3:GetObject")),
        lifecycle: BTreeMap::from([
            ("abort".to_owned(), Lifecycle::AbortUploads { days: 7 }),
            ("expire".to_owned(), Lifecycle::ExpireNoncurrent { days: 30 }),
        ]),
    }
}

/// Conditions are not something that every emulator understands.
fn allow(bucket: &str, action: &str) -> Policy {
    Policy(json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "Test",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": action,
            "Resource": format!("arn:aws:s3:::{bucket}/*"),
        }],
    }))
}

async fn fill(bench: &Bench, bucket: &str, keys: impl IntoIterator<Item = String>) {
    let s3 = aws_sdk_s3::Client::new(&bench.config);
    for key in keys {
        s3.put_object().bucket(bucket).key(key).body(b"x".to_vec().into()).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_with_everything_in_it() {
    let bench = Bench::new("s3-bucket").await;
    let name = names::bucket(&bench.cluster);
    let made = bucket(&name);
    let changed = vec![
        Bucket { public_access_blocked: false, ..made.clone() },
        Bucket { owner_enforced: false, ..made.clone() },
        Bucket { versioned: false, ..made.clone() },
        Bucket { encryption: Some(Encryption::Kms), ..made.clone() },
        Bucket { policy: Some(allow(&name, "s3:PutObject")), ..made.clone() },
        Bucket { lifecycle: [("abort".to_owned(), Lifecycle::AbortUploads { days: 3 })].into(), ..made.clone() },
        Bucket { lifecycle: [].into(), policy: None, ..made.clone() },
        made.clone(),
    ];
    let changed = changed.into_iter().map(Resource::Bucket).collect();
    let at = key(Kind::Bucket, &[]);
    bench.born(&at, Resource::Bucket(made), changed).await;

    // More than a page, with older versions, delete markers and an upload that nobody finished.
    fill(&bench, &name, (0..1020).map(|number| format!("bundles/{number}"))).await;
    fill(&bench, &name, (0..20).map(|number| format!("bundles/{number}"))).await;
    let s3 = aws_sdk_s3::Client::new(&bench.config);
    s3.delete_object().bucket(&name).key("bundles/7").send().await.unwrap();
    s3.create_multipart_upload().bucket(&name).key("bundles/big").send().await.unwrap();
    bench.gone(&at).await;
    assert!(s3.head_bucket().bucket(&name).send().await.is_err());
}

#[tokio::test]
async fn a_bucket_of_the_users_choice() {
    let bench =
        Bench::new("s3-given").await.beside("s3-given", BucketName::Given("my-very-own-bucket".to_owned())).await;
    let at = key(Kind::Bucket, &[]);
    bench.born(&at, Resource::Bucket(bucket("my-very-own-bucket")), vec![]).await;

    // Without cluster.yaml.
    let unknown = bench.beside("s3-given", BucketName::Unknown).await;
    assert!(unknown.find(&at, Kind::Bucket).await.is_some());
    let standard = bench.beside("s3-given", BucketName::Standard).await;
    assert_eq!(standard.find(&at, Kind::Bucket).await, None);
    unknown.gone(&at).await;
}

#[tokio::test]
async fn a_bucket_that_is_not_ours_is_left_alone() {
    let bench = Bench::new("s3-theirs").await.beside("s3-theirs", BucketName::Given("their-bucket".to_owned())).await;
    let s3 = aws_sdk_s3::Client::new(&bench.config);
    s3.create_bucket().bucket("their-bucket").send().await.unwrap();
    let at = key(Kind::Bucket, &[]);
    assert_eq!(bench.find(&at, Kind::Bucket).await, None);
    let wanted = bench.wanted(&at, Resource::Bucket(bucket("their-bucket")));
    let error = bench.cloud.create(&bench.cluster, &wanted).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
    assert!(s3.get_bucket_tagging().bucket("their-bucket").send().await.is_err());
    s3.delete_bucket().bucket("their-bucket").send().await.unwrap();
}

#[tokio::test]
async fn objects() {
    let bench = Bench::new("s3-objects").await;
    let name = names::bucket(&bench.cluster);
    bench.create(&key(Kind::Bucket, &[]), Resource::Bucket(bucket(&name))).await;
    let digest = |content: &str| hex::encode(Sha256::digest(content));
    let object = |object_key: &str, source: &str, sha256: Option<String>| Object {
        bucket: name.clone(),
        object_key: object_key.to_owned(),
        sha256,
        source: source.to_owned(),
        inputs: BTreeMap::new(),
    };
    let binary = format!("bin/{}/cortex", digest("binary"));
    let made = object(&binary, "binary", Some(digest("binary")));
    bench.life(&key(Kind::Object, &[&binary]), Resource::Object(made), vec![]).await;

    let first = object("config/node.json", "one", Some(digest("one")));
    let second = object("config/node.json", "two", Some(digest("two")));
    bench
        .life(&key(Kind::Object, &["config/node.json"]), Resource::Object(first), vec![Resource::Object(second)])
        .await;

    // Written once, and with what it is made of.
    let mut secret = object("private/ca.json", "ca", None);
    secret.inputs.insert("api".to_owned(), "lb.example.com".to_owned());
    let at = key(Kind::Object, &["private/ca.json"]);
    bench.born(&at, Resource::Object(secret.clone()), vec![]).await;
    let again = bench.wanted(&at, Resource::Object(secret));
    let error = bench.cloud.create(&bench.cluster, &again).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
    let s3 = aws_sdk_s3::Client::new(&bench.config);
    let reply = s3.get_object().bucket(&name).key("private/ca.json").send().await.unwrap();
    assert_eq!(&reply.body.collect().await.unwrap().into_bytes()[..], b"ca\napi=lb.example.com");

    // What has changed since it was looked at is not put there.
    let wrong = object("config/node.json", "one", Some(digest("two")));
    let wrong = bench.wanted(&key(Kind::Object, &["config/node.json"]), Resource::Object(wrong));
    assert_eq!(bench.cloud.create(&bench.cluster, &wrong).await.unwrap_err().kind, ErrorKind::Invalid);

    // Everything else is the running cluster's.
    fill(&bench, &name, ["apis/a/head.json".to_owned(), "bundles/1".to_owned(), "bin/1/a".to_owned()]).await;
    let few: Vec<String> = bench.observe(Kind::Object).await.into_iter().map(|found| found.ids.id).collect();
    assert_eq!(few, ["bin/1/a", "private/ca.json"]);
    fill(&bench, &name, (0..1000).map(|number| format!("nonce/{number}"))).await;
    let seen: Vec<String> = bench.observe(Kind::Object).await.into_iter().map(|found| found.ids.id).collect();
    assert_eq!(seen, ["bin/1/a", "private/ca.json"]);
    bench.gone(&key(Kind::Bucket, &[])).await;
    assert_eq!(bench.observe(Kind::Object).await, []);
}

#[tokio::test]
async fn a_log_group() {
    let bench = Bench::new("logs").await;
    let group = |days| Resource::LogGroup(LogGroup { name: names::log_group(&bench.cluster), retention_days: days });
    bench.life(&key(Kind::LogGroup, &[]), group(Some(30)), vec![group(Some(7)), group(None), group(Some(1))]).await;
}
