//! Auto Scaling groups. What they consist of is translated in `auto_scaling_group/data.rs`.

mod data;

use aws_sdk_autoscaling::types::{AutoScalingGroup as Sdk, Filter, LifecycleState, Tag};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    names::CLUSTER_TAG,
    resource::{AutoScalingGroup, InstanceHealth, Kind, Resource},
};

use crate::{
    call::{Call, Fields, Found, Result, int, missing, named, uint},
    classify::{auto_scaling, gone},
    tags::{self, TagChanges, Tags},
};
use data::{mixed_policy, subnets, template};

/// "DescribeAutoScalingGroups" knows the filter `tag:KEY`.
pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let filter = Filter::builder().name(format!("tag:{CLUSTER_TAG}")).values(&call.cluster.name).build();
    let request = call.clients.auto_scaling.describe_auto_scaling_groups().filters(filter);
    let pages = request.into_paginator().items().send();
    let mut observed = Vec::new();
    for group in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(auto_scaling)? {
        let tags = tags::collect(group.tags(), |tag| (tag.key(), tag.value()));
        let (Some(key), Some(name)) = (tags::owned(call.cluster, &tags), group.auto_scaling_group_name()) else {
            continue;
        };
        let (kind, state) = (Kind::AutoScalingGroup, state(&group));
        let ids = named(name, group.auto_scaling_group_arn());
        let actual = Some(Resource::AutoScalingGroup(data::read(&group)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: group.created_time }.into());
    }
    Ok(observed)
}

/// Has only a status on its way out.
fn state(group: &Sdk) -> State {
    if group.status().is_some() {
        return State::Deleting;
    }
    let serves = |instance: &&aws_sdk_autoscaling::types::Instance| {
        instance.lifecycle_state() == Some(&LifecycleState::InService) && instance.health_status() == Some("Healthy")
    };
    let serving = group.instances().iter().filter(serves).count();
    let enough = usize::try_from(uint(group.min_size())).is_ok_and(|min| serving >= min);
    if enough { State::Available } else { State::Pending }
}

fn tag(group: &str, name: &str, value: Option<&str>) -> Tag {
    // Instances get theirs from the launch template, with their own name.
    let tag = Tag::builder().resource_id(group).resource_type("auto-scaling-group");
    tag.key(name).set_value(value.map(str::to_owned)).propagate_at_launch(false).build()
}

fn group_tags(group: &str, tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(name, value)| tag(group, name, Some(value))).collect()
}

fn health(health: InstanceHealth) -> &'static str {
    match health {
        InstanceHealth::Ec2 => "EC2",
        InstanceHealth::Elb => "ELB",
    }
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, group: &AutoScalingGroup<String>) -> Result<Ids> {
    call.begun(wanted, Box::pin(make(call, wanted, group))).await?;
    // The reply to the creation is empty, and the ARN has a random part.
    let request = call.clients.auto_scaling.describe_auto_scaling_groups().auto_scaling_group_names(&group.name);
    let groups = request.send().await.map_err(auto_scaling)?.auto_scaling_groups.unwrap_or_default();
    let made = groups.iter().find(|made| made.auto_scaling_group_name() == Some(&group.name));
    let arn = made.and_then(Sdk::auto_scaling_group_arn).ok_or_else(|| missing("ARN of the Auto Scaling group"))?;
    Ok(named(&group.name, Some(arn)))
}

async fn make(call: Call<'_>, wanted: &Wanted, group: &AutoScalingGroup<String>) -> Result<String> {
    let request = call.clients.auto_scaling.create_auto_scaling_group().auto_scaling_group_name(&group.name);
    let request = request
        .vpc_zone_identifier(subnets(group))
        .min_size(int(group.min))
        .max_size(int(group.max))
        .set_desired_capacity(group.desired.map(int))
        .health_check_type(health(group.health_check))
        .health_check_grace_period(int(group.health_check_grace_s))
        .capacity_rebalance(group.capacity_rebalance)
        .new_instances_protected_from_scale_in(group.protect_from_scale_in)
        .set_tags(Some(group_tags(&group.name, &wanted.tags)));
    let arns: Vec<String> = group.target_groups.iter().cloned().collect();
    let request = if arns.is_empty() { request } else { request.set_target_group_arns(Some(arns)) };
    let request = match &group.mixed {
        None => request.launch_template(template(group)),
        Some(mixed) => request.mixed_instances_policy(mixed_policy(group, mixed)),
    };
    request.send().await.map_err(auto_scaling)?;
    Ok(group.name.clone())
}

