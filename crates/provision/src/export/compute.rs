//! Launch templates, Auto Scaling groups, ECS.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Address, Block};
use crate::resource::{
    AutoScalingGroup, CapacityProvider, EcsCluster, InstanceHealth, LaunchTemplate, Mixed, SpotAllocation, Volume,
};

/// What of an instance carries its tags.
const TAGGED: [&str; 3] = ["instance", "volume", "network-interface"];

pub(super) fn launch_template(of: &LaunchTemplate<String>, own: &Address) -> Vec<Block> {
    let tags = TAGGED.map(|what| json!({ "resource_type": what, "tags": of.instance_tags }));
    let body = json!({
        "name": of.name,
        "image_id": of.image_id,
        "instance_type": of.instance_type,
        "user_data": STANDARD.encode(&of.user_data),
        "iam_instance_profile": { "arn": of.instance_profile },
        "network_interfaces": {
            "device_index": 0,
            "associate_public_ip_address": of.public_ip,
            "delete_on_termination": true,
            "security_groups": of.security_groups,
        },
        "block_device_mappings": volume(&of.volume),
        "metadata_options": {
            "http_endpoint": "enabled",
            "http_tokens": if of.metadata.tokens_required { "required" } else { "optional" },
            "http_put_response_hop_limit": of.metadata.hop_limit,
        },
        "tag_specifications": tags,
    });
    vec![Block::of(own, body)]
}

fn volume(of: &Volume) -> Value {
    json!({
        "device_name": of.device,
        "ebs": {
            "volume_type": of.r#type,
            "volume_size": of.size_gib,
            "iops": of.iops,
            "throughput": of.throughput,
            "encrypted": of.encrypted,
            "delete_on_termination": true,
        },
    })
}

pub(super) fn group(of: &AutoScalingGroup<String>, own: &Address) -> Vec<Block> {
    let mut body = json!({
        "name": of.name,
        "vpc_zone_identifier": of.subnets,
        "min_size": of.min,
        "max_size": of.max,
        "desired_capacity": of.desired,
        "target_group_arns": (!of.target_groups.is_empty()).then_some(&of.target_groups),
        "health_check_type": match of.health_check {
            InstanceHealth::Ec2 => "EC2",
            InstanceHealth::Elb => "ELB",
        },
        "health_check_grace_period": of.health_check_grace_s,
        "capacity_rebalance": of.capacity_rebalance,
        "protect_from_scale_in": of.protect_from_scale_in,
        "lifecycle": { "ignore_changes": ["desired_capacity"] },
    });
    match &of.mixed {
        Some(mixed) => body["mixed_instances_policy"] = mixed_policy(&of.launch_template, mixed),
        None => body["launch_template"] = json!({ "id": of.launch_template, "version": "$Latest" }),
    }
    vec![Block::of(own, body)]
}

fn mixed_policy(template: &str, of: &Mixed) -> Value {
    let overrides: Vec<Value> = of.instance_types.iter().map(|of| json!({ "instance_type": of })).collect();
    json!({
        "launch_template": {
            "launch_template_specification": { "launch_template_id": template, "version": "$Latest" },
            "override": overrides,
        },
        "instances_distribution": {
            "on_demand_base_capacity": of.on_demand_base_capacity,
            "on_demand_percentage_above_base_capacity": of.on_demand_percentage_above_base_capacity,
            "spot_allocation_strategy": match of.spot_allocation {
                SpotAllocation::LowestPrice => "lowest-price",
                SpotAllocation::PriceCapacityOptimized => "price-capacity-optimized",
            },
            "spot_instance_pools": of.spot_instance_pools,
            "spot_max_price": of.spot_max_price,
        },
    })
}

/// Groups have their tags in blocks. Instances get theirs by the launch template.
pub(super) fn group_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value, "propagate_at_launch": false })).collect()
}

pub(super) fn ecs_cluster(of: &EcsCluster, own: &Address) -> Vec<Block> {
    let insights = if of.container_insights { "enabled" } else { "disabled" };
    let body = json!({ "name": of.name, "setting": { "name": "containerInsights", "value": insights } });
    vec![Block::of(own, body)]
}

pub(super) fn capacity_provider(of: &CapacityProvider<String>, own: &Address) -> Vec<Block> {
    let switch = |on: bool| if on { "ENABLED" } else { "DISABLED" };
    let body = json!({
        "name": of.name,
        "auto_scaling_group_provider": {
            "auto_scaling_group_arn": of.auto_scaling_group,
            "managed_termination_protection": switch(of.termination_protection),
            "managed_draining": switch(of.managed_draining),
            "managed_scaling": {
                "status": "ENABLED",
                "target_capacity": of.target_capacity_percent,
                "instance_warmup_period": of.instance_warmup_s,
            },
        },
    });
    vec![Block::of(own, body)]
}
