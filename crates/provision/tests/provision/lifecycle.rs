//! The life of a cluster: made, found to be as wanted, changed in one field, removed without a trace.

use std::{collections::BTreeSet, time::Duration};

use provision::{
    destroy::destroy,
    execute::{Event, Settings},
    plan::Choice,
    resource::{Key, Kind},
    sim::{SimCloud, SimOptions},
};
use tokio_util::sync::CancellationToken;

use crate::ground::{
    self, BROUGHT, DEDICATED, FOREIGN, HIGHLY_AVAILABLE, INTERNAL, PRIVATE, PUBLIC, SPOT, Spec, settle, spec, touched,
};

fn cloud() -> SimCloud {
    let cloud = SimCloud::new(SimOptions { lag: Duration::from_secs(2), ..SimOptions::kind(3) });
    cloud.bring(FOREIGN);
    cloud
}

async fn unchanged(spec: &Spec, cloud: &SimCloud) {
    settle().await;
    let before = cloud.calls().mutating();
    // New images have appeared in the meantime.
    let plan = spec.plan(cloud, "2").await.unwrap();
    assert!(plan.is_empty(), "{plan}");
    let report = ground::run(&plan, cloud).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(cloud.calls().mutating(), before, "calls that change something");
}

async fn removed(spec: &Spec, cloud: &SimCloud, before: &[String]) {
    cloud.grow(Kind::EcsService, "iris");
    cloud.grow(Kind::TaskDefinition, "iris");
    let never = CancellationToken::new();
    let none = BTreeSet::new();
    let destroyed = destroy(cloud, &spec.id(), &none, &Settings::new(1), &|_: Event| {}, &never).await;
    assert!(destroyed.is_complete(), "{destroyed}");
    settle().await;
    assert_eq!(cloud.inventory(), before);
}

/// `expected`: what may be touched when `old` is replaced by `new` in the file.
async fn life(yaml: &str, old: &str, new: &str, expected: &[(&str, &str)]) {
    let cloud = cloud();
    let before = cloud.inventory();
    let first = spec(yaml);
    let report = first.up(&cloud).await;
    assert!(report.is_complete(), "{report}");
    unchanged(&first, &cloud).await;

    assert!(yaml.contains(old), "{old}");
    let second = spec(&yaml.replace(old, new));
    let plan = second.plan(&cloud, "2").await.unwrap();
    let touched = touched(&plan);
    assert_eq!(touched.iter().map(|(k, c)| (*k, c.as_str())).collect::<Vec<_>>(), expected, "{plan}");
    let report = ground::run(&plan, &cloud).await;
    assert!(report.is_complete(), "{report}");
    unchanged(&second, &cloud).await;

    removed(&second, &cloud, &before).await;
}

#[tokio::test(start_paused = true)]
async fn public() {
    life(PUBLIC, "max_instances: 5", "max_instances: 7", &[("auto-scaling-group/node/cpu", "max")]).await;
}

