//! Addresses of the VPC that is to be made; ways in and out of the subnets that are brought.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{RouteTable, Vpc};
use ipnet::Ipv4Net;
use provision::{
    cloud::CloudError,
    resource::{Kind, Resource},
};
use spec::cluster::{Scheme, Subnet, Visibility, Vpc as VpcSpec};

use super::{Finding, Subject};
use crate::{Clients, call::filter, classify::ec2};

/// "Subnets for your load balancer", Elastic Load Balancing user guide.
const FREE_ADDRESSES: i32 = 8;

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let made = subject.created(Kind::Vpc).find_map(|entry| match &entry.wanted.as_ref()?.resource {
        Resource::Vpc(vpc) => Some(vpc.cidr),
        _ => None,
    });
    if let Some(cidr) = made {
        let pages = clients.ec2.describe_vpcs().into_paginator().items().send();
        let vpcs = pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)?;
        return Ok(vec![overlap(cidr, &vpcs), private(cidr)]);
    }
    match &subject.aws.network.vpc {
        VpcSpec::Brought { subnets, load_balancer_subnets } if subject.creates(Kind::LoadBalancer) => {
            brought(clients, subject, subnets, load_balancer_subnets).await
        }
        _ => Ok(Vec::new()),
    }
}

/// AWS allows it; connecting the two later it does not.
fn overlap(cidr: Ipv4Net, vpcs: &[Vpc]) -> Finding {
    let touches =
        |range: &str| range.parse().is_ok_and(|range: Ipv4Net| range.contains(&cidr) || cidr.contains(&range));
    let overlapping = vpcs.iter().filter(|vpc| {
        let more = vpc.cidr_block_association_set().iter().filter_map(|range| range.cidr_block());
        vpc.cidr_block().into_iter().chain(more).any(touches)
    });
    let names: Vec<String> = overlapping.map(name).collect();
    match names.is_empty() {
        true => Finding::passed("vpc_cidr", format!("{cidr} overlaps with no VPC of the region")),
        false => Finding::warning("vpc_cidr", format!("{cidr} overlaps with {}", names.join(", "))).hint(
            "choose another `vpc_cidr` if the cluster's VPC is ever to be connected with it: it cannot change later",
        ),
    }
}

fn name(vpc: &Vpc) -> String {
    let id = vpc.vpc_id().unwrap_or("?");
    let range = vpc.cidr_block().unwrap_or_default();
    match vpc.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(|tag| tag.value()) {
        Some(name) => format!("{id} ({name}, {range})"),
        None => format!("{id} ({range})"),
    }
}

/// RFC 1918; 100.64.0.0/10 is used like it.
fn private(cidr: Ipv4Net) -> Finding {
    let ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];
    match ranges.iter().filter_map(|range| range.parse::<Ipv4Net>().ok()).any(|range| range.contains(&cidr)) {
        true => Finding::passed("vpc_cidr", format!("{cidr} is a range for private use")),
        false => Finding::warning("vpc_cidr", format!("{cidr} has public addresses of the internet in it"))
            .hint("nodes could not reach these; choose a range within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"),
    }
}

async fn brought(
    clients: &Clients,
    subject: Subject<'_>,
    nodes: &[Subnet],
    balancers: &[Subnet],
) -> Result<Vec<Finding>, CloudError> {
    let ids: BTreeSet<String> = nodes.iter().chain(balancers).map(|subnet| subnet.subnet_id.clone()).collect();
    let wanted = aws_sdk_ec2::types::Filter::builder().name("subnet-id").set_values(Some(ids.into_iter().collect()));
    let pages = clients.ec2.describe_subnets().filters(wanted.build()).into_paginator().items().send();
    let subnets = pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)?;
    let vpc = subnets.first().and_then(|subnet| subnet.vpc_id()).unwrap_or_default();
    let pages = clients.ec2.describe_route_tables().filters(filter("vpc-id", vpc)).into_paginator().items().send();
    let tables = pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)?;
    let ways = Ways::new(&tables);

    let public = subject.aws.network.visibility == Visibility::Public;
    let facing = [&subject.aws.load_balancers.api, &subject.aws.load_balancers.operator]
        .iter()
        .any(|balancer| balancer.scheme == Scheme::InternetFacing);
    let mut findings: Vec<Finding> = nodes.iter().map(|subnet| ways.node(&subnet.subnet_id, public)).collect();
    if facing {
        findings.extend(balancers.iter().filter_map(|subnet| ways.balancer(&subnet.subnet_id)));
    }
    for subnet in &subnets {
        let id = subnet.subnet_id().unwrap_or_default();
        let free = subnet.available_ip_address_count().unwrap_or(FREE_ADDRESSES);
        if balancers.iter().any(|balancer| balancer.subnet_id == id) && free < FREE_ADDRESSES {
            let message = format!("{id} has {free} free addresses, and a load balancer wants {FREE_ADDRESSES}");
            findings.push(Finding::warning("load_balancer_subnets", message).hint("name a larger subnet"));
        }
    }
    Ok(findings)
}

/// Where the default route of each subnet leads.
struct Ways<'a> {
    explicit: BTreeMap<&'a str, &'a RouteTable>,
    main: Option<&'a RouteTable>,
}

