//! ECS services that the operator has made, found to be removed.

use aws_sdk_ecs::types::ServiceField;
use provision::{
    cloud::{Observed, State},
    names,
    resource::{Key, Kind},
};

use super::ecs_cluster;
use crate::{
    call::{Call, Found, Result, named},
    classify::{ecs, gone, present},
    tags,
};

/// "DescribeServices", ECS API reference.
const BATCH: usize = 10;

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let Some(ours) = call.ecs_cluster().await? else { return Ok(Vec::new()) };
    let cluster = ours.sdk.cluster_name().unwrap_or_default();
    let pages = call.clients.ecs.list_services().cluster(cluster).into_paginator().items().send();
    let arns = present(pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ecs))?.unwrap_or_default();
    let mut observed = Vec::new();
    for batch in arns.chunks(BATCH) {
        let request = call.clients.ecs.describe_services().cluster(cluster).set_services(Some(batch.to_vec()));
        let reply = present(request.include(ServiceField::Tags).send().await.map_err(ecs))?;
        for service in reply.and_then(|reply| reply.services).unwrap_or_default() {
            let tags = ecs_cluster::read_tags(service.tags());
            let Some(name) = service.service_name().filter(|_| tags::belongs(call.cluster, &tags)) else { continue };
            let state = match service.status() {
                Some("INACTIVE") => continue,
                Some("DRAINING") => State::Deleting,
                _ => State::Available,
            };
            let (key, kind) = (Key::new(Kind::EcsService, &[name]), Kind::EcsService);
            let ids = named(name, service.service_arn());
            observed.push(Found { key, kind, ids, tags, state, actual: None, created_at: service.created_at }.into());
        }
    }
    Ok(observed)
}

/// With its tasks.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let request = call.clients.ecs.delete_service().cluster(names::ecs_cluster(call.cluster));
    gone(request.service(&what.ids.id).force(true).send().await.map(drop).map_err(ecs))
}
