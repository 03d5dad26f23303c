//! Control nodes, node groups, and ECS, which puts replicas on the latter.

use std::collections::BTreeSet;

use spec::cluster::{NodeGroup, Spot, Volume as VolumeSpec, VolumeType};

use super::{
    Build, Network, balancing::Balancing, facts, iam::Roles, key, security::Groups, storage::Storage, template_key,
    user_data,
};
use crate::{
    names,
    resource::{
        AutoScalingGroup, CapacityProvider, ClusterCapacity, EcsCluster, InstanceHealth, Key, Kind, LaunchTemplate,
        Link, Metadata, Mixed, Resource, SpotAllocation, Volume,
    },
};

/// Of Amazon Linux 2023.
const ROOT_DEVICE: &str = "/dev/xvda";
/// Operator, gateway, and logs on their way.
const CONTROL_VOLUME: VolumeSpec =
    VolumeSpec { r#type: VolumeType::Gp3, size_gib: 10, iops: Some(3000), throughput: Some(125) };

/// What the nodes stand in.
pub(super) struct Surroundings {
    pub network: Network,
    pub groups: Groups,
    pub balancing: Balancing,
    pub storage: Storage,
    pub roles: Roles,
}

pub(super) fn add(build: &mut Build<'_>, around: &Surroundings) {
    let cluster = key(Kind::EcsCluster, &[]);
    let made = EcsCluster { name: names::ecs_cluster(build.cluster), container_insights: false };
    build.add(&cluster, Resource::EcsCluster(made));
    control(build, around);
    let aws = build.aws;
    let providers: BTreeSet<Link> =
        aws.node_groups.iter().map(|group| Link::name(&node_group(build, around, group, &cluster))).collect();
    let made = ClusterCapacity { cluster: Link::name(&cluster), providers };
    build.add(&key(Kind::ClusterCapacity, &[]), Resource::ClusterCapacity(made));
}

fn control(build: &mut Build<'_>, around: &Surroundings) {
    let template = template_key(None);
    let plane = &build.aws.control_plane;
    let (instances, instance_type) = (plane.instances, plane.instance_type.clone());
    launch_template(
        build,
        around,
        &template,
        instance_type,
        &around.roles.control,
        &around.groups.control,
        &CONTROL_VOLUME,
    );
    let group = AutoScalingGroup {
        name: names::regional(build.cluster, "control"),
        launch_template: Link::id(&template),
        subnets: around.network.node_subnets().clone(),
        min: instances,
        max: instances,
        desired: Some(instances),
        target_groups: super::ids(&around.balancing.target_groups),
        health_check: InstanceHealth::Elb,
        health_check_grace_s: 300,
        mixed: None,
        capacity_rebalance: false,
        protect_from_scale_in: false,
    };
    let after = boots_after(around, &[]);
    build.add_after(&key(Kind::AutoScalingGroup, &["control"]), Resource::AutoScalingGroup(group), &after);
}

/// The capacity provider of a new node group.
fn node_group(build: &mut Build<'_>, around: &Surroundings, spec: &NodeGroup, cluster: &Key) -> Key {
    let template = template_key(Some(&spec.name));
    let (role, group) = (&around.roles.worker, &around.groups.workers);
    launch_template(build, around, &template, spec.instance_type.clone(), role, group, &spec.volume);
    let name = names::regional(build.cluster, &format!("node-{}", spec.name));
    let group = AutoScalingGroup {
        name: name.clone(),
        launch_template: Link::id(&template),
        subnets: around.network.node_subnets().clone(),
        min: spec.min_instances,
        max: spec.max_instances,
        desired: Some(spec.min_instances),
        target_groups: BTreeSet::new(),
        health_check: InstanceHealth::Ec2,
        health_check_grace_s: 300,
        mixed: spec.spot.as_ref().map(mixed),
        capacity_rebalance: spec.spot.is_some(),
        protect_from_scale_in: true,
    };
    let group_key = key(Kind::AutoScalingGroup, &["node", &spec.name]);
    // An agent that does not find its cluster gives up.
    let after = boots_after(around, &[cluster]);
    build.add_after(&group_key, Resource::AutoScalingGroup(group), &after);

    let provider = key(Kind::CapacityProvider, &[&spec.name]);
    let made = CapacityProvider {
        name,
        auto_scaling_group: Link::arn(&group_key),
        target_capacity_percent: 100,
        instance_warmup_s: 60,
        termination_protection: true,
        managed_draining: true,
    };
    build.add(&provider, Resource::CapacityProvider(made));
    provider
}

/// What instances need from their first second: the ways to S3, what they fetch there, and where they write logs.
fn boots_after<'a>(around: &'a Surroundings, more: &[&'a Key]) -> Vec<&'a Key> {
    let Surroundings { network, storage, .. } = around;
    network.routes.iter().chain(&storage.objects).chain([&storage.log_group]).chain(more.iter().copied()).collect()
}

fn launch_template(
    build: &mut Build<'_>,
    around: &Surroundings,
    at: &Key,
    instance_type: String,
    profile: &Key,
    group: &Key,
    volume: &VolumeSpec,
) {
    let image_id = facts::image(build.facts, at).expect("checked before anything is built").clone();
    let made = LaunchTemplate {
        name: names::regional(build.cluster, &at.rest().replace('/', "-")),
        image_id,
        instance_type,
        instance_profile: Link::arn(profile),
        security_groups: [Link::id(group)].into(),
        public_ip: around.network.public_nodes(),
        user_data: user_data::script(build, at),
        volume: Volume {
            device: ROOT_DEVICE.to_owned(),
            r#type: volume.r#type,
            size_gib: volume.size_gib,
            iops: volume.iops,
            throughput: volume.throughput,
            encrypted: true,
        },
        metadata: Metadata { tokens_required: true, hop_limit: 1 },
        instance_tags: build.tags(&key(Kind::Instance, &[at.rest()])),
    };
    build.add(at, Resource::LaunchTemplate(made));
}

fn mixed(spot: &Spot) -> Mixed {
    Mixed {
        instance_types: spot.instance_distribution.clone(),
        on_demand_base_capacity: spot.on_demand_base_capacity,
        on_demand_percentage_above_base_capacity: spot.on_demand_percentage_above_base_capacity,
        // The only strategy for which the number of pools means something.
        spot_allocation: SpotAllocation::LowestPrice,
        spot_instance_pools: Some(spot.instance_pools),
        spot_max_price: spot.max_price.map(|price| price.to_string()),
    }
}
