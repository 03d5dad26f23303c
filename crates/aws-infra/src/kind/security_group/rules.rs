//! The rules of a security group.
//!
//! EC2 lists them as permissions: one per protocol and range of ports, with any number of peers. We see one rule per
//! peer, as EC2 itself does where it gives rules ids, and send them so.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroup, UserIdGroupPair};
use ipnet::Ipv4Net;
use provision::{
    cloud::ErrorKind,
    resource::{Peer, Ports, Rule},
};

use crate::{
    call::{Call, Result},
    classify::{done_before, ec2, gone},
};

type Rules = BTreeSet<Rule<String>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

pub(super) fn read(permissions: &[IpPermission]) -> Rules {
    permissions.iter().flat_map(split).map(|(rule, _)| rule).collect()
}

/// Every rule with the permission that says it, and nothing else.
fn split(permission: &IpPermission) -> Vec<(Rule<String>, IpPermission)> {
    let (ports, odd) = ports(permission);
    let bare = || {
        IpPermission::builder()
            .set_ip_protocol(permission.ip_protocol.clone())
            .set_from_port(permission.from_port)
            .set_to_port(permission.to_port)
    };
    let mut all = Vec::new();
    let mut add = |peer: Peer<String>, description: Option<&str>, one: IpPermission| {
        let peer = match (&odd, peer) {
            // No rule of ours speaks of this protocol; whatever differs will do.
            (Some(protocol), peer) => Peer::Other(format!("{protocol} {peer:?}")),
            (None, peer) => peer,
        };
        all.push((Rule { ports, peer, description: description.unwrap_or_default().to_owned() }, one));
    };
    for range in permission.ip_ranges() {
        let text = range.cidr_ip().unwrap_or_default();
        let peer = text.parse::<Ipv4Net>().map_or_else(|_| Peer::Other(text.to_owned()), Peer::Cidr);
        add(peer, range.description(), bare().ip_ranges(range.clone()).build());
    }
    for range in permission.ipv6_ranges() {
        let peer = Peer::Other(range.cidr_ipv6().unwrap_or_default().to_owned());
        add(peer, range.description(), bare().ipv6_ranges(range.clone()).build());
    }
    for list in permission.prefix_list_ids() {
        let peer = Peer::Other(list.prefix_list_id().unwrap_or_default().to_owned());
        add(peer, list.description(), bare().prefix_list_ids(list.clone()).build());
    }
    for pair in permission.user_id_group_pairs() {
        let peer = Peer::SecurityGroup(pair.group_id().unwrap_or_default().to_owned());
        add(peer, pair.description(), bare().user_id_group_pairs(pair.clone()).build());
    }
    all
}

/// The protocol beside them, if it is none of ours.
fn ports(permission: &IpPermission) -> (Ports, Option<String>) {
    let (from, to) = (crate::call::port(permission.from_port), crate::call::port(permission.to_port));
    match permission.ip_protocol().unwrap_or("-1") {
        "tcp" | "6" => (Ports::Tcp(from, to), None),
        "udp" | "17" => (Ports::Udp(from, to), None),
        "-1" => (Ports::All, None),
        other => (Ports::All, Some(other.to_owned())),
    }
}

fn permission(rule: &Rule<String>) -> IpPermission {
    let builder = match rule.ports {
        Ports::Tcp(from, to) => IpPermission::builder().ip_protocol("tcp").from_port(from.into()).to_port(to.into()),
        Ports::Udp(from, to) => IpPermission::builder().ip_protocol("udp").from_port(from.into()).to_port(to.into()),
        Ports::All => IpPermission::builder().ip_protocol("-1"),
    };
    let description = (!rule.description.is_empty()).then(|| rule.description.clone());
    match &rule.peer {
        Peer::Cidr(cidr) => {
            builder.ip_ranges(IpRange::builder().cidr_ip(cidr.to_string()).set_description(description).build())
        }
        Peer::SecurityGroup(id) => {
            builder.user_id_group_pairs(UserIdGroupPair::builder().group_id(id).set_description(description).build())
        }
        Peer::Other(list) if list.starts_with("pl-") => {
            builder.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).set_description(description).build())
        }
        Peer::Other(range) => {
            builder.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range).set_description(description).build())
        }
    }
    .build()
}

