//! VPC, subnets and the ways out of them; or where things are in a network of the user's.
//!
//! The VPC's range is cut into equal slots: the first half for public subnets, the second for private ones, one slot per
//! zone in the order of zones. A cluster without private subnets leaves the second half alone, so that slots depend on
//! nothing but the VPC's range and the zones, neither of which can change.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use spec::cluster::{Nat, Scheme, Subnet as BroughtSubnet, Visibility, Vpc as VpcSpec};

use super::{Build, facts, ids, key};
use crate::resource::{
    ElasticIp, InternetGateway, Key, Kind, Link, NatGateway, Resource, Route, RouteTable, Subnet, Via, Vpc, VpcEndpoint,
};

/// Where the rest of the cluster stands.
pub(super) struct Network {
    pub vpc: Link,
    pub cidrs: Vec<Ipv4Net>,
    public: BTreeSet<Link>,
    private: BTreeSet<Link>,
    visibility: Visibility,
    /// Of the user's network: all load balancers stand here.
    balancers: Option<BTreeSet<Link>>,
    pub internet_gateway: Option<Key>,
    /// The way to S3 and beyond: instances want it when they boot.
    pub routes: Vec<Key>,
}

impl Network {
    pub(super) fn node_subnets(&self) -> &BTreeSet<Link> {
        match self.visibility {
            Visibility::Public => &self.public,
            Visibility::Private => &self.private,
        }
    }

    pub(super) fn balancer_subnets(&self, scheme: Scheme) -> &BTreeSet<Link> {
        match (&self.balancers, scheme) {
            (Some(brought), _) => brought,
            (None, Scheme::InternetFacing) => &self.public,
            (None, Scheme::Internal) => self.node_subnets(),
        }
    }

    pub(super) fn public_nodes(&self) -> bool {
        self.visibility == Visibility::Public
    }
}

pub(super) fn add(build: &mut Build<'_>) -> Network {
    let visibility = build.aws.network.visibility;
    match &build.aws.network.vpc {
        VpcSpec::Own { cidr, nat_gateway, .. } => own(build, *cidr, *nat_gateway, visibility),
        VpcSpec::Brought { subnets, load_balancer_subnets } => {
            brought(build, subnets, load_balancer_subnets, visibility)
        }
    }
}

fn brought(
    build: &Build<'_>,
    subnets: &[BroughtSubnet],
    balancers: &[BroughtSubnet],
    visibility: Visibility,
) -> Network {
    let known = |list: &[BroughtSubnet]| list.iter().map(|s| Link::Known(s.subnet_id.clone())).collect();
    let network = build.facts.brought_network.as_ref().expect("checked before anything is built");
    let nodes: BTreeSet<Link> = known(subnets);
    Network {
        vpc: Link::Known(network.vpc_id.clone()),
        cidrs: network.cidrs.clone(),
        public: nodes.clone(),
        private: nodes,
        visibility,
        balancers: Some(known(balancers)),
        internet_gateway: None,
        routes: Vec::new(),
    }
}

fn own(build: &mut Build<'_>, cidr: Ipv4Net, nat: Nat, visibility: Visibility) -> Network {
    let zones = facts::zones(build.aws, build.facts);
    let vpc = key(Kind::Vpc, &[]);
    let closed = Vpc { cidr, dns_support: true, dns_hostnames: true, default_security_group_closed: true };
    build.add(&vpc, Resource::Vpc(closed));
    let gateway = key(Kind::InternetGateway, &[]);
    build.add(&gateway, Resource::InternetGateway(InternetGateway { vpc: Some(Link::id(&vpc)) }));

    let public = subnets(build, &vpc, "public", &zones, &cidr);
    let out = Via::InternetGateway(Link::id(&gateway));
    let mut routes = vec![route_table(build, &vpc, &["public"], out, &public)];
    let mut private = Vec::new();
    if visibility == Visibility::Private {
        private = subnets(build, &vpc, "private", &zones, &cidr);
        let nats = nat_gateways(build, nat, &zones, &public, &gateway);
        for (at, (zone, subnet)) in zones.iter().zip(&private).enumerate() {
            // With a single one, every zone uses the first's.
            let out = Via::NatGateway(Link::id(nats.get(at).unwrap_or(&nats[0])));
            routes.push(route_table(build, &vpc, &["private", zone], out, std::slice::from_ref(subnet)));
        }
    }
    let endpoint = key(Kind::VpcEndpoint, &["s3"]);
    let service = format!("com.amazonaws.{}.s3", build.aws.region);
    let s3 = VpcEndpoint { vpc: Link::id(&vpc), service, route_tables: ids(&routes) };
    build.add(&endpoint, Resource::VpcEndpoint(s3));
    routes.push(endpoint);
    Network {
        vpc: Link::id(&vpc),
        cidrs: vec![cidr],
        public: ids(&public),
        private: ids(&private),
        visibility,
        balancers: None,
        internet_gateway: Some(gateway),
        routes,
    }
}

