//! Capacity providers: what lets ECS set the size of an Auto Scaling group.

use aws_sdk_ecs::types::{
    AutoScalingGroupProvider, AutoScalingGroupProviderUpdate, CapacityProvider as Sdk, CapacityProviderField,
    CapacityProviderStatus, CapacityProviderUpdateStatus, ManagedDraining, ManagedScaling, ManagedScalingStatus,
    ManagedTerminationProtection,
};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{CapacityProvider, Kind, Resource},
};

use super::{cluster_capacity, ecs_cluster};
use crate::{
    call::{Call, Fields, Found, Result, int, missing, named, uint},
    classify::{ecs, gone},
    tags::{self, built},
};

/// All of the region are listed, with their tags; AWS's own (`FARGATE`) have none.
pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    let mut next = None;
    loop {
        let request = call.clients.ecs.describe_capacity_providers().include(CapacityProviderField::Tags);
        let page = request.set_next_token(next).send().await.map_err(ecs)?;
        for provider in page.capacity_providers.unwrap_or_default() {
            let tags = ecs_cluster::read_tags(provider.tags());
            let (Some(key), Some(name)) = (tags::owned(call.cluster, &tags), provider.name()) else { continue };
            if provider.status() == Some(&CapacityProviderStatus::Inactive) {
                continue;
            }
            let (kind, state) = (Kind::CapacityProvider, state(&provider));
            let ids = named(name, provider.capacity_provider_arn());
            let actual = read(&provider, name).map(Resource::CapacityProvider);
            observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(observed);
        }
    }
}

fn state(provider: &Sdk) -> State {
    use CapacityProviderUpdateStatus::{CreateFailed, CreateInProgress, DeleteInProgress, UpdateInProgress};
    let reason = || provider.update_status_reason().unwrap_or("failed").to_owned();
    match provider.update_status() {
        Some(DeleteInProgress) => State::Deleting,
        Some(CreateInProgress | UpdateInProgress) => State::Pending,
        Some(CreateFailed) => State::Failed(reason()),
        _ => State::Available,
    }
}

fn read(provider: &Sdk, name: &str) -> Option<CapacityProvider<String>> {
    let group = provider.auto_scaling_group_provider()?;
    let scaling = group.managed_scaling();
    Some(CapacityProvider {
        name: name.to_owned(),
        auto_scaling_group: group.auto_scaling_group_arn().to_owned(),
        // Switched off it uses nothing of what is there.
        target_capacity_percent: scaling
            .filter(|scaling| scaling.status() == Some(&ManagedScalingStatus::Enabled))
            .map_or(0, |scaling| uint(scaling.target_capacity())),
        instance_warmup_s: uint(scaling.and_then(ManagedScaling::instance_warmup_period)),
        termination_protection: group.managed_termination_protection() == Some(&ManagedTerminationProtection::Enabled),
        managed_draining: group.managed_draining() != Some(&ManagedDraining::Disabled),
    })
}

fn scaling(provider: &CapacityProvider<String>) -> ManagedScaling {
    let scaling = ManagedScaling::builder().status(ManagedScalingStatus::Enabled);
    let scaling = scaling.target_capacity(int(provider.target_capacity_percent));
    scaling.instance_warmup_period(int(provider.instance_warmup_s)).build()
}

fn protection(provider: &CapacityProvider<String>) -> ManagedTerminationProtection {
    match provider.termination_protection {
        true => ManagedTerminationProtection::Enabled,
        false => ManagedTerminationProtection::Disabled,
    }
}

fn draining(provider: &CapacityProvider<String>) -> ManagedDraining {
    if provider.managed_draining { ManagedDraining::Enabled } else { ManagedDraining::Disabled }
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, provider: &CapacityProvider<String>) -> Result<Ids> {
    let group = AutoScalingGroupProvider::builder().auto_scaling_group_arn(&provider.auto_scaling_group);
    let group = group.managed_scaling(scaling(provider)).managed_termination_protection(protection(provider));
    let group = built(group.managed_draining(draining(provider)).build())?;
    let request = call.clients.ecs.create_capacity_provider().name(&provider.name).auto_scaling_group_provider(group);
    let made = request.set_tags(Some(tags::ecs(&wanted.tags))).send().await.map_err(ecs)?.capacity_provider;
    let arn =
        made.and_then(|made| made.capacity_provider_arn).ok_or_else(|| missing("ARN of the capacity provider"))?;
    Ok(named(&provider.name, Some(&arn)))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    provider: &CapacityProvider<String>,
    changes: &[Change],
) -> Result<()> {
    let can = ["target_capacity_percent", "instance_warmup_s", "termination_protection", "managed_draining"];
    if Fields::of(Kind::CapacityProvider, changes, &can)?.has_any(&can) {
        let group = AutoScalingGroupProviderUpdate::builder().managed_scaling(scaling(provider));
        let group = group.managed_termination_protection(protection(provider)).managed_draining(draining(provider));
        let request = call.clients.ecs.update_capacity_provider().name(&provider.name);
        request.auto_scaling_group_provider(group.build()).send().await.map_err(ecs)?;
    }
    ecs_cluster::update_tags(call, current, wanted, changes).await
}

/// With its place in the cluster: one that has it cannot be deleted.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let name = &what.ids.id;
    if let Some(ecs_cluster::Ours { sdk: cluster, .. }) = ecs_cluster::ours(call).await? {
        let mut providers: std::collections::BTreeSet<String> = cluster.capacity_providers().iter().cloned().collect();
        if providers.remove(name) {
            cluster_capacity::put(call, cluster.cluster_name().unwrap_or_default(), &providers).await?;
        }
    }
    gone(call.clients.ecs.delete_capacity_provider().capacity_provider(name).send().await.map(drop).map_err(ecs))
}
