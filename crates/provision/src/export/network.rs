//! What EC2 calls VPC and everything in it.

use serde_json::{Value, json};

use super::{Address, Block};
use crate::resource::{Peer, Ports, RouteTable, Rule, SecurityGroup, Subnet, Via, Vpc, VpcEndpoint};

pub(super) fn vpc(of: &Vpc, own: &Address) -> Vec<Block> {
    let body = json!({
        "cidr_block": of.cidr,
        "enable_dns_support": of.dns_support,
        "enable_dns_hostnames": of.dns_hostnames,
    });
    let mut blocks = vec![Block::of(own, body)];
    if of.default_security_group_closed {
        // Without any rule in it Terraform takes out those that AWS has put there.
        let body = json!({ "vpc_id": own.attribute("id") });
        blocks.push(Block::part("aws_default_security_group", own, body));
    }
    blocks
}

pub(super) fn subnet(of: &Subnet<String>, own: &Address) -> Vec<Block> {
    let body = json!({
        "vpc_id": of.vpc,
        "availability_zone": of.availability_zone,
        "cidr_block": of.cidr,
        "map_public_ip_on_launch": of.auto_assign_public_ip,
    });
    vec![Block::of(own, body)]
}

pub(super) fn route_table(of: &RouteTable<String>, own: &Address) -> Vec<Block> {
    let id = own.attribute("id");
    let routes = of.routes.iter().map(|route| {
        let mut body = json!({ "route_table_id": id, "destination_cidr_block": route.destination });
        let (setting, to) = match &route.via {
            Via::InternetGateway(to) => ("gateway_id", to),
            Via::NatGateway(to) => ("nat_gateway_id", to),
            Via::Other(to) => ("network_interface_id", to),
        };
        body[setting] = json!(to);
        Block::named("aws_route", own, &route.destination.to_string(), body)
    });
    let subnets = of.subnets.iter().enumerate().map(|(at, subnet)| {
        let body = json!({ "route_table_id": id, "subnet_id": subnet });
        Block::named("aws_route_table_association", own, &(at + 1).to_string(), body)
    });
    let table = Block::of(own, json!({ "vpc_id": of.vpc }));
    [table].into_iter().chain(routes).chain(subnets).collect()
}

pub(super) fn endpoint(of: &VpcEndpoint<String>, own: &Address) -> Vec<Block> {
    let body = json!({
        "vpc_id": of.vpc,
        "service_name": of.service,
        "vpc_endpoint_type": "Gateway",
        "route_table_ids": of.route_tables,
    });
    vec![Block::of(own, body)]
}

pub(super) fn security_group(of: &SecurityGroup<String>, own: &Address) -> Vec<Block> {
    let body = json!({ "vpc_id": of.vpc, "name": of.name, "description": of.description });
    let rules = |r#type: &'static str, rules: &std::collections::BTreeSet<Rule<String>>| {
        rules.iter().map(|of| Block::named(r#type, own, &rule_name(of), rule(of, own))).collect::<Vec<_>>()
    };
    let mut blocks = vec![Block::of(own, body)];
    blocks.extend(rules("aws_vpc_security_group_ingress_rule", &of.ingress));
    blocks.extend(rules("aws_vpc_security_group_egress_rule", &of.egress));
    blocks
}

fn rule(of: &Rule<String>, own: &Address) -> Value {
    let (protocol, ports) = match of.ports {
        Ports::Tcp(first, last) => ("tcp", Some((first, last))),
        Ports::Udp(first, last) => ("udp", Some((first, last))),
        Ports::All => ("-1", None),
    };
    let mut body = json!({
        "security_group_id": own.attribute("id"),
        "description": of.description,
        "ip_protocol": protocol,
        "from_port": ports.map(|(first, _)| first),
        "to_port": ports.map(|(_, last)| last),
    });
    let (setting, peer) = match &of.peer {
        Peer::Cidr(cidr) => ("cidr_ipv4", cidr.to_string()),
        Peer::SecurityGroup(id) => ("referenced_security_group_id", id.clone()),
        Peer::Other(id) => ("prefix_list_id", id.clone()),
    };
    body[setting] = json!(peer);
    body
}

/// `tcp_443_0_0_0_0_0`: unique in its group and direction.
fn rule_name(of: &Rule<String>) -> String {
    let ports = match of.ports {
        Ports::Tcp(first, last) if first == last => format!("tcp_{first}"),
        Ports::Udp(first, last) if first == last => format!("udp_{first}"),
        Ports::Tcp(first, last) => format!("tcp_{first}-{last}"),
        Ports::Udp(first, last) => format!("udp_{first}-{last}"),
        Ports::All => "all".to_owned(),
    };
    let peer = match &of.peer {
        Peer::Cidr(cidr) => cidr.to_string(),
        // `aws_security_group.control.id` is the group `control`.
        Peer::SecurityGroup(id) => id.split('.').nth(1).unwrap_or(id).to_owned(),
        Peer::Other(id) => id.clone(),
    };
    format!("{ports}_{peer}")
}