fn subnets(build: &mut Build<'_>, vpc: &Key, name: &str, zones: &[String], cidr: &Ipv4Net) -> Vec<Key> {
    let half = if name == "public" { Half::First } else { Half::Second };
    let slots = slots(cidr, zones.len(), half);
    let mut keys = Vec::new();
    for (zone, cidr) in zones.iter().zip(slots) {
        let key = key(Kind::Subnet, &[name, zone]);
        let vpc = Link::id(vpc);
        // Nodes that are to have a public address get it by their launch template.
        let subnet = Subnet { vpc, availability_zone: zone.clone(), cidr, auto_assign_public_ip: false };
        build.add(&key, Resource::Subnet(subnet));
        keys.push(key);
    }
    keys
}

#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

/// Four slots in each half, or eight if there are more zones. The smallest VPC allowed, /24, gives /27 or /28, which is
/// the smallest subnet allowed ("Subnet sizing", VPC user guide).
fn slots(cidr: &Ipv4Net, zones: usize, half: Half) -> Vec<Ipv4Net> {
    let bits = if zones <= 4 { 3 } else { 4 };
    let all: Vec<_> = cidr.subnets(cidr.prefix_len() + bits).map(Iterator::collect).unwrap_or_default();
    let (first, second): (&[Ipv4Net], &[Ipv4Net]) = all.split_at(all.len() / 2);
    match half {
        Half::First => first.to_vec(),
        Half::Second => second.to_vec(),
    }
}

/// One per zone, or only the first zone's. They need the way to the internet when they are made.
fn nat_gateways(build: &mut Build<'_>, nat: Nat, zones: &[String], public: &[Key], gateway: &Key) -> Vec<Key> {
    let count = match nat {
        Nat::HighlyAvailable => zones.len(),
        // Private nodes without any are refused by `spec`.
        Nat::Single | Nat::None => 1,
    };
    let mut keys = Vec::new();
    for (zone, subnet) in zones.iter().zip(public).take(count) {
        let ip = key(Kind::ElasticIp, &["nat", zone]);
        build.add(&ip, Resource::ElasticIp(ElasticIp {}));
        let nat = key(Kind::NatGateway, &[zone]);
        let made = NatGateway { subnet: Link::id(subnet), elastic_ip: Link::id(&ip) };
        build.add_after(&nat, Resource::NatGateway(made), &[gateway]);
        keys.push(nat);
    }
    keys
}

fn route_table(build: &mut Build<'_>, vpc: &Key, name: &[&str], out: Via<Link>, subnets: &[Key]) -> Key {
    let key = key(Kind::RouteTable, name);
    let default = Route { destination: Ipv4Net::default(), via: out };
    let table = RouteTable { vpc: Link::id(vpc), routes: BTreeSet::from([default]), subnets: ids(subnets) };
    build.add(&key, Resource::RouteTable(table));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_disjoint_and_inside() {
        for (cidr, zones, expected) in [("10.0.0.0/16", 2, 19), ("10.0.0.0/24", 4, 27), ("10.0.0.0/24", 6, 28)] {
            let cidr: Ipv4Net = cidr.parse().expect("a constant");
            let mut all = slots(&cidr, zones, Half::First);
            all.truncate(zones);
            all.extend(slots(&cidr, zones, Half::Second).into_iter().take(zones));
            assert_eq!(all.len(), 2 * zones);
            for (at, slot) in all.iter().enumerate() {
                assert_eq!(slot.prefix_len(), expected);
                assert!(cidr.contains(slot));
                assert!(all[at + 1..].iter().all(|other| !slot.contains(other) && !other.contains(slot)));
            }
        }
    }
}
