//! Which capacity providers the ECS cluster has.

use std::collections::BTreeSet;

use provision::{
    cloud::{Change, ErrorKind, Ids, Observed, State, Wanted},
    resource::{ClusterCapacity, Key, Kind, Resource},
};

use crate::{
    call::{Call, Fields, Found, Result, named},
    classify::{ecs, gone},
    tags::Tags,
};

/// It exists as long as there are any.
pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let Some(ours) = call.ecs_cluster().await? else { return Ok(Vec::new()) };
    let cluster = &ours.sdk;
    let providers: BTreeSet<String> = cluster.capacity_providers().iter().cloned().collect();
    if providers.is_empty() || cluster.status() == Some("DEPROVISIONING") {
        return Ok(Vec::new());
    }
    let name = cluster.cluster_name().unwrap_or_default();
    let state = match cluster.attachments_status() {
        Some("UPDATE_IN_PROGRESS") => State::Pending,
        Some("UPDATE_FAILED") => State::Failed("a capacity provider could not be attached".to_owned()),
        _ => State::Available,
    };
    let actual = Some(Resource::ClusterCapacity(ClusterCapacity { cluster: name.to_owned(), providers }));
    let (key, kind, ids) = (Key::new(Kind::ClusterCapacity, &[]), Kind::ClusterCapacity, named(name, None));
    Ok(vec![Found { key, kind, ids, tags: Tags::new(), state, actual, created_at: None }.into()])
}

/// Replaces all of them. Nothing runs by default anywhere: each service names its provider.
pub(super) async fn put(call: Call<'_>, cluster: &str, providers: &BTreeSet<String>) -> Result<()> {
    let request = call.clients.ecs.put_cluster_capacity_providers().cluster(cluster);
    let request = request.set_capacity_providers(Some(providers.iter().cloned().collect()));
    request.set_default_capacity_provider_strategy(Some(Vec::new())).send().await.map(drop).map_err(ecs)
}

pub(crate) async fn create(call: Call<'_>, _: &Wanted, capacity: &ClusterCapacity<String>) -> Result<Ids> {
    put(call, &capacity.cluster, &capacity.providers).await?;
    Ok(named(&capacity.cluster, None))
}

pub(crate) async fn update(
    call: Call<'_>,
    _: &Observed,
    _: &Wanted,
    capacity: &ClusterCapacity<String>,
    changes: &[Change],
) -> Result<()> {
    if Fields::of(Kind::ClusterCapacity, changes, &["providers"])?.has("providers") {
        put(call, &capacity.cluster, &capacity.providers).await?;
    }
    Ok(())
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    match put(call, &what.ids.id, &BTreeSet::new()).await {
        // So AWS may say of a cluster that is gone.
        Err(error) if error.kind == ErrorKind::Invalid && error.message.contains("ClusterNotFound") => Ok(()),
        result => gone(result),
    }
}
