//! VPCs, with the security group that AWS makes in each.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, SecurityGroup, VpcAttributeName, VpcState};
use provision::{
    cloud::{Change, CloudError, ErrorKind, Ids, Observed, State, Wanted},
    resource::{Kind, Resource, Vpc},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, filter, id, invalid, missing},
    classify::{ec2, gone, present},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_vpcs().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for vpc in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(vpc.tags.as_deref());
        let (Some(key), Some(vpc_id)) = (tags::owned(call.cluster, &tags), vpc.vpc_id()) else { continue };
        let Some((dns_support, dns_hostnames, closed)) = present(settings(call, vpc_id).await)? else { continue };
        let cidr = vpc.cidr_block().and_then(|cidr| cidr.parse().ok());
        let actual = Vpc {
            cidr: cidr.ok_or_else(|| missing("range of a VPC"))?,
            dns_support,
            dns_hostnames,
            default_security_group_closed: closed,
        };
        let state = if vpc.state() == Some(&VpcState::Pending) { State::Pending } else { State::Available };
        let ids = id(vpc_id);
        let actual = Some(Resource::Vpc(actual));
        observed.push(Found { key, kind: Kind::Vpc, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

/// DNS support, DNS host names, whether the default group is closed.
async fn settings(call: Call<'_>, vpc: &str) -> Result<(bool, bool, bool)> {
    let attribute = |name| call.clients.ec2.describe_vpc_attribute().vpc_id(vpc).attribute(name).send();
    let support = attribute(VpcAttributeName::EnableDnsSupport);
    let names = attribute(VpcAttributeName::EnableDnsHostnames);
    let group = default_group(call, vpc);
    let (support, names, group) = futures_util::join!(support, names, group);
    let on = |value: Option<AttributeBooleanValue>| value.and_then(|value| value.value).unwrap_or_default();
    let closed =
        group?.is_some_and(|group| group.ip_permissions().is_empty() && group.ip_permissions_egress().is_empty());
    let (support, names) = (support.map_err(ec2)?, names.map_err(ec2)?);
    Ok((on(support.enable_dns_support), on(names.enable_dns_hostnames), closed))
}

async fn default_group(call: Call<'_>, vpc: &str) -> Result<Option<SecurityGroup>> {
    let request = call.clients.ec2.describe_security_groups();
    let request = request.filters(filter("vpc-id", vpc)).filters(filter("group-name", "default"));
    let groups = request.send().await.map_err(ec2)?.security_groups.unwrap_or_default();
    Ok(groups.into_iter().find(|group| group.vpc_id() == Some(vpc) && group.group_name() == Some("default")))
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, vpc: &Vpc) -> Result<Ids> {
    let vpc_id = call.begun(wanted, make(call, wanted, vpc)).await?;
    apply(call, &vpc_id, vpc, true, true, true).await?;
    Ok(id(vpc_id))
}

async fn make(call: Call<'_>, wanted: &Wanted, vpc: &Vpc) -> Result<String> {
    let request = call.clients.ec2.create_vpc().cidr_block(vpc.cidr.to_string());
    let request = request.tag_specifications(tags::specification(ResourceType::Vpc, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.vpc.and_then(|vpc| vpc.vpc_id);
    made.ok_or_else(|| missing("id of the VPC"))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    vpc: &Vpc,
    changes: &[Change],
) -> Result<()> {
    let can = ["dns_support", "dns_hostnames", "default_security_group_closed"];
    let fields = Fields::of(Kind::Vpc, changes, &can)?;
    let [support, names, closed] = can.map(|field| fields.has(field));
    apply(call, &current.ids.id, vpc, support, names, closed).await?;
    ec2_tags::update(call, &current.ids.id, wanted, changes).await
}

/// One attribute per call, AWS says; host names need support.
async fn apply(call: Call<'_>, id: &str, vpc: &Vpc, support: bool, names: bool, closed: bool) -> Result<()> {
    let on = |value| AttributeBooleanValue::builder().value(value).build();
    let modify = || call.clients.ec2.modify_vpc_attribute().vpc_id(id);
    if support {
        modify().enable_dns_support(on(vpc.dns_support)).send().await.map_err(ec2)?;
    }
    if names {
        modify().enable_dns_hostnames(on(vpc.dns_hostnames)).send().await.map_err(ec2)?;
    }
    match (closed, vpc.default_security_group_closed) {
        (true, true) => close(call, id).await,
        (true, false) => Err(invalid("the default security group of a VPC is only ever closed")),
        (false, _) => Ok(()),
    }
}

async fn close(call: Call<'_>, vpc: &str) -> Result<()> {
    // Every VPC has one; right after it was made, not everybody knows it yet.
    let Some(group) = default_group(call, vpc).await? else {
        return Err(CloudError::new(
            ErrorKind::NotFoundYet,
            format!("the default security group of {vpc} is not seen yet"),
        ));
    };
    let (ingress, egress) = (group.ip_permissions.unwrap_or_default(), group.ip_permissions_egress.unwrap_or_default());
    let id = group.group_id.unwrap_or_default();
    if !ingress.is_empty() {
        let request = call.clients.ec2.revoke_security_group_ingress().group_id(&id).set_ip_permissions(Some(ingress));
        gone(request.send().await.map(drop).map_err(ec2))?;
    }
    if !egress.is_empty() {
        let request = call.clients.ec2.revoke_security_group_egress().group_id(&id).set_ip_permissions(Some(egress));
        gone(request.send().await.map(drop).map_err(ec2))?;
    }
    Ok(())
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.ec2.delete_vpc().vpc_id(&what.ids.id).send().await.map(drop).map_err(ec2))
}
