//! Instances, the groups that keep their number, and ECS, which puts replicas on them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use spec::cluster::VolumeType;

use super::{Mapping, map_set};

/// How instances are made; the groups always use the latest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct LaunchTemplate<L> {
    pub name: String,
    pub image_id: String,
    pub instance_type: String,
    /// ARN.
    pub instance_profile: L,
    pub security_groups: BTreeSet<L>,
    /// Of the only network interface.
    pub public_ip: bool,
    /// Plain text, at most 16 KiB; AWS takes it in base64.
    pub user_data: String,
    pub volume: Volume,
    pub metadata: Metadata,
    /// Of the instances, their volumes and network interfaces.
    pub instance_tags: BTreeMap<String, String>,
}

/// The boot volume; deleted with its instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The root device of the image.
    pub device: String,
    pub r#type: VolumeType,
    pub size_gib: u32,
    pub iops: Option<u32>,
    /// MiB/s
    pub throughput: Option<u32>,
    pub encrypted: bool,
}

/// The instance metadata service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// IMDSv2 only.
    pub tokens_required: bool,
    /// 1 keeps containers in bridge networks out.
    pub hop_limit: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct AutoScalingGroup<L> {
    pub name: String,
    /// Id; the latest version.
    pub launch_template: L,
    pub subnets: BTreeSet<L>,
    pub min: u32,
    pub max: u32,
    /// To begin with; from then on others decide, so it is not compared.
    pub desired: Option<u32>,
    /// ARNs.
    pub target_groups: BTreeSet<L>,
    pub health_check: InstanceHealth,
    pub health_check_grace_s: u32,
    /// Absent: the template's instance type, on demand.
    pub mixed: Option<Mixed>,
    pub capacity_rebalance: bool,
    /// New instances: ECS managed termination protection needs it.
    pub protect_from_scale_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InstanceHealth {
    Ec2,
    /// And what the target groups say.
    Elb,
}

/// Mixed instances policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// In order of preference.
    pub instance_types: Vec<String>,
    pub on_demand_base_capacity: u32,
    pub on_demand_percentage_above_base_capacity: u32,
    pub spot_allocation: SpotAllocation,
    /// With lowest price only.
    pub spot_instance_pools: Option<u32>,
    /// US dollars per hour, as AWS writes it; absent: the on-demand price.
    pub spot_max_price: Option<String>,
}

impl Mixed {
    /// How many of so many instances are on demand: the base, then the percentage of the rest, rounded up. "Auto Scaling
    /// groups with multiple instance types and purchase options", EC2 Auto Scaling user guide.
    pub fn on_demand(&self, instances: u32) -> u32 {
        let base = self.on_demand_base_capacity.min(instances);
        base + ((instances - base) * self.on_demand_percentage_above_base_capacity).div_ceil(100)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpotAllocation {
    LowestPrice,
    PriceCapacityOptimized,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcsCluster {
    pub name: String,
    pub container_insights: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityProvider<L> {
    pub name: String,
    /// ARN.
    pub auto_scaling_group: L,
    /// ECS sets the group's size: enough for all tasks, at this use of what there is.
    pub target_capacity_percent: u32,
    pub instance_warmup_s: u32,
    /// Instances with tasks are not taken away.
    pub termination_protection: bool,
    /// Tasks are moved before an instance goes.
    pub managed_draining: bool,
}

/// Which capacity providers a cluster has: one setting of the cluster, but possible only after all of them exist.
/// Deleting it means a cluster without any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct ClusterCapacity<L> {
    /// Name.
    pub cluster: L,
    /// Names.
    pub providers: BTreeSet<L>,
}

impl<L> LaunchTemplate<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<LaunchTemplate<M>, E> {
        Ok(LaunchTemplate {
            name: self.name,
            image_id: self.image_id,
            instance_type: self.instance_type,
            instance_profile: f(self.instance_profile)?,
            security_groups: map_set(self.security_groups, f)?,
            public_ip: self.public_ip,
            user_data: self.user_data,
            volume: self.volume,
            metadata: self.metadata,
            instance_tags: self.instance_tags,
        })
    }
}

impl<L> AutoScalingGroup<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<AutoScalingGroup<M>, E> {
        Ok(AutoScalingGroup {
            name: self.name,
            launch_template: f(self.launch_template)?,
            subnets: map_set(self.subnets, &mut *f)?,
            min: self.min,
            max: self.max,
            desired: self.desired,
            target_groups: map_set(self.target_groups, f)?,
            health_check: self.health_check,
            health_check_grace_s: self.health_check_grace_s,
            mixed: self.mixed,
            capacity_rebalance: self.capacity_rebalance,
            protect_from_scale_in: self.protect_from_scale_in,
        })
    }
}

impl<L> CapacityProvider<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<CapacityProvider<M>, E> {
        Ok(CapacityProvider {
            name: self.name,
            auto_scaling_group: f(self.auto_scaling_group)?,
            target_capacity_percent: self.target_capacity_percent,
            instance_warmup_s: self.instance_warmup_s,
            termination_protection: self.termination_protection,
            managed_draining: self.managed_draining,
        })
    }
}

impl<L> ClusterCapacity<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<ClusterCapacity<M>, E> {
        Ok(ClusterCapacity { cluster: f(self.cluster)?, providers: map_set(self.providers, f)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_split_as_auto_scaling_does() {
        let mixed = |base, percent| Mixed {
            instance_types: vec!["m5.large".to_owned()],
            on_demand_base_capacity: base,
            on_demand_percentage_above_base_capacity: percent,
            spot_allocation: SpotAllocation::LowestPrice,
            spot_instance_pools: Some(1),
            spot_max_price: None,
        };
        for (base, percent, instances, expected) in
            [(0, 0, 5, 0), (2, 0, 5, 2), (2, 50, 5, 4), (9, 0, 5, 5), (0, 100, 5, 5)]
        {
            assert_eq!(mixed(base, percent).on_demand(instances), expected, "{base} {percent} {instances}");
        }
    }
}
