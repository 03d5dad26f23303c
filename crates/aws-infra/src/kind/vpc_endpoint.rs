//! Gateway endpoints.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ResourceType, VpcEndpointType};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, Resource, VpcEndpoint},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, id, missing},
    classify::{self, ec2, gone},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_vpc_endpoints().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for endpoint in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(endpoint.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), endpoint.vpc_endpoint_id().map(id)) else {
            continue;
        };
        // The type has `Available`, the service says `available`.
        let state = endpoint.state().map(|state| state.as_str().to_ascii_lowercase()).unwrap_or_default();
        let state = match state.as_str() {
            "deleted" => continue,
            "deleting" => State::Deleting,
            "available" => State::Available,
            "failed" | "rejected" | "expired" => State::Failed(format!("the endpoint is {state}")),
            _ => State::Pending,
        };
        let actual = VpcEndpoint {
            vpc: endpoint.vpc_id.unwrap_or_default(),
            service: endpoint.service_name.unwrap_or_default(),
            route_tables: endpoint.route_table_ids.unwrap_or_default().into_iter().collect(),
        };
        let (kind, created_at) = (Kind::VpcEndpoint, endpoint.creation_timestamp);
        let actual = Some(Resource::VpcEndpoint(actual));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at }.into());
    }
    Ok(observed)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, endpoint: &VpcEndpoint<String>) -> Result<Ids> {
    let request = call.clients.ec2.create_vpc_endpoint().client_token(call.token(wanted));
    let request = request.vpc_endpoint_type(VpcEndpointType::Gateway);
    let request = request.vpc_id(&endpoint.vpc).service_name(&endpoint.service);
    let request = request.set_route_table_ids(Some(endpoint.route_tables.iter().cloned().collect()));
    let request = request.tag_specifications(tags::specification(ResourceType::VpcEndpoint, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.vpc_endpoint.and_then(|endpoint| endpoint.vpc_endpoint_id);
    made.map(id).ok_or_else(|| missing("id of the endpoint"))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    endpoint: &VpcEndpoint<String>,
    changes: &[Change],
) -> Result<()> {
    let id = &current.ids.id;
    if Fields::of(Kind::VpcEndpoint, changes, &["route_tables"])?.has("route_tables") {
        let reply = call.clients.ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send().await.map_err(ec2)?;
        let now = reply.vpc_endpoints.unwrap_or_default().into_iter().filter_map(|endpoint| endpoint.route_table_ids);
        let now: BTreeSet<String> = now.flatten().collect();
        let add = endpoint.route_tables.difference(&now).cloned().collect();
        let remove = now.difference(&endpoint.route_tables).cloned().collect();
        if now != endpoint.route_tables {
            let request = call.clients.ec2.modify_vpc_endpoint().vpc_endpoint_id(id);
            let request = request.set_add_route_table_ids(some(add)).set_remove_route_table_ids(some(remove));
            request.send().await.map_err(ec2)?;
        }
    }
    ec2_tags::update(call, id, wanted, changes).await
}

fn some(list: Vec<String>) -> Option<Vec<String>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let request = call.clients.ec2.delete_vpc_endpoints().vpc_endpoint_ids(&what.ids.id);
    let failures = request.send().await.map_err(ec2)?.unsuccessful.unwrap_or_default();
    // The reply is a success, whatever it says.
    match failures.into_iter().find_map(|failure| failure.error) {
        None => Ok(()),
        Some(error) => gone(Err(classify::ec2_item(
            error.code().unwrap_or_default(),
            error.message().unwrap_or_default(),
            "ec2:DeleteVpcEndpoints",
        ))),
    }
}
