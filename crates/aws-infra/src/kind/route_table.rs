//! Route tables, with their routes and the subnets that use them.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    ResourceType, Route as SdkRoute, RouteOrigin, RouteTable as Sdk, RouteTableAssociationStateCode,
};
use provision::{
    cloud::{Change, ErrorKind, Ids, Observed, State, Wanted},
    resource::{Kind, Resource, Route, RouteTable, Via},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, filter, id, missing},
    classify::{ec2, gone, present},
    tags,
};

type Routes = BTreeSet<Route<String>>;

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_route_tables().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for table in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(table.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), table.route_table_id().map(id)) else {
            continue;
        };
        let actual = RouteTable {
            vpc: table.vpc_id().unwrap_or_default().to_owned(),
            routes: routes(&table),
            subnets: associations(&table).map(|(_, subnet)| subnet.to_owned()).collect(),
        };
        let (kind, state, actual) = (Kind::RouteTable, State::Available, Some(Resource::RouteTable(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

/// Those that were made by `CreateRoute` for IPv4, but for the ones of a gateway endpoint.
fn routes(table: &Sdk) -> Routes {
    let made = table.routes().iter().filter(|route| route.origin() == Some(&RouteOrigin::CreateRoute));
    made.filter(|route| route.destination_prefix_list_id().is_none()).filter_map(route).collect()
}

fn route(route: &SdkRoute) -> Option<Route<String>> {
    let destination = route.destination_cidr_block()?.parse().ok()?;
    let via = match (route.gateway_id(), route.nat_gateway_id()) {
        (Some(gateway), _) if gateway.starts_with("igw-") => Via::InternetGateway(gateway.to_owned()),
        (Some("local"), _) => return None,
        (Some(gateway), _) => Via::Other(gateway.to_owned()),
        (None, Some(gateway)) => Via::NatGateway(gateway.to_owned()),
        (None, None) => Via::Other(other(route).unwrap_or("something else").to_owned()),
    };
    Some(Route { destination, via })
}

fn other(route: &SdkRoute) -> Option<&str> {
    let ids = [
        route.transit_gateway_id(),
        route.vpc_peering_connection_id(),
        route.network_interface_id(),
        route.instance_id(),
        route.egress_only_internet_gateway_id(),
    ];
    ids.into_iter().flatten().next()
}

/// Association and subnet.
fn associations(table: &Sdk) -> impl Iterator<Item = (&str, &str)> {
    use RouteTableAssociationStateCode::{Disassociated, Disassociating, Failed};
    let live = table.associations().iter().filter(|association| {
        let state = association.association_state().and_then(|state| state.state());
        !matches!(state, Some(Disassociated | Disassociating | Failed))
    });
    live.filter_map(|association| Some((association.route_table_association_id()?, association.subnet_id()?)))
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, table: &RouteTable<String>) -> Result<Ids> {
    let table_id = call.begun(wanted, make(call, wanted, table)).await?;
    route_all(call, &table_id, &table.routes, None).await?;
    for subnet in &table.subnets {
        associate(call, &table_id, subnet).await?;
    }
    Ok(id(table_id))
}

async fn make(call: Call<'_>, wanted: &Wanted, table: &RouteTable<String>) -> Result<String> {
    let request = call.clients.ec2.create_route_table().client_token(call.token(wanted)).vpc_id(&table.vpc);
    let request = request.tag_specifications(tags::specification(ResourceType::RouteTable, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.route_table.and_then(|table| table.route_table_id);
    made.ok_or_else(|| missing("id of the route table"))
}

/// Makes the routes be these. Without `now` there are none, or an earlier attempt's.
async fn route_all(call: Call<'_>, table: &str, wanted: &Routes, now: Option<&Routes>) -> Result<()> {
    let nothing = Routes::new();
    let now = now.unwrap_or(&nothing);
    for route in now.iter().filter(|route| !wanted.iter().any(|kept| kept.destination == route.destination)) {
        let request = call.clients.ec2.delete_route().route_table_id(table);
        let request = request.destination_cidr_block(route.destination.to_string());
        gone(request.send().await.map(drop).map_err(ec2))?;
    }
    for route in wanted.difference(now) {
        match new_route(call, table, route).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => replace_route(call, table, route).await?,
            result => result?,
        }
    }
    Ok(())
}

async fn new_route(call: Call<'_>, table: &str, route: &Route<String>) -> Result<()> {
    let request = call.clients.ec2.create_route().route_table_id(table);
    let request = request.destination_cidr_block(route.destination.to_string());
    let request = match &route.via {
        Via::InternetGateway(to) | Via::Other(to) => request.gateway_id(to),
        Via::NatGateway(to) => request.nat_gateway_id(to),
    };
    request.send().await.map(drop).map_err(ec2)
}

async fn replace_route(call: Call<'_>, table: &str, route: &Route<String>) -> Result<()> {
    let request = call.clients.ec2.replace_route().route_table_id(table);
    let request = request.destination_cidr_block(route.destination.to_string());
    let request = match &route.via {
        Via::InternetGateway(to) | Via::Other(to) => request.gateway_id(to),
        Via::NatGateway(to) => request.nat_gateway_id(to),
    };
    request.send().await.map(drop).map_err(ec2)
}

/// A subnet uses one table: it may have to leave another one, or be here already.
async fn associate(call: Call<'_>, table: &str, subnet: &str) -> Result<()> {
    let request = call.clients.ec2.associate_route_table().route_table_id(table).subnet_id(subnet);
    let error = match request.send().await.map_err(ec2) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    if error.kind != ErrorKind::DependencyViolation {
        return Err(error);
    }
    let request = call.clients.ec2.describe_route_tables().filters(filter("association.subnet-id", subnet));
    let tables = request.send().await.map_err(ec2)?.route_tables.unwrap_or_default();
    let user = tables.iter().find_map(|table| Some((table, associations(table).find(|(_, of)| *of == subnet)?)));
    match user {
        Some((used, _)) if used.route_table_id() == Some(table) => Ok(()),
        Some((_, (association, _))) => {
            let request = call.clients.ec2.replace_route_table_association();
            let request = request.route_table_id(table).association_id(association);
            request.send().await.map(drop).map_err(ec2)
        }
        None => Err(error),
    }
}

async fn find(call: Call<'_>, id: &str) -> Result<Option<Sdk>> {
    let reply = call.clients.ec2.describe_route_tables().route_table_ids(id).send().await.map_err(ec2);
    Ok(present(reply)?.and_then(|reply| reply.route_tables?.into_iter().next()))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    table: &RouteTable<String>,
    changes: &[Change],
) -> Result<()> {
    let id = &current.ids.id;
    let fields = Fields::of(Kind::RouteTable, changes, &["routes", "subnets"])?;
    if fields.has_any(&["routes", "subnets"]) {
        let now = find(call, id).await?.ok_or_else(|| missing("route table"))?;
        route_all(call, id, &table.routes, Some(&routes(&now))).await?;
        for (association, _) in associations(&now).filter(|(_, subnet)| !table.subnets.contains(*subnet)) {
            disassociate(call, association).await?;
        }
        let used: BTreeSet<&str> = associations(&now).map(|(_, subnet)| subnet).collect();
        for subnet in table.subnets.iter().filter(|subnet| !used.contains(subnet.as_str())) {
            associate(call, id, subnet).await?;
        }
    }
    ec2_tags::update(call, id, wanted, changes).await
}

async fn disassociate(call: Call<'_>, association: &str) -> Result<()> {
    gone(call.clients.ec2.disassociate_route_table().association_id(association).send().await.map(drop).map_err(ec2))
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let Some(table) = find(call, &what.ids.id).await? else { return Ok(()) };
    for (association, _) in associations(&table) {
        disassociate(call, association).await?;
    }
    gone(call.clients.ec2.delete_route_table().route_table_id(&what.ids.id).send().await.map(drop).map_err(ec2))
}
