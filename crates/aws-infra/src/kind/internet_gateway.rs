//! Internet gateways and what they are attached to.

use aws_sdk_ec2::types::{InternetGateway as Sdk, ResourceType};
use provision::{
    cloud::{Change, ErrorKind, Ids, Observed, State, Wanted},
    resource::{InternetGateway, Kind, Resource},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, id, missing},
    classify::{ec2, gone, present},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_internet_gateways().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for gateway in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(gateway.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), gateway.internet_gateway_id().map(id)) else {
            continue;
        };
        let actual = Some(Resource::InternetGateway(InternetGateway { vpc: attached(&gateway) }));
        let (kind, state) = (Kind::InternetGateway, State::Available);
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

fn attached(gateway: &Sdk) -> Option<String> {
    let on = gateway.attachments().iter().filter(|attachment| {
        // `available`, where the type only knows `attached`.
        !attachment.state().is_some_and(|state| matches!(state.as_str(), "detaching" | "detached"))
    });
    on.filter_map(|attachment| attachment.vpc_id()).map(str::to_owned).next()
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, gateway: &InternetGateway<String>) -> Result<Ids> {
    let gateway_id = call.begun(wanted, make(call, wanted)).await?;
    if let Some(vpc) = &gateway.vpc {
        attach(call, &gateway_id, vpc).await?;
    }
    Ok(id(gateway_id))
}

async fn make(call: Call<'_>, wanted: &Wanted) -> Result<String> {
    let request = call.clients.ec2.create_internet_gateway();
    let request = request.tag_specifications(tags::specification(ResourceType::InternetGateway, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.internet_gateway.and_then(|gateway| gateway.internet_gateway_id);
    made.ok_or_else(|| missing("id of the internet gateway"))
}

async fn attach(call: Call<'_>, id: &str, vpc: &str) -> Result<()> {
    let request = call.clients.ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    match request.send().await.map(drop).map_err(ec2) {
        // By the attempt before this one, perhaps.
        Err(error) if error.kind == ErrorKind::DependencyViolation => match find(call, id).await? {
            Some(gateway) if attached(&gateway).as_deref() == Some(vpc) => Ok(()),
            _ => Err(error),
        },
        result => result,
    }
}

async fn detach(call: Call<'_>, id: &str, vpc: &str) -> Result<()> {
    let request = call.clients.ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    gone(request.send().await.map(drop).map_err(ec2))
}

async fn find(call: Call<'_>, id: &str) -> Result<Option<Sdk>> {
    let reply = call.clients.ec2.describe_internet_gateways().internet_gateway_ids(id).send().await.map_err(ec2);
    Ok(present(reply)?.and_then(|reply| reply.internet_gateways?.into_iter().next()))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    gateway: &InternetGateway<String>,
    changes: &[Change],
) -> Result<()> {
    let id = &current.ids.id;
    if Fields::of(Kind::InternetGateway, changes, &["vpc"])?.has("vpc") {
        let now = find(call, id).await?.and_then(|gateway| attached(&gateway));
        if let Some(vpc) = now.as_ref().filter(|vpc| Some(*vpc) != gateway.vpc.as_ref()) {
            detach(call, id, vpc).await?;
        }
        if let Some(vpc) = gateway.vpc.as_ref().filter(|vpc| Some(*vpc) != now.as_ref()) {
            attach(call, id, vpc).await?;
        }
    }
    ec2_tags::update(call, id, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let id = &what.ids.id;
    let Some(gateway) = find(call, id).await? else { return Ok(()) };
    if let Some(vpc) = attached(&gateway) {
        detach(call, id, &vpc).await?;
    }
    gone(call.clients.ec2.delete_internet_gateway().internet_gateway_id(id).send().await.map(drop).map_err(ec2))
}