/// What is missing comes before what is too much goes: nobody is locked out in between.
pub(super) async fn apply(
    call: Call<'_>,
    group: &str,
    direction: Direction,
    now: &[IpPermission],
    wanted: &Rules,
) -> Result<()> {
    let now: Vec<(Rule<String>, IpPermission)> = now.iter().flat_map(split).collect();
    let same = |one: &Rule<String>, other: &Rule<String>| one.ports == other.ports && one.peer == other.peer;
    let missing: Vec<&Rule<String>> = wanted.iter().filter(|rule| !now.iter().any(|(has, _)| has == *rule)).collect();
    let (renamed, new): (Vec<&Rule<String>>, Vec<&Rule<String>>) =
        missing.into_iter().partition(|rule| now.iter().any(|(has, _)| same(has, rule)));
    let extra = now.iter().filter(|(has, _)| !wanted.iter().any(|rule| same(has, rule)));
    let extra: Vec<IpPermission> = extra.map(|(_, permission)| permission.clone()).collect();
    if !new.is_empty() {
        authorize(call, group, direction, new.iter().map(|rule| permission(rule)).collect()).await?;
    }
    if !renamed.is_empty() {
        describe(call, group, direction, renamed.iter().map(|rule| permission(rule)).collect()).await?;
    }
    if extra.is_empty() { Ok(()) } else { revoke(call, group, direction, extra).await }
}

/// One that is there already spoils all: then they are sent one by one.
async fn authorize(call: Call<'_>, group: &str, direction: Direction, rules: Vec<IpPermission>) -> Result<()> {
    match authorize_all(call, group, direction, rules.clone()).await {
        Err(error) if error.kind == ErrorKind::AlreadyExists => {
            for rule in rules {
                done_before(authorize_all(call, group, direction, vec![rule]).await)?;
            }
            Ok(())
        }
        result => result,
    }
}

async fn authorize_all(call: Call<'_>, group: &str, direction: Direction, rules: Vec<IpPermission>) -> Result<()> {
    let ec2_client = &call.clients.ec2;
    match direction {
        Direction::Ingress => {
            let request = ec2_client.authorize_security_group_ingress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
        Direction::Egress => {
            let request = ec2_client.authorize_security_group_egress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
    }
}

async fn describe(call: Call<'_>, group: &str, direction: Direction, rules: Vec<IpPermission>) -> Result<()> {
    let ec2_client = &call.clients.ec2;
    match direction {
        Direction::Ingress => {
            let request = ec2_client.update_security_group_rule_descriptions_ingress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
        Direction::Egress => {
            let request = ec2_client.update_security_group_rule_descriptions_egress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
    }
}

async fn revoke(call: Call<'_>, group: &str, direction: Direction, rules: Vec<IpPermission>) -> Result<()> {
    let ec2_client = &call.clients.ec2;
    gone(match direction {
        Direction::Ingress => {
            let request = ec2_client.revoke_security_group_ingress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
        Direction::Egress => {
            let request = ec2_client.revoke_security_group_egress().group_id(group);
            request.set_ip_permissions(Some(rules)).send().await.map(drop).map_err(ec2)
        }
    })
}

/// Takes out the rules that name other groups.
pub(super) async fn revoke_references(call: Call<'_>, id: &str, group: &SecurityGroup) -> Result<()> {
    let both = [(Direction::Ingress, group.ip_permissions()), (Direction::Egress, group.ip_permissions_egress())];
    for (direction, permissions) in both {
        let references = permissions.iter().flat_map(split);
        let references = references.filter(|(rule, _)| matches!(rule.peer, Peer::SecurityGroup(_)));
        let references: Vec<IpPermission> = references.map(|(_, permission)| permission).collect();
        if !references.is_empty() {
            revoke(call, id, direction, references).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_the_way_to_ec2_and_back() {
        let rule = |ports, peer| Rule { ports, peer, description: "why".to_owned() };
        for rule in [
            rule(Ports::Tcp(443, 443), Peer::Cidr("10.0.0.0/8".parse().unwrap())),
            rule(Ports::Udp(1, 9), Peer::SecurityGroup("sg-1".to_owned())),
            rule(Ports::All, Peer::Other("pl-1".to_owned())),
            rule(Ports::All, Peer::Other("::/0".to_owned())),
        ] {
            assert_eq!(read(&[permission(&rule)]), Rules::from([rule]));
        }
    }

    #[test]
    fn a_protocol_we_never_allow_is_seen_as_something_else() {
        let ping = IpPermission::builder().ip_protocol("icmp").from_port(-1).to_port(-1);
        let ping = ping.ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build()).build();
        let seen: Vec<_> = read(&[ping]).into_iter().collect();
        assert!(matches!(&seen[0].peer, Peer::Other(what) if what.starts_with("icmp")));
    }
}