#[tokio::test(start_paused = true)]
async fn private_with_a_way_out_per_zone() {
    let expected = [
        ("elastic-ip/nat/us-east-1b", "create"),
        ("nat-gateway/us-east-1b", "create"),
        ("route-table/private/us-east-1b", "routes"),
    ];
    let yaml = PRIVATE.replace("subnet_visibility", "nat_gateway: single\nsubnet_visibility");
    life(&yaml, "nat_gateway: single", "nat_gateway: highly_available", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn highly_available_and_back() {
    let zones = ["b", "c"].map(|zone| format!("us-east-1{zone}"));
    let tables = zones.each_ref().map(|zone| format!("route-table/private/{zone}"));
    let (nats, ips) =
        (zones.each_ref().map(|z| format!("nat-gateway/{z}")), zones.map(|z| format!("elastic-ip/nat/{z}")));
    let mut expected: Vec<(&str, &str)> = tables.iter().map(|table| (table.as_str(), "routes")).collect();
    expected.extend(ips.iter().chain(&nats).map(|key| (key.as_str(), "delete")));
    life(HIGHLY_AVAILABLE, "highly_available", "single", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn internal() {
    let expected = [("security-group/load-balancer", "ingress")];
    life(INTERNAL, ", 172.16.0.0/12", "", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn dedicated_with_a_certificate_and_without() {
    let arn =
        "ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef";
    let expected = [
        ("target-group/api", "create"),
        ("listener/api", "target_group tls"),
        ("auto-scaling-group/control", "target_groups"),
        ("target-group/api-tls", "delete"),
    ];
    life(DEDICATED, arn, "", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn in_a_network_of_the_users() {
    life(
        BROUGHT,
        "region: us-east-1\n",
        "region: us-east-1\nlog_retention_days: 7\n",
        &[("log-group", "retention_days")],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn spot() {
    let expected = [("auto-scaling-group/node/spot", "mixed.spot_max_price")];
    life(SPOT, "max_price: 0.096", "max_price: 0.1", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_group_comes_and_another_goes() {
    let expected = [
        ("launch-template/node/big", "create"),
        ("auto-scaling-group/node/big", "create"),
        ("capacity-provider/big", "create"),
        ("cluster-capacity", "providers"),
        ("auto-scaling-group/node/cpu", "delete"),
        ("capacity-provider/cpu", "delete"),
        ("launch-template/node/cpu", "delete"),
    ];
    life(PUBLIC, "name: cpu", "name: big", &expected).await;
}

#[tokio::test(start_paused = true)]
async fn tags_reach_everything_that_exists() {
    let cloud = cloud();
    let first = spec(PUBLIC);
    assert!(first.up(&cloud).await.is_complete());
    settle().await;
    let second = spec(&format!("{PUBLIC}tags: {{team: vision}}\n"));
    let plan = second.plan(&cloud, "1").await.unwrap();
    let counts = plan.counts();
    assert_eq!((counts.create, counts.replace, counts.delete), (0, 0, 0), "{plan}");
    for entry in &plan.entries {
        assert_eq!(entry.choice == Choice::Keep, !entry.kind.taggable(), "{}", entry.key);
    }
    assert!(ground::run(&plan, &cloud).await.is_complete());
    unchanged(&second, &cloud).await;
    for found in second.observe(&cloud).await.iter().filter(|found| found.kind.taggable()) {
        assert_eq!(found.tags.get("team").map(String::as_str), Some("vision"), "{}", found.key);
        assert_eq!(found.tags["cortex.dev/cluster-name"], "demo");
        assert_eq!(found.tags["cortex.dev/resource"], found.key.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn what_vanished_comes_back() {
    let cases: &[(Kind, &[&str])] = &[
        (Kind::NatGateway, &["us-east-1a"]),
        (Kind::Listener, &["api"]),
        (Kind::AutoScalingGroup, &["node", "cpu"]),
        (Kind::Role, &["worker"]),
        (Kind::InstanceProfile, &["control"]),
        (Kind::LogGroup, &[]),
    ];
    for (kind, parts) in cases {
        let cloud = cloud();
        let spec = spec(PRIVATE);
        assert!(spec.up(&cloud).await.is_complete());
        settle().await;
        cloud.lose(&Key::new(*kind, parts));
        let report = spec.up(&cloud).await;
        assert!(report.is_complete(), "{kind}: {report}");
        unchanged(&spec, &cloud).await;
        removed(&spec, &cloud, &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_what_cannot_change() {
    let cloud = cloud();
    let public = spec(PUBLIC);
    assert!(public.up(&cloud).await.is_complete());
    settle().await;
    for (change, setting) in [
        ("vpc_cidr: 10.0.0.0/16", "vpc_cidr"),
        ("subnet_visibility: private", "subnet_visibility"),
        ("api_load_balancer_scheme: internal", "load_balancer"),
        ("load_balancer: dedicated", "load_balancer"),
        ("bucket: another-bucket", "bucket"),
        ("availability_zones: [us-east-1b, us-east-1c]", "availability_zones"),
        ("availability_zones: [us-east-1a, us-east-1c]", "availability_zones"),
    ] {
        let refused = spec(&format!("{PUBLIC}{change}\n")).plan(&cloud, "1").await.unwrap_err();
        let settings: Vec<&str> = refused.0.iter().map(|refusal| refusal.setting.as_str()).collect();
        assert!(settings.contains(&setting), "{change}: {refused}");
    }
    let refused = spec(BROUGHT).plan(&cloud, "1").await.unwrap_err();
    assert!(refused.to_string().contains("`subnets` cannot change"), "{refused}");

    let cloud = self::cloud();
    let dedicated = spec(DEDICATED);
    assert!(dedicated.up(&cloud).await.is_complete());
    settle().await;
    let yaml = DEDICATED.replace("internal", "internet-facing\napi_load_balancer_scheme: internal");
    let refused = spec(&yaml).plan(&cloud, "1").await.unwrap_err().to_string();
    assert!(refused.contains("`api_load_balancer_scheme` cannot change"), "{refused}");
    assert!(refused.contains("`operator_load_balancer_scheme` cannot change"), "{refused}");
}
