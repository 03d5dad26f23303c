use std::collections::BTreeSet;

use provision::{
    cloud::{Cloud as _, ErrorKind},
    resource::{
        ElasticIp, InternetGateway, Kind, NatGateway, Peer, Ports, Resource, Route, RouteTable, Rule, SecurityGroup,
        Subnet, Via, Vpc, VpcEndpoint,
    },
};

use crate::bench::{Bench, REGION, key};

pub fn vpc() -> Vpc {
    Vpc {
        cidr: "10.0.0.0/16".parse().unwrap(),
        dns_support: true,
        dns_hostnames: true,
        default_security_group_closed: true,
    }
}

pub async fn make_vpc(bench: &Bench) -> String {
    bench.create(&key(Kind::Vpc, &[]), Resource::Vpc(vpc())).await.id
}

pub fn subnet(vpc: &str, number: u8) -> Subnet<String> {
    Subnet {
        vpc: vpc.to_owned(),
        availability_zone: format!("{REGION}{}", ['a', 'b', 'c'][usize::from(number) % 3]),
        cidr: format!("10.0.{number}.0/24").parse().unwrap(),
        auto_assign_public_ip: false,
    }
}

pub async fn make_subnet(bench: &Bench, vpc: &str, number: u8) -> String {
    bench.create(&key(Kind::Subnet, &[&number.to_string()]), Resource::Subnet(subnet(vpc, number))).await.id
}

#[tokio::test]
async fn a_vpc() {
    let bench = Bench::new("net-vpc").await;
    let changed = vec![
        Resource::Vpc(Vpc { dns_hostnames: false, ..vpc() }),
        Resource::Vpc(Vpc { dns_hostnames: false, dns_support: false, ..vpc() }),
        Resource::Vpc(vpc()),
    ];
    bench.life(&key(Kind::Vpc, &[]), Resource::Vpc(vpc()), changed).await;
}

#[tokio::test]
async fn an_opened_default_group_is_seen_and_closed_again() {
    let bench = Bench::new("net-open").await;
    let id = make_vpc(&bench).await;
    let ec2 = aws_sdk_ec2::Client::new(&bench.config);
    let by_vpc = aws_sdk_ec2::types::Filter::builder().name("vpc-id").values(&id).build();
    let groups = ec2.describe_security_groups().filters(by_vpc).send().await.unwrap().security_groups.unwrap();
    let group = groups[0].group_id().unwrap();
    let open = ec2.authorize_security_group_ingress().group_id(group).ip_protocol("tcp");
    open.from_port(22).to_port(22).cidr_ip("0.0.0.0/0").send().await.unwrap();
    bench.change(&bench.wanted(&key(Kind::Vpc, &[]), Resource::Vpc(vpc()))).await;
    bench.gone(&key(Kind::Vpc, &[])).await;
}

#[tokio::test]
async fn an_internet_gateway() {
    let bench = Bench::new("net-igw").await;
    let vpc = make_vpc(&bench).await;
    let attached = Resource::InternetGateway(InternetGateway { vpc: Some(vpc) });
    let detached = Resource::InternetGateway(InternetGateway { vpc: None });
    let at = key(Kind::InternetGateway, &[]);
    bench.life(&at, attached.clone(), vec![detached, attached]).await;
}

#[tokio::test]
async fn a_subnet() {
    let bench = Bench::new("net-subnet").await;
    let vpc = make_vpc(&bench).await;
    let mut open = subnet(&vpc, 1);
    open.auto_assign_public_ip = true;
    let (closed, open) = (Resource::Subnet(subnet(&vpc, 1)), Resource::Subnet(open));
    bench.life(&key(Kind::Subnet, &["a"]), closed.clone(), vec![open.clone(), closed]).await;
    bench.life(&key(Kind::Subnet, &["a"]), open, vec![]).await;
}

#[tokio::test]
async fn nat_gateways_with_their_address() {
    let bench = Bench::new("net-nat").await;
    let vpc = make_vpc(&bench).await;
    let subnet = make_subnet(&bench, &vpc, 1).await;
    let gateway = Resource::InternetGateway(InternetGateway { vpc: Some(vpc) });
    bench.create(&key(Kind::InternetGateway, &[]), gateway).await;
    let address = key(Kind::ElasticIp, &["a"]);
    let elastic_ip = bench.born(&address, Resource::ElasticIp(ElasticIp {}), vec![]).await.id;
    let gateway = Resource::NatGateway(NatGateway { subnet, elastic_ip });
    bench.life(&key(Kind::NatGateway, &["a"]), gateway, vec![]).await;
    bench.gone(&address).await;
}

