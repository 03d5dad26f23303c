//! The ECS cluster: one, of the name that follows from the cluster's. What has its tags is ours.

use aws_sdk_ecs::types::{Cluster as Sdk, ClusterField, ClusterSetting, ClusterSettingName, ContainerInstanceStatus};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    names,
    resource::{EcsCluster, Key, Kind, Resource},
};

use crate::{
    call::{Call, Fields, Found, Result, missing, named},
    classify::{ecs, gone, present},
    tags::{self, TagChanges, Tags},
};

pub(super) fn read_tags(tags: &[aws_sdk_ecs::types::Tag]) -> Tags {
    tags::collect(tags, |tag| (tag.key(), tag.value()))
}

pub(crate) struct Ours {
    key: Key,
    tags: Tags,
    pub sdk: Sdk,
}

pub(crate) async fn ours(call: Call<'_>) -> Result<Option<Ours>> {
    let request = call.clients.ecs.describe_clusters().clusters(names::ecs_cluster(call.cluster));
    let request = request.include(ClusterField::Tags).include(ClusterField::Settings);
    let clusters = request.send().await.map_err(ecs)?.clusters.unwrap_or_default();
    Ok(clusters.into_iter().find_map(|cluster| {
        let tags = read_tags(cluster.tags());
        let key = tags::owned(call.cluster, &tags)?;
        (cluster.status() != Some("INACTIVE")).then_some(Ours { key, tags, sdk: cluster })
    }))
}

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let Some(ours) = call.ecs_cluster().await? else { return Ok(Vec::new()) };
    let Ours { key, tags, sdk: cluster } = &*ours;
    let (key, tags) = (key.clone(), tags.clone());
    let name = cluster.cluster_name().unwrap_or_default();
    let state = match cluster.status().unwrap_or_default() {
        "PROVISIONING" => State::Pending,
        "DEPROVISIONING" => State::Deleting,
        "FAILED" => State::Failed("the cluster has failed".to_owned()),
        _ => State::Available,
    };
    let insights = cluster.settings().iter().find(|of| of.name() == Some(&ClusterSettingName::ContainerInsights));
    let container_insights = insights.and_then(ClusterSetting::value).is_some_and(|value| value != "disabled");
    let ids = named(name, cluster.cluster_arn());
    let actual = Some(Resource::EcsCluster(EcsCluster { name: name.to_owned(), container_insights }));
    Ok(vec![Found { key, kind: Kind::EcsCluster, ids, tags, state, actual, created_at: None }.into()])
}

fn setting(cluster: &EcsCluster) -> ClusterSetting {
    let value = if cluster.container_insights { "enabled" } else { "disabled" };
    ClusterSetting::builder().name(ClusterSettingName::ContainerInsights).value(value).build()
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, cluster: &EcsCluster) -> Result<Ids> {
    let request = call.clients.ecs.create_cluster().cluster_name(&cluster.name).settings(setting(cluster));
    let made = request.set_tags(Some(tags::ecs(&wanted.tags))).send().await.map_err(ecs)?.cluster;
    let arn = made.and_then(|made| made.cluster_arn).ok_or_else(|| missing("ARN of the ECS cluster"))?;
    Ok(named(&cluster.name, Some(&arn)))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    cluster: &EcsCluster,
    changes: &[Change],
) -> Result<()> {
    if Fields::of(Kind::EcsCluster, changes, &["container_insights"])?.has("container_insights") {
        let request = call.clients.ecs.update_cluster().cluster(&cluster.name).settings(setting(cluster));
        request.send().await.map_err(ecs)?;
    }
    update_tags(call, current, wanted, changes).await
}

pub(super) async fn update_tags(call: Call<'_>, current: &Observed, wanted: &Wanted, changes: &[Change]) -> Result<()> {
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    let arn = current.ids.arn.as_deref().unwrap_or_default();
    if !set.is_empty() {
        let request = call.clients.ecs.tag_resource().resource_arn(arn).set_tags(Some(tags::ecs(&set)));
        request.send().await.map_err(ecs)?;
    }
    if !remove.is_empty() {
        let request = call.clients.ecs.untag_resource().resource_arn(arn).set_tag_keys(Some(remove));
        request.send().await.map_err(ecs)?;
    }
    Ok(())
}

/// The instances are gone by now; ECS takes its time to notice, so it is told.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let name = &what.ids.id;
    for status in [ContainerInstanceStatus::Active, ContainerInstanceStatus::Draining] {
        let request = call.clients.ecs.list_container_instances().cluster(name).status(status);
        let pages = request.into_paginator().items().send();
        let instances = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ecs);
        for instance in present(instances)?.unwrap_or_default() {
            let request = call.clients.ecs.deregister_container_instance().cluster(name);
            gone(request.container_instance(instance).force(true).send().await.map(drop).map_err(ecs))?;
        }
    }
    gone(call.clients.ecs.delete_cluster().cluster(name).send().await.map(drop).map_err(ecs))
}