const IN_ONE_CALL: &[&str] = &[
    "launch_template",
    "subnets",
    "min",
    "max",
    "health_check",
    "health_check_grace_s",
    "mixed",
    "capacity_rebalance",
    "protect_from_scale_in",
];

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    group: &AutoScalingGroup<String>,
    changes: &[Change],
) -> Result<()> {
    let can = [IN_ONE_CALL, &["target_groups"]].concat();
    let fields = Fields::of(Kind::AutoScalingGroup, changes, &can)?;
    let name = &current.ids.id;
    if fields.has_any(IN_ONE_CALL) {
        modify(call, group).await?;
    }
    if fields.has("target_groups") {
        attach(call, group).await?;
    }
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if !set.is_empty() {
        let request = call.clients.auto_scaling.create_or_update_tags().set_tags(Some(group_tags(name, &set)));
        request.send().await.map_err(auto_scaling)?;
    }
    if !remove.is_empty() {
        let tags = remove.iter().map(|key| tag(name, key, None)).collect();
        call.clients.auto_scaling.delete_tags().set_tags(Some(tags)).send().await.map_err(auto_scaling)?;
    }
    Ok(())
}

/// Everything but the target groups. Capacity is what it is, or what of it the new limits admit.
async fn modify(call: Call<'_>, group: &AutoScalingGroup<String>) -> Result<()> {
    let request = call.clients.auto_scaling.update_auto_scaling_group().auto_scaling_group_name(&group.name);
    let request = request
        .vpc_zone_identifier(subnets(group))
        .min_size(int(group.min))
        .max_size(int(group.max))
        .health_check_type(health(group.health_check))
        .health_check_grace_period(int(group.health_check_grace_s))
        .capacity_rebalance(group.capacity_rebalance)
        .new_instances_protected_from_scale_in(group.protect_from_scale_in);
    let request = match &group.mixed {
        None => request.launch_template(template(group)),
        Some(mixed) => request.mixed_instances_policy(mixed_policy(group, mixed)),
    };
    request.send().await.map(drop).map_err(auto_scaling)
}

async fn attach(call: Call<'_>, group: &AutoScalingGroup<String>) -> Result<()> {
    let name = &group.name;
    let request = call.clients.auto_scaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
    let groups = request.send().await.map_err(auto_scaling)?.auto_scaling_groups.unwrap_or_default();
    let now: std::collections::BTreeSet<String> =
        groups.into_iter().filter_map(|group| group.target_group_arns).flatten().collect();
    let add: Vec<String> = group.target_groups.difference(&now).cloned().collect();
    let remove: Vec<String> = now.difference(&group.target_groups).cloned().collect();
    if !add.is_empty() {
        let request = call.clients.auto_scaling.attach_load_balancer_target_groups().auto_scaling_group_name(name);
        request.set_target_group_arns(Some(add)).send().await.map_err(auto_scaling)?;
    }
    if !remove.is_empty() {
        let request = call.clients.auto_scaling.detach_load_balancer_target_groups().auto_scaling_group_name(name);
        request.set_target_group_arns(Some(remove)).send().await.map_err(auto_scaling)?;
    }
    Ok(())
}

/// With its instances, protected or not.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let request = call.clients.auto_scaling.delete_auto_scaling_group().auto_scaling_group_name(&what.ids.id);
    gone(request.force_delete(true).send().await.map(drop).map_err(auto_scaling))
}
