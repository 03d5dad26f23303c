//! What an Auto Scaling group consists of, in the service's types and in ours.

use aws_sdk_autoscaling::types::{
    AutoScalingGroup as Sdk, InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides,
    LaunchTemplateSpecification, MixedInstancesPolicy,
};
use provision::resource::{AutoScalingGroup, InstanceHealth, Mixed, SpotAllocation};

use crate::call::{int, uint};

const LATEST: &str = "$Latest";

pub(super) fn template(group: &AutoScalingGroup<String>) -> LaunchTemplateSpecification {
    LaunchTemplateSpecification::builder().launch_template_id(&group.launch_template).version(LATEST).build()
}

pub(super) fn mixed_policy(group: &AutoScalingGroup<String>, mixed: &Mixed) -> MixedInstancesPolicy {
    let overrides = mixed.instance_types.iter().map(|of| LaunchTemplateOverrides::builder().instance_type(of).build());
    let launch = LaunchTemplate::builder().launch_template_specification(template(group));
    let launch = launch.set_overrides(Some(overrides.collect())).build();
    let distribution = InstancesDistribution::builder()
        .on_demand_base_capacity(int(mixed.on_demand_base_capacity))
        .on_demand_percentage_above_base_capacity(int(mixed.on_demand_percentage_above_base_capacity))
        .spot_allocation_strategy(allocation(mixed.spot_allocation))
        .set_spot_instance_pools(mixed.spot_instance_pools.map(int))
        // Empty: no limit of ours, also where there was one.
        .spot_max_price(mixed.spot_max_price.as_deref().unwrap_or_default());
    MixedInstancesPolicy::builder().launch_template(launch).instances_distribution(distribution.build()).build()
}

fn allocation(allocation: SpotAllocation) -> &'static str {
    match allocation {
        SpotAllocation::LowestPrice => "lowest-price",
        SpotAllocation::PriceCapacityOptimized => "price-capacity-optimized",
    }
}

pub(super) fn subnets(group: &AutoScalingGroup<String>) -> String {
    let subnets: Vec<&str> = group.subnets.iter().map(String::as_str).collect();
    subnets.join(",")
}

pub(super) fn read(group: &Sdk) -> AutoScalingGroup<String> {
    let policy = group.mixed_instances_policy();
    let mixed_template = policy.and_then(|policy| policy.launch_template()?.launch_template_specification());
    let template = group.launch_template().or(mixed_template);
    let zones = group.vpc_zone_identifier().unwrap_or_default();
    let elb = group.health_check_type().is_some_and(|types| types.split(',').any(|of| of.trim() == "ELB"));
    AutoScalingGroup {
        name: group.auto_scaling_group_name().unwrap_or_default().to_owned(),
        launch_template: template.map(used).unwrap_or_default(),
        subnets: zones.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        min: uint(group.min_size()),
        max: uint(group.max_size()),
        desired: Some(uint(group.desired_capacity())),
        target_groups: group.target_group_arns().iter().cloned().collect(),
        health_check: if elb { InstanceHealth::Elb } else { InstanceHealth::Ec2 },
        health_check_grace_s: uint(group.health_check_grace_period()),
        mixed: policy.map(read_mixed),
        capacity_rebalance: group.capacity_rebalance().unwrap_or_default(),
        protect_from_scale_in: group.new_instances_protected_from_scale_in().unwrap_or_default(),
    }
}

/// Any other version than the latest is not what is wanted, and has to show.
fn used(template: &LaunchTemplateSpecification) -> String {
    let id = template.launch_template_id().unwrap_or_default();
    match template.version() {
        Some(LATEST) => id.to_owned(),
        version => format!("{id} version {}", version.unwrap_or("$Default")),
    }
}

fn read_mixed(policy: &MixedInstancesPolicy) -> Mixed {
    let overrides = policy.launch_template().map(LaunchTemplate::overrides).unwrap_or_default();
    let distribution = policy.instances_distribution();
    let strategy = distribution.and_then(|of| of.spot_allocation_strategy()).unwrap_or("lowest-price");
    let spot_allocation = match strategy {
        "lowest-price" => SpotAllocation::LowestPrice,
        _ => SpotAllocation::PriceCapacityOptimized,
    };
    let pools =
        distribution.and_then(InstancesDistribution::spot_instance_pools).and_then(|pools| u32::try_from(pools).ok());
    let price = distribution.and_then(|of| of.spot_max_price()).filter(|price| !price.is_empty());
    Mixed {
        instance_types: overrides.iter().filter_map(|of| of.instance_type()).map(str::to_owned).collect(),
        on_demand_base_capacity: uint(distribution.and_then(InstancesDistribution::on_demand_base_capacity)),
        on_demand_percentage_above_base_capacity: distribution
            .and_then(InstancesDistribution::on_demand_percentage_above_base_capacity)
            .map_or(100, |percent| uint(Some(percent))),
        spot_allocation,
        spot_instance_pools: pools.filter(|_| spot_allocation == SpotAllocation::LowestPrice),
        spot_max_price: price.map(str::to_owned),
    }
}