#[tokio::test]
async fn a_route_table_and_an_endpoint() {
    let bench = Bench::new("net-routes").await;
    let vpc = make_vpc(&bench).await;
    let subnets = [make_subnet(&bench, &vpc, 1).await, make_subnet(&bench, &vpc, 2).await];
    let gateway = Resource::InternetGateway(InternetGateway { vpc: Some(vpc.clone()) });
    let gateway = bench.create(&key(Kind::InternetGateway, &[]), gateway).await.id;
    let elastic_ip = bench.create(&key(Kind::ElasticIp, &["a"]), Resource::ElasticIp(ElasticIp {})).await.id;
    let nat = Resource::NatGateway(NatGateway { subnet: subnets[0].clone(), elastic_ip });
    let nat = bench.create(&key(Kind::NatGateway, &["a"]), nat).await.id;

    let route = |to: &str, via| Route { destination: to.parse().unwrap(), via };
    let out = route("0.0.0.0/0", Via::InternetGateway(gateway.clone()));
    let private = route("0.0.0.0/0", Via::NatGateway(nat));
    let extra = route("192.168.0.0/16", Via::InternetGateway(gateway));
    let table = |routes: &[&Route<String>], subnets: &[&String]| {
        Resource::RouteTable(RouteTable {
            vpc: vpc.clone(),
            routes: routes.iter().map(|route| (*route).clone()).collect(),
            subnets: subnets.iter().map(|subnet| (*subnet).clone()).collect(),
        })
    };
    let at = key(Kind::RouteTable, &["public"]);
    let changed = vec![
        table(&[&private, &extra], &[&subnets[0]]),
        table(&[&private], &[&subnets[1]]),
        table(&[], &[]),
        table(&[&out], &[&subnets[0], &subnets[1]]),
        table(&[&out], &[&subnets[0]]),
    ];
    let first = bench.born(&at, table(&[&out], &[&subnets[0]]), changed).await.id;
    let other = key(Kind::RouteTable, &["private"]);
    let second = bench.born(&other, table(&[&private], &[&subnets[1]]), vec![]).await.id;

    let endpoint = |tables: &[&String]| {
        Resource::VpcEndpoint(VpcEndpoint {
            vpc: vpc.clone(),
            service: format!("com.amazonaws.{REGION}.s3"),
            route_tables: tables.iter().map(|table| (*table).clone()).collect(),
        })
    };
    let changed = vec![endpoint(&[&first, &second]), endpoint(&[&second])];
    bench.born(&key(Kind::VpcEndpoint, &["s3"]), endpoint(&[&first]), changed).await;
    // Its route is none of the table's.
    let wanted = bench.wanted(&other, table(&[&private], &[&subnets[1]]));
    let mut found = bench.find(&other, Kind::RouteTable).await.unwrap();
    found.tags.clone_from(&wanted.tags);
    assert_eq!(bench.changes(&wanted, &found), []);
    bench.gone(&key(Kind::VpcEndpoint, &["s3"])).await;
    bench.gone(&at).await;
    bench.gone(&other).await;
}

#[tokio::test]
async fn a_security_group() {
    let bench = Bench::new("net-groups").await;
    let vpc = make_vpc(&bench).await;
    let group = |name: &str, ingress: &[&Rule<String>], egress: &[&Rule<String>]| {
        Resource::SecurityGroup(SecurityGroup {
            vpc: vpc.clone(),
            name: format!("cortex-{name}"),
            description: "cortex: test".to_owned(),
            ingress: ingress.iter().map(|rule| (*rule).clone()).collect::<BTreeSet<_>>(),
            egress: egress.iter().map(|rule| (*rule).clone()).collect(),
        })
    };
    let rule = |ports, peer, why: &str| Rule { ports, peer, description: why.to_owned() };
    let cidr = |text: &str| Peer::Cidr(text.parse().unwrap());
    let peer = bench.create(&key(Kind::SecurityGroup, &["peer"]), group("peer", &[], &[])).await.id;
    let https = rule(Ports::Tcp(443, 443), cidr("10.0.0.0/8"), "clients");
    let renamed = rule(Ports::Tcp(443, 443), cidr("10.0.0.0/8"), "other clients");
    let http = rule(Ports::Tcp(80, 80), cidr("10.1.0.0/16"), "");
    let from = rule(Ports::Tcp(1000, 2000), Peer::SecurityGroup(peer.clone()), "the peer");
    let everywhere = rule(Ports::All, cidr("0.0.0.0/0"), "out");
    let at = key(Kind::SecurityGroup, &["main"]);
    let changed = vec![
        group("main", &[&renamed, &from], &[&everywhere]),
        group("main", &[&http, &from, &https], &[]),
        group("main", &[], &[&https]),
        group("main", &[&from], &[&everywhere]),
    ];
    let main = bench.born(&at, group("main", &[&https], &[]), changed).await.id;

    // Two that name each other: the first attempt takes its side of it away.
    let back = rule(Ports::Udp(53, 53), Peer::SecurityGroup(main), "back");
    bench.change(&bench.wanted(&key(Kind::SecurityGroup, &["peer"]), group("peer", &[&back], &[]))).await;
    let found = bench.find(&at, Kind::SecurityGroup).await.unwrap();
    let error = bench.cloud.delete(&bench.cluster, &found).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DependencyViolation);
    bench.gone(&key(Kind::SecurityGroup, &["peer"])).await;
    bench.gone(&at).await;
}

#[tokio::test]
async fn what_an_attempt_has_begun_is_finished_by_the_next() {
    let bench = Bench::new("net-begun").await;
    let at = key(Kind::InternetGateway, &[]);
    let wrong = bench.wanted(&at, Resource::InternetGateway(InternetGateway { vpc: Some("vpc-00000000".to_owned()) }));
    bench.cloud.create(&bench.cluster, &wrong).await.unwrap_err();
    let vpc = make_vpc(&bench).await;
    let right = Resource::InternetGateway(InternetGateway { vpc: Some(vpc) });
    bench.create(&at, right).await;
    assert_eq!(bench.observe(Kind::InternetGateway).await.len(), 1);
    bench.gone(&at).await;
}
