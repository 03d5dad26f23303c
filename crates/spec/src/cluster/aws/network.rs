//! Network and load balancers: where nodes are, who reaches them, and how they reach the world.

use ipnet::Ipv4Net;

use super::{
    LoadBalancer, LoadBalancers, Nat, Network, Scheme, SecurityGroup, Sharing, Subnet, Visibility, Vpc, names, written,
};
use crate::{
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    yaml::Tree,
};

const DEFAULT_VPC: &str = "192.168.0.0/16";
const ANYWHERE: &str = "0.0.0.0/0";

/// Takes its fields out of `written`.
pub(super) fn network(document: &mut Document<'_>, written: &mut written::Written, region: Option<&str>) -> Network {
    let visibility = written.subnet_visibility.as_ref().map_or(Visibility::Public, |v| v.value);
    let brought = written.subnets.take();
    let zones = zones(document, written.availability_zones.take(), region);
    let cidr = document.optional(written.vpc_cidr.take(), names::vpc_cidr);
    match brought {
        Some(subnets) => {
            refuse_own(document);
            Network { visibility, vpc: bring(document, subnets, written, region) }
        }
        None => {
            let unreadable = document.has(Tree::ROOT, "subnets");
            if let Some(field) = written.load_balancer_subnets.as_ref().filter(|_| !unreadable) {
                document.refuse(field.node, Refusal::conflict("needs `subnets` of yours too"));
            }
            let nat_gateway = nat(document, written, visibility);
            let cidr = cidr.unwrap_or_else(|| constant(DEFAULT_VPC));
            Network { visibility, vpc: Vpc::Own { cidr, availability_zones: zones, nat_gateway } }
        }
    }
}

fn constant(cidr: &str) -> Ipv4Net {
    cidr.parse().expect("a constant of this file")
}

/// What only a VPC of our own can have.
fn refuse_own(document: &mut Document<'_>) {
    for key in ["availability_zones", "vpc_cidr"] {
        if document.has(Tree::ROOT, key) {
            let refusal = Refusal::conflict("not together with `subnets`")
                .help("your subnets already decide it: remove one of the two");
            document.refuse_field(Tree::ROOT, key, refusal);
        }
    }
}

fn zones(document: &mut Document<'_>, written: Option<At<Vec<At<String>>>>, region: Option<&str>) -> Vec<String> {
    let Some(written) = written else { return Vec::new() };
    if written.value.len() < 2 {
        document.refuse(written.node, Refusal::range("a cluster needs at least two availability zones"));
    }
    for zone in &written.value {
        if let Err(refusal) = names::zone(&zone.value, region) {
            document.refuse(zone.node, refusal);
        }
    }
    document.distinct(&written.value, duplicate);
    written.value.into_iter().map(|zone| zone.value).collect()
}

fn duplicate(value: &String, line: usize) -> Refusal {
    Refusal::new(Kind::DuplicateValue, format!("`{value}` is already in line {line}")).help("keep one of the two")
}

fn bring(
    document: &mut Document<'_>,
    nodes: At<Vec<At<written::Subnet>>>,
    written: &mut written::Written,
    region: Option<&str>,
) -> Vpc {
    if let Some(nat) = written.nat_gateway.as_ref().filter(|nat| nat.value != Nat::None) {
        let refusal = Refusal::conflict("cortex makes no NAT gateway in a network of yours")
            .help("remove it, and give private subnets a way out yourself");
        document.refuse(nat.node, refusal);
    }
    let subnets_node = nodes.node;
    let subnets = subnet_list(document, nodes, region);
    let balancers = written.load_balancer_subnets.take().map(|list| subnet_list(document, list, region));
    let scheme = |s: &Option<At<Scheme>>| s.as_ref().map_or(Scheme::InternetFacing, |s| s.value);
    let faces = [&written.api_load_balancer_scheme, &written.operator_load_balancer_scheme];
    let internet = faces.into_iter().any(|s| scheme(s) == Scheme::InternetFacing);
    let private = written.subnet_visibility.as_ref().is_some_and(|v| v.value == Visibility::Private);
    if private && internet && balancers.is_none() {
        let refusal = Refusal::conflict("an internet-facing load balancer cannot stand in private subnets")
            .help("add public ones as `load_balancer_subnets`, or set both load balancer schemes to internal");
        document.refuse(subnets_node, refusal);
    }
    Vpc::Brought { load_balancer_subnets: balancers.unwrap_or_else(|| subnets.clone()), subnets }
}

