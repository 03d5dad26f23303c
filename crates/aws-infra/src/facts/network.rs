//! What the user brings: subnets, their VPC, a security group.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::SecurityGroup;
use provision::{cloud::ClusterId, desired::BroughtNetwork};
use spec::cluster::Subnet;

use super::FactsError;
use crate::{
    Clients,
    call::{filter, missing},
    classify::{ec2, present},
    tags,
};

/// The one VPC that all of the subnets are in.
pub(super) async fn brought(clients: &Clients, subnets: &[&Subnet]) -> Result<BroughtNetwork, FactsError> {
    let ids: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.subnet_id.as_str()).collect();
    // By filter: asked for by id, AWS names only the first that is missing.
    let ids = ids.into_iter().map(str::to_owned).collect();
    let wanted = aws_sdk_ec2::types::Filter::builder().name("subnet-id").set_values(Some(ids)).build();
    let pages = clients.ec2.describe_subnets().filters(wanted).into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)?;
    let found: BTreeMap<&str, _> = found.iter().filter_map(|subnet| Some((subnet.subnet_id()?, subnet))).collect();
    let mut vpcs = BTreeSet::new();
    for written in subnets {
        let Some(subnet) = found.get(written.subnet_id.as_str()) else {
            return Err(FactsError::NoSuchSubnet(written.subnet_id.clone()));
        };
        let zone = subnet.availability_zone().unwrap_or_default();
        if zone != written.availability_zone {
            return Err(FactsError::WrongZone {
                subnet: written.subnet_id.clone(),
                written: written.availability_zone.clone(),
                actual: zone.to_owned(),
            });
        }
        vpcs.extend(subnet.vpc_id().map(str::to_owned));
    }
    let mut rest = vpcs.iter();
    match (rest.next(), rest.next()) {
        (Some(vpc), None) => vpc_of(clients, vpc).await,
        (Some(_), Some(_)) => Err(FactsError::SeveralVpcs(vpcs)),
        (None, _) => Err(missing("VPC of the subnets").into()),
    }
}

async fn vpc_of(clients: &Clients, id: &str) -> Result<BroughtNetwork, FactsError> {
    let reply = clients.ec2.describe_vpcs().vpc_ids(id).send().await.map_err(ec2)?;
    let vpc = reply.vpcs.unwrap_or_default().into_iter().next().ok_or_else(|| missing("VPC of the subnets"))?;
    let ranges = vpc.cidr_block_association_set().iter().filter(|range| {
        let state = range.cidr_block_state().and_then(|state| state.state());
        state.is_none_or(|state| matches!(state.as_str(), "associated" | "associating"))
    });
    let mut cidrs: Vec<ipnet::Ipv4Net> =
        ranges.filter_map(|range| range.cidr_block()).filter_map(|cidr| cidr.parse().ok()).collect();
    if cidrs.is_empty() {
        cidrs.extend(vpc.cidr_block().and_then(|cidr| cidr.parse::<ipnet::Ipv4Net>().ok()));
    }
    cidrs.sort();
    Ok(BroughtNetwork { vpc_id: id.to_owned(), cidrs })
}

/// Its id, if it is in `vpc`; the VPC of the cluster's own that is not there yet it cannot be in, which others say.
pub(super) async fn group_by_id(clients: &Clients, id: &str, vpc: Option<&str>) -> Result<String, FactsError> {
    let refuse = |why: String| FactsError::SecurityGroup { id: id.to_owned(), why };
    let reply = present(clients.ec2.describe_security_groups().group_ids(id).send().await.map_err(ec2))?;
    let group = reply.and_then(|reply| reply.security_groups?.into_iter().next());
    let Some(group) = group else { return Err(refuse("does not exist in this region".to_owned())) };
    let of = group.vpc_id().unwrap_or_default();
    match vpc {
        Some(vpc) if vpc != of => Err(refuse(format!("is in {of}, and the subnets in {vpc}"))),
        _ => Ok(id.to_owned()),
    }
}

/// The id of the group of that name which is not ours.
pub(super) async fn group_by_name(
    clients: &Clients,
    cluster: &ClusterId,
    name: &str,
    vpc: &str,
) -> Result<Option<String>, FactsError> {
    let request = clients.ec2.describe_security_groups().filters(filter("vpc-id", vpc));
    let pages = request.filters(filter("group-name", name)).into_paginator().items().send();
    let groups: Vec<SecurityGroup> = pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)?;
    let same = groups.into_iter().filter(|group| group.group_name() == Some(name) && group.vpc_id() == Some(vpc));
    let mut theirs = same.filter(|group| {
        let tags = tags::collect(group.tags(), |tag| (tag.key(), tag.value()));
        tags::owned(cluster, &tags).is_none()
    });
    Ok(theirs.next().and_then(|group| group.group_id))
}
