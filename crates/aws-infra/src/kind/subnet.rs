//! Subnets.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, SubnetState};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, Resource, Subnet},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, id, missing},
    classify::{ec2, gone},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_subnets().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for subnet in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(subnet.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), subnet.subnet_id().map(id)) else { continue };
        let cidr = subnet.cidr_block().and_then(|cidr| cidr.parse().ok());
        let actual = Subnet {
            vpc: subnet.vpc_id.unwrap_or_default(),
            availability_zone: subnet.availability_zone.unwrap_or_default(),
            cidr: cidr.ok_or_else(|| missing("range of a subnet"))?,
            auto_assign_public_ip: subnet.map_public_ip_on_launch.unwrap_or_default(),
        };
        let state = match subnet.state {
            Some(SubnetState::Pending) => State::Pending,
            _ => State::Available,
        };
        let (kind, actual) = (Kind::Subnet, Some(Resource::Subnet(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, subnet: &Subnet<String>) -> Result<Ids> {
    let subnet_id = call.begun(wanted, make(call, wanted, subnet)).await?;
    // Off in every new subnet.
    if subnet.auto_assign_public_ip {
        assign(call, &subnet_id, true).await?;
    }
    Ok(id(subnet_id))
}

async fn make(call: Call<'_>, wanted: &Wanted, subnet: &Subnet<String>) -> Result<String> {
    let request = call.clients.ec2.create_subnet().vpc_id(&subnet.vpc).cidr_block(subnet.cidr.to_string());
    let request = request.availability_zone(&subnet.availability_zone);
    let request = request.tag_specifications(tags::specification(ResourceType::Subnet, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.subnet.and_then(|subnet| subnet.subnet_id);
    made.ok_or_else(|| missing("id of the subnet"))
}

async fn assign(call: Call<'_>, id: &str, on: bool) -> Result<()> {
    let on = AttributeBooleanValue::builder().value(on).build();
    let request = call.clients.ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(on);
    request.send().await.map(drop).map_err(ec2)
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    subnet: &Subnet<String>,
    changes: &[Change],
) -> Result<()> {
    if Fields::of(Kind::Subnet, changes, &["auto_assign_public_ip"])?.has("auto_assign_public_ip") {
        assign(call, &current.ids.id, subnet.auto_assign_public_ip).await?;
    }
    ec2_tags::update(call, &current.ids.id, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.ec2.delete_subnet().subnet_id(&what.ids.id).send().await.map(drop).map_err(ec2))
}
