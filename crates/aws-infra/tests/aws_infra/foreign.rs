//! What is not the cluster's is never seen.

use provision::{
    cloud::{Cloud as _, ErrorKind},
    names::{CLUSTER_TAG, RESOURCE_TAG},
    resource::{Kind, Resource},
};

use crate::{
    bench::{Bench, key},
    iam::role,
    network::{make_vpc, subnet, vpc},
    storage::bucket,
};

#[tokio::test]
async fn neither_another_clusters_nor_what_is_half_tagged() {
    let ours = Bench::new("foreign").await;
    let theirs = ours.beside("foreign-2", aws_infra::BucketName::Standard).await;
    ours.emulator.set_quota("L-F678F1CE", 10);
    let other = make_vpc(&theirs).await;
    theirs.create(&key(Kind::Subnet, &["a"]), Resource::Subnet(subnet(&other, 1))).await;
    theirs.create(&key(Kind::Role, &["worker"]), Resource::Role(role(&theirs, "worker"))).await;
    let name = provision::names::bucket(&theirs.cluster);
    theirs.create(&key(Kind::Bucket, &[]), Resource::Bucket(bucket(&name))).await;

    let ec2 = aws_sdk_ec2::Client::new(&ours.config);
    for (name, value) in [(CLUSTER_TAG, "foreign"), (RESOURCE_TAG, "vpc"), ("Name", "foreign/vpc")] {
        let id = ec2.create_vpc().cidr_block("10.9.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
        let tag = aws_sdk_ec2::types::Tag::builder().key(name).value(value).build();
        ec2.create_tags().resources(id).tags(tag).send().await.unwrap();
    }
    for kind in Kind::WANTED.iter().chain(Kind::GROWN) {
        assert_eq!(ours.observe(*kind).await, [], "{kind}");
    }
    make_vpc(&ours).await;
    assert_eq!(ours.observe(Kind::Vpc).await.len(), 1);
    assert_eq!(theirs.observe(Kind::Vpc).await.len(), 1);
}

#[tokio::test]
async fn what_the_service_refuses_is_told_by_kind() {
    let bench = Bench::new("refused").await;
    let vpc_id = make_vpc(&bench).await;
    let make = async |parts: &[&str], number| {
        let wanted = bench.wanted(&key(Kind::Subnet, parts), Resource::Subnet(subnet(&vpc_id, number)));
        bench.cloud.create(&bench.cluster, &wanted).await
    };
    make(&["a"], 1).await.unwrap();
    assert_eq!(make(&["b"], 1).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    let mut lost = subnet("vpc-00000000", 3);
    lost.vpc = "vpc-00000000".to_owned();
    let lost = bench.wanted(&key(Kind::Subnet, &["c"]), Resource::Subnet(lost));
    assert_eq!(bench.cloud.create(&bench.cluster, &lost).await.unwrap_err().kind, ErrorKind::NotFoundYet);
    let mut outside = subnet(&vpc_id, 4);
    outside.cidr = "192.168.0.0/24".parse().unwrap();
    let outside = bench.wanted(&key(Kind::Subnet, &["d"]), Resource::Subnet(outside));
    assert_eq!(bench.cloud.create(&bench.cluster, &outside).await.unwrap_err().kind, ErrorKind::Invalid);
    let in_use = bench.find(&key(Kind::Vpc, &[]), Kind::Vpc).await.unwrap();
    let error = bench.cloud.delete(&bench.cluster, &in_use).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DependencyViolation, "{error:?}");
    let impossible = provision::cloud::Change {
        field: "cidr".to_owned(),
        old: serde_json::Value::Null,
        new: serde_json::Value::Null,
    };
    let wanted = bench.wanted(&key(Kind::Vpc, &[]), Resource::Vpc(vpc()));
    let error = bench.cloud.update(&bench.cluster, &in_use, &wanted, &[impossible]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_unavailable() {
    let mut bench = Bench::new("unreachable").await;
    let config = bench.config.clone().into_builder().endpoint_url("http://127.0.0.1:1").build();
    bench.cloud = aws_infra::AwsCloud::new(
        aws_infra::Clients::new(&config),
        aws_infra::BucketName::Standard,
        std::sync::Arc::new(aws_infra::NoContents),
    );
    for kind in [Kind::Vpc, Kind::Bucket, Kind::Role, Kind::EcsCluster] {
        let error = bench.cloud.observe(&bench.cluster, kind).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
    }
}
