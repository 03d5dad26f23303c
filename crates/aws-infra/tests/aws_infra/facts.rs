//! What AWS is asked before a plan is made.

use aws_infra::{AccountFacts, Caller, Clients, FactsError, gather};
use provision::{
    desired::Kept,
    resource::{Kind, Resource, SecurityGroup},
};
use spec::cluster::{Aws, Provider};

use crate::{
    bench::{Bench, REGION, key},
    network::{make_subnet, make_vpc},
};

fn aws(rest: &str) -> Aws {
    let yaml = format!(
        "cluster_name: facts\nregion: {REGION}\nnode_groups:\n  \
         - {{name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}}\n{rest}"
    );
    let cluster = spec::cluster::parse("cluster.yaml", &yaml).unwrap_or_else(|problems| panic!("{problems:?}\n{yaml}"));
    let Provider::Aws(aws) = cluster.provider else { panic!("not for AWS") };
    *aws
}

fn subnets(pairs: &[(&str, &str)]) -> String {
    let lines = pairs.iter().map(|(zone, id)| format!("  - {{availability_zone: {zone}, subnet_id: {id}}}\n"));
    format!(
        "subnet_visibility: private\napi_load_balancer_scheme: internal\noperator_load_balancer_scheme: internal\n\
         subnets:\n{}",
        lines.collect::<String>()
    )
}

async fn ask(bench: &Bench, aws: &Aws) -> Result<AccountFacts, FactsError> {
    let clients = Clients::new(&bench.config);
    let caller: Caller = clients.caller().await.unwrap();
    gather(&clients, caller, "facts", aws, Kept::default()).await
}

#[tokio::test]
async fn of_a_network_of_ones_own() {
    let bench = Bench::new("facts").await;
    let facts = ask(&bench, &aws("")).await.unwrap();
    assert!(facts.availability_zones.len() >= 2, "{facts:?}");
    assert!(facts.availability_zones.iter().all(|zone| zone.starts_with(REGION)));
    assert_eq!(facts.images.len(), 2);
    assert!(facts.images.values().all(|image| image.starts_with("ami-")), "{facts:?}");
    assert_eq!((facts.brought_network, facts.runtime_identity), (None, None));

    let mut unknown = aws("");
    unknown.control_plane.instance_type = "t3.gigantic".to_owned();
    let error = ask(&bench, &unknown).await.unwrap_err();
    assert!(matches!(&error, FactsError::NoSuchInstanceType(of) if of == "t3.gigantic"), "{error}");
}

#[tokio::test]
async fn of_a_network_that_is_brought() {
    let bench = Bench::new("theirs").await;
    let vpc = make_vpc(&bench).await;
    let (b, c) = (make_subnet(&bench, &vpc, 1).await, make_subnet(&bench, &vpc, 2).await);
    let (zone_b, zone_c) = (format!("{REGION}b"), format!("{REGION}c"));
    let both = subnets(&[(&zone_b, &b), (&zone_c, &c)]);
    let network = ask(&bench, &aws(&both)).await.unwrap().brought_network.unwrap();
    assert_eq!((network.vpc_id, network.cidrs), (vpc.clone(), vec!["10.0.0.0/16".parse().unwrap()]));

    let swapped = subnets(&[(&zone_c, &b), (&zone_b, &c)]);
    let error = ask(&bench, &aws(&swapped)).await.unwrap_err();
    assert!(matches!(&error, FactsError::WrongZone { subnet, .. } if *subnet == b), "{error}");
    let missing = subnets(&[(&zone_b, &b), (&zone_c, "subnet-0123456789abcdef0")]);
    let error = ask(&bench, &aws(&missing)).await.unwrap_err();
    assert!(matches!(&error, FactsError::NoSuchSubnet(_)), "{error}");

    let made = SecurityGroup {
        vpc: vpc.clone(),
        name: "balancers".to_owned(),
        description: "theirs".to_owned(),
        ingress: [].into(),
        egress: [].into(),
    };
    let group = bench.create(&key(Kind::SecurityGroup, &["a"]), Resource::SecurityGroup(made)).await.id;
    let lists = "api_load_balancer_cidr_white_list: [0.0.0.0/0]\noperator_load_balancer_cidr_white_list: [0.0.0.0/0]\n";
    let found = async |security_group: &str| {
        let yaml = format!("{both}security_group: {security_group}\n{lists}");
        ask(&bench, &aws(&yaml)).await.map(|facts| facts.existing_security_group)
    };
    assert_eq!(found(&group).await.unwrap(), Some(group.clone()));
    assert_eq!(found("balancers").await.unwrap(), Some(group));
    assert_eq!(found("another").await.unwrap(), None);
    let error = found("sg-0123456789abcdef0").await.unwrap_err();
    assert!(matches!(&error, FactsError::SecurityGroup { .. }), "{error}");
}
