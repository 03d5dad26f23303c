//! NAT gateways. AWS keeps listing one for an hour after it is deleted or has failed.

use aws_sdk_ec2::types::{NatGateway as Sdk, NatGatewayState, ResourceType};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, NatGateway, Resource},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, id, missing},
    classify::{ec2, gone},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_nat_gateways().filter(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for gateway in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(gateway.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), gateway.nat_gateway_id().map(id)) else {
            continue;
        };
        let Some(state) = state(&gateway) else { continue };
        let created_at = gateway.create_time;
        let addresses = gateway.nat_gateway_addresses.unwrap_or_default();
        let actual = NatGateway {
            subnet: gateway.subnet_id.unwrap_or_default(),
            elastic_ip: addresses.into_iter().find_map(|address| address.allocation_id).unwrap_or_default(),
        };
        let (kind, actual) = (Kind::NatGateway, Some(Resource::NatGateway(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at }.into());
    }
    Ok(observed)
}

/// `None` once it is gone.
fn state(gateway: &Sdk) -> Option<State> {
    match gateway.state()? {
        NatGatewayState::Available => Some(State::Available),
        NatGatewayState::Deleting => Some(State::Deleting),
        NatGatewayState::Deleted => None,
        NatGatewayState::Failed => {
            let code = gateway.failure_code().unwrap_or("failed");
            Some(State::Failed(format!("{code}: {}", gateway.failure_message().unwrap_or_default())))
        }
        _ => Some(State::Pending),
    }
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, gateway: &NatGateway<String>) -> Result<Ids> {
    let request = call.clients.ec2.create_nat_gateway().client_token(call.token(wanted));
    let request = request.subnet_id(&gateway.subnet).allocation_id(&gateway.elastic_ip);
    let request = request.tag_specifications(tags::specification(ResourceType::Natgateway, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.nat_gateway.and_then(|gateway| gateway.nat_gateway_id);
    made.map(id).ok_or_else(|| missing("id of the NAT gateway"))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    _: &NatGateway<String>,
    changes: &[Change],
) -> Result<()> {
    Fields::of(Kind::NatGateway, changes, &[])?;
    ec2_tags::update(call, &current.ids.id, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.ec2.delete_nat_gateway().nat_gateway_id(&what.ids.id).send().await.map(drop).map_err(ec2))
}
