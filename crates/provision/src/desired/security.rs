//! Security groups: who may talk to whom.
//!
//! Clients reach load balancers, load balancers reach control nodes, control nodes reach replicas; nothing else comes in
//! anywhere. Rules for what comes in name the group it comes from. Rules for what goes out name ranges of addresses: two
//! groups that name each other can neither be made nor deleted in one go.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use spec::cluster::{SecurityGroup as SecurityGroupSpec, Sharing};

use super::{Build, Network, key};
use crate::{
    names, ports,
    resource::{Key, Kind, Link, Peer, Ports, Resource, Rule, SecurityGroup},
};

pub(super) struct Groups {
    pub api_balancer: Link,
    pub operator_balancer: Link,
    pub control: Key,
    pub workers: Key,
}

type Rules = BTreeSet<Rule<Link>>;

pub(super) fn add(build: &mut Build<'_>, network: &Network) -> Groups {
    let (api_balancer, operator_balancer) = balancers(build, network);
    let (control, workers) = (key(Kind::SecurityGroup, &["control"]), key(Kind::SecurityGroup, &["workers"]));

    let from = |peer: &Link, port, description: &str| rule(one(port), Peer::SecurityGroup(peer.clone()), description);
    let ingress = [
        from(&api_balancer, ports::NODE_GATEWAY, "APIs from the load balancer"),
        from(&api_balancer, ports::NODE_GATEWAY_PLAIN, "APIs without TLS from the load balancer"),
        from(&operator_balancer, ports::NODE_OPERATOR, "operator from the load balancer"),
    ];
    let (first, last) = ports::NODE_REPLICAS;
    let mut egress = Rules::from([rule(one(443), anywhere(), "AWS")]);
    egress.extend(network.cidrs.iter().map(|cidr| rule(Ports::Tcp(first, last), Peer::Cidr(*cidr), "replicas")));
    group(build, network, &control, "control nodes: operator and gateway", Rules::from(ingress), egress);

    let gateway = Peer::SecurityGroup(Link::id(&control));
    let ingress = Rules::from([rule(Ports::Tcp(first, last), gateway, "replicas from the gateway")]);
    // What a replica needs is its author's business.
    let egress = Rules::from([rule(Ports::All, anywhere(), "whatever replicas call")]);
    group(build, network, &workers, "worker nodes: replicas", ingress, egress);
    Groups { api_balancer, operator_balancer, control, workers }
}

/// The groups of the API's and the operator's load balancer.
fn balancers(build: &mut Build<'_>, network: &Network) -> (Link, Link) {
    let existing = match &build.aws.security_group {
        Some(SecurityGroupSpec::Id(id)) => Some(id.clone()),
        Some(SecurityGroupSpec::Name(_)) => build.facts.existing_security_group.clone(),
        None => None,
    };
    if let Some(id) = existing {
        return (Link::Known(id.clone()), Link::Known(id));
    }
    let balancers = &build.aws.load_balancers;
    let api = clients(&balancers.api.cidr_white_list, &[ports::API, ports::API_PLAIN], "clients of APIs");
    let operator = |port| clients(&balancers.operator.cidr_white_list, &[port], "clients of the operator");
    let to_gateway = [ports::NODE_GATEWAY, ports::NODE_GATEWAY_PLAIN];
    let to_operator = [ports::NODE_OPERATOR];
    // A name of the user's stands for one group.
    let named = build.aws.security_group.is_some();
    match balancers.sharing {
        sharing if sharing == Sharing::Shared || named => {
            let shared = key(Kind::SecurityGroup, &["load-balancer"]);
            let port = if sharing == Sharing::Shared { ports::OPERATOR_SHARED } else { ports::OPERATOR_DEDICATED };
            let ingress = api.union(&operator(port)).cloned().collect();
            let out = nodes(network, &[to_gateway.as_slice(), &to_operator].concat());
            group(build, network, &shared, "load balancers", ingress, out);
            (Link::id(&shared), Link::id(&shared))
        }
        _ => {
            let keys = ["api", "operator"].map(|name| key(Kind::SecurityGroup, &["load-balancer", name]));
            let ingress = operator(ports::OPERATOR_DEDICATED);
            group(build, network, &keys[0], "load balancer of APIs", api, nodes(network, &to_gateway));
            group(build, network, &keys[1], "load balancer of the operator", ingress, nodes(network, &to_operator));
            (Link::id(&keys[0]), Link::id(&keys[1]))
        }
    }
}

fn clients(white_list: &[Ipv4Net], ports: &[u16], description: &str) -> Rules {
    let pairs = white_list.iter().flat_map(|cidr| ports.iter().map(move |port| (*cidr, *port)));
    pairs.map(|(cidr, port)| rule(one(port), Peer::Cidr(cidr), description)).collect()
}

fn nodes(network: &Network, ports: &[u16]) -> Rules {
    clients(&network.cidrs, ports, "control nodes")
}

fn group(build: &mut Build<'_>, network: &Network, at: &Key, description: &str, ingress: Rules, egress: Rules) {
    let name = match &build.aws.security_group {
        Some(SecurityGroupSpec::Name(name)) if at.rest().starts_with("load-balancer") => name.clone(),
        _ => names::regional(build.cluster, &at.rest().replace('/', "-")),
    };
    let description = format!("cortex: {description}");
    let made = SecurityGroup { vpc: network.vpc.clone(), name, description, ingress, egress };
    build.add(at, Resource::SecurityGroup(made));
}

fn rule(ports: Ports, peer: Peer<Link>, description: &str) -> Rule<Link> {
    Rule { ports, peer, description: description.to_owned() }
}

fn one(port: u16) -> Ports {
    Ports::Tcp(port, port)
}

fn anywhere() -> Peer<Link> {
    Peer::Cidr(Ipv4Net::default())
}
