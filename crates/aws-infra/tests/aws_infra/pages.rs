//! More than a page of each service that has pages on the emulator, and more than a batch of tags.

use provision::{
    names,
    resource::{Kind, LogGroup, Resource},
};

use crate::{
    balancing::target_group,
    bench::{Bench, key},
    iam::role,
    network::make_vpc,
};

#[tokio::test]
async fn of_roles() {
    let bench = Bench::new("pages-roles").await;
    for number in 0..105 {
        let number = number.to_string();
        let mut made = role(&bench, &number);
        made.inline_policies.clear();
        bench.create(&key(Kind::Role, &[&number]), Resource::Role(made)).await;
    }
    assert_eq!(bench.observe(Kind::Role).await.len(), 105);
}

#[tokio::test]
async fn of_log_groups() {
    let bench = Bench::new("pages-logs").await;
    for number in 0..55 {
        let name = format!("{}/{number}", names::log_group(&bench.cluster));
        let group = LogGroup { name, retention_days: Some(1) };
        bench.create(&key(Kind::LogGroup, &[&number.to_string()]), Resource::LogGroup(group)).await;
    }
    assert_eq!(bench.observe(Kind::LogGroup).await.len(), 55);
}

#[tokio::test]
async fn of_target_groups() {
    let bench = Bench::new("pages-targets").await;
    let vpc = make_vpc(&bench).await;
    for number in 0..45 {
        let group = target_group(&format!("cx-pages-{number}"), &vpc, 8443);
        bench.create(&key(Kind::TargetGroup, &[&number.to_string()]), Resource::TargetGroup(group)).await;
    }
    assert_eq!(bench.observe(Kind::TargetGroup).await.len(), 45);
}