#[derive(Debug, PartialEq, Eq)]
enum Way<'a> {
    Internet,
    Through(&'a str),
    Nowhere,
}

impl<'a> Ways<'a> {
    fn new(tables: &'a [RouteTable]) -> Self {
        let mut ways = Self { explicit: BTreeMap::new(), main: None };
        for table in tables {
            for association in table.associations() {
                if association.main() == Some(true) {
                    ways.main = Some(table);
                }
                ways.explicit.extend(association.subnet_id().map(|subnet| (subnet, table)));
            }
        }
        ways
    }

    fn out_of(&self, subnet: &str) -> Way<'a> {
        let table = self.explicit.get(subnet).copied().or(self.main);
        let routes = table.map(RouteTable::routes).unwrap_or_default();
        let Some(route) = routes.iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0")) else {
            return Way::Nowhere;
        };
        match route.gateway_id() {
            Some(gateway) if gateway.starts_with("igw-") => Way::Internet,
            gateway => Way::Through(
                gateway
                    .or(route.nat_gateway_id())
                    .or(route.transit_gateway_id())
                    .or(route.network_interface_id())
                    .unwrap_or("something else"),
            ),
        }
    }

    fn node(&self, subnet: &str, public: bool) -> Finding {
        let check = "subnets";
        match (self.out_of(subnet), public) {
            (Way::Internet, true) => Finding::passed(check, format!("{subnet} is public")),
            (Way::Through(way), true) => {
                Finding::refused(check, format!("`subnet_visibility` is public, and {subnet} goes out through {way}"))
                    .hint("set `subnet_visibility: private`, or name subnets with a route to an internet gateway")
            }
            (Way::Nowhere, true) => {
                Finding::refused(check, format!("`subnet_visibility` is public, and {subnet} has no way out"))
                    .hint("name subnets with a route to an internet gateway")
            }
            (Way::Through(way), false) => Finding::passed(check, format!("{subnet} goes out through {way}")),
            (Way::Internet, false) => Finding::warning(
                check,
                format!("{subnet} goes out through an internet gateway, which serves only nodes with public addresses"),
            )
            .hint("set `subnet_visibility: public`, or give the subnet a route through a NAT gateway"),
            (Way::Nowhere, false) => Finding::warning(check, format!("{subnet} has no default route")).hint(
                "nodes need a way to S3, STS, ECS, CloudWatch Logs and the registries, by NAT or by VPC endpoints",
            ),
        }
    }

    /// Whether clients of the internet get to a load balancer there.
    fn balancer(&self, subnet: &str) -> Option<Finding> {
        (self.out_of(subnet) != Way::Internet).then(|| {
            let message = format!("a load balancer is to face the internet, and {subnet} has no internet gateway");
            Finding::refused("load_balancer_subnets", message)
                .hint("name public subnets in `load_balancer_subnets`, or set both load balancer schemes to `internal`")
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Route, RouteTableAssociation};

    use super::{super::Verdict, *};

    fn table(subnet: Option<&str>, route: Route) -> RouteTable {
        let association = RouteTableAssociation::builder();
        let association = match subnet {
            Some(subnet) => association.subnet_id(subnet),
            None => association.main(true),
        };
        RouteTable::builder().associations(association.build()).routes(route).build()
    }

    fn default_route() -> aws_sdk_ec2::types::builders::RouteBuilder {
        Route::builder().destination_cidr_block("0.0.0.0/0")
    }

    #[test]
    fn the_way_out_decides_whether_a_subnet_is_public() {
        let local = Route::builder().destination_cidr_block("10.0.0.0/16").gateway_id("local").build();
        let tables = [
            table(None, local),
            table(Some("subnet-public"), default_route().gateway_id("igw-1").build()),
            table(Some("subnet-private"), default_route().nat_gateway_id("nat-1").build()),
        ];
        let ways = Ways::new(&tables);
        for (subnet, public, verdict) in [
            ("subnet-public", true, Verdict::Passed),
            ("subnet-public", false, Verdict::Warning),
            ("subnet-private", true, Verdict::Refused),
            ("subnet-private", false, Verdict::Passed),
            ("subnet-closed", true, Verdict::Refused),
            ("subnet-closed", false, Verdict::Warning),
        ] {
            let finding = ways.node(subnet, public);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
        }
        assert_eq!(ways.balancer("subnet-public"), None);
        assert!(ways.balancer("subnet-private").is_some_and(|finding| finding.verdict == Verdict::Refused));
    }

    #[test]
    fn ranges_that_overlap_are_named() {
        let theirs = Vpc::builder().vpc_id("vpc-1").cidr_block("10.0.0.0/16").build();
        let cidr = |text: &str| text.parse().unwrap();
        let finding = overlap(cidr("10.0.8.0/24"), std::slice::from_ref(&theirs));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.message.contains("vpc-1 (10.0.0.0/16)"), "{finding:?}");
        assert_eq!(overlap(cidr("10.1.0.0/16"), &[theirs]).verdict, Verdict::Passed);
        assert_eq!(private(cidr("172.20.0.0/16")).verdict, Verdict::Passed);
        assert_eq!(private(cidr("172.32.0.0/16")).verdict, Verdict::Warning);
    }
}