fn subnet_list(document: &mut Document<'_>, list: At<Vec<At<written::Subnet>>>, region: Option<&str>) -> Vec<Subnet> {
    if list.value.len() < 2 {
        document.refuse(list.node, Refusal::range("at least two subnets are needed, in different zones"));
    }
    let (mut zones, mut ids, mut subnets) = (Vec::new(), Vec::new(), Vec::new());
    for At { value: subnet, node } in list.value {
        let zone = document.required(node, "availability_zone", subnet.availability_zone, "for example us-east-1a");
        let id = document.required(node, "subnet_id", subnet.subnet_id, "for example subnet-0123456789abcdef0");
        let zone = zone.and_then(|zone| {
            let node = zone.node;
            document.check(zone, |z| names::zone(&z, region).map(|()| z)).map(|value| At { value, node })
        });
        let id = id.and_then(|id| {
            let node = id.node;
            document.check(id, names::subnet_id).map(|value| At { value, node })
        });
        if let (Some(zone), Some(id)) = (&zone, &id) {
            subnets.push(Subnet { availability_zone: zone.value.clone(), subnet_id: id.value.clone() });
        }
        zones.extend(zone);
        ids.extend(id);
    }
    document.distinct(&zones, |zone, line| {
        let message = format!("zone `{zone}` already has the subnet of line {line}");
        Refusal::new(Kind::DuplicateValue, message).help("name one subnet per zone")
    });
    document.distinct(&ids, duplicate);
    subnets
}

fn nat(document: &mut Document<'_>, written: &written::Written, visibility: Visibility) -> Nat {
    let default = if visibility == Visibility::Private { Nat::Single } else { Nat::None };
    let Some(nat) = &written.nat_gateway else { return default };
    match (visibility, nat.value) {
        (Visibility::Private, Nat::None) => {
            let refusal = Refusal::conflict("private nodes cannot reach AWS without a NAT gateway")
                .help("use single or highly_available, or bring `subnets` that have a way out");
            document.refuse(nat.node, refusal);
        }
        (Visibility::Public, Nat::Single | Nat::HighlyAvailable) => {
            let refusal =
                Refusal::conflict("public nodes reach the internet themselves: a NAT gateway would only cost money")
                    .help("remove it, or set `subnet_visibility: private`");
            document.refuse(nat.node, refusal);
        }
        _ => {}
    }
    nat.value
}

/// Takes its fields out of `written`.
pub(super) fn load_balancers(document: &mut Document<'_>, written: &mut written::Written) -> LoadBalancers {
    let mut one = |scheme: &Option<At<Scheme>>, list| LoadBalancer {
        scheme: scheme.as_ref().map_or(Scheme::InternetFacing, |s| s.value),
        cidr_white_list: white_list(document, list),
    };
    let api = one(&written.api_load_balancer_scheme, written.api_load_balancer_cidr_white_list.take());
    let operator = one(&written.operator_load_balancer_scheme, written.operator_load_balancer_cidr_white_list.take());
    let equal = api.scheme == operator.scheme;
    let asked = written.load_balancer.as_ref();
    if let Some(field) = asked.filter(|field| field.value == Sharing::Shared && !equal) {
        let refusal = Refusal::conflict("one load balancer cannot be both internet-facing and internal")
            .help("use `dedicated`, or give API and operator the same scheme");
        document.refuse(field.node, refusal);
    }
    let default = if equal { Sharing::Shared } else { Sharing::Dedicated };
    LoadBalancers { sharing: asked.map_or(default, |field| field.value), api, operator }
}

fn white_list(document: &mut Document<'_>, written: Option<At<Vec<At<String>>>>) -> Vec<Ipv4Net> {
    let Some(written) = written else { return vec![constant(ANYWHERE)] };
    if written.value.is_empty() {
        let refusal = Refusal::range("an empty white list would let nobody in").help("remove it to let everybody in");
        document.refuse(written.node, refusal);
    }
    document.distinct(&written.value, duplicate);
    written.value.into_iter().filter_map(|text| document.check(text, |t| names::cidr(&t))).collect()
}

/// A group of the user's may hold other rules: who is let in has to be said, not assumed.
pub(super) fn security_group(document: &mut Document<'_>, written: &mut written::Written) -> Option<SecurityGroup> {
    let field = written.security_group.take()?;
    let node = field.node;
    let lists = ["api_load_balancer_cidr_white_list", "operator_load_balancer_cidr_white_list"];
    let missing: Vec<_> = lists.into_iter().filter(|key| !document.has(Tree::ROOT, key)).collect();
    if !missing.is_empty() {
        let refusal = Refusal::conflict("a security group of yours needs explicit white lists")
            .help(format!("add {}", missing.join(" and ")));
        document.refuse(node, refusal);
    }
    document.check(field, names::security_group)
}
