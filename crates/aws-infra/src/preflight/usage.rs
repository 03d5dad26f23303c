//! How much of a quota is used already.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    CpuOptions, Filter, Instance, InstanceLifecycleType, InstanceStateName, NatGatewayState, Reservation,
};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerTypeEnum;
use provision::cloud::CloudError;

use super::quotas::of_type;
use crate::{
    Clients,
    classify::{ec2, elb},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Vpcs,
    InternetGateways,
    Addresses,
    NatGatewaysOfTheFullestZone,
    SecurityGroups,
    NetworkLoadBalancers,
    /// Of running instances that count for the quota of this code.
    Vcpus {
        of: &'static str,
        spot: bool,
    },
}

/// Everything that a describe answers, all its pages.
macro_rules! all {
    ($request:expr, $classify:expr) => {
        $request.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.map_err($classify)?
    };
}

pub(super) async fn count(clients: &Clients, usage: Usage) -> Result<u32, CloudError> {
    let api = &clients.ec2;
    let found = match usage {
        Usage::Vpcs => all!(api.describe_vpcs(), ec2).len(),
        Usage::InternetGateways => all!(api.describe_internet_gateways(), ec2).len(),
        // The only one without pages.
        Usage::Addresses => api.describe_addresses().send().await.map_err(ec2)?.addresses().len(),
        Usage::SecurityGroups => all!(api.describe_security_groups(), ec2).len(),
        Usage::NatGatewaysOfTheFullestZone => return nat_gateways(clients).await,
        Usage::NetworkLoadBalancers => {
            let balancers = all!(clients.elb.describe_load_balancers(), elb);
            balancers.iter().filter(|one| one.r#type() == Some(&LoadBalancerTypeEnum::Network)).count()
        }
        Usage::Vcpus { of, spot } => return vcpus(clients, of, spot).await,
    };
    Ok(u32::try_from(found).unwrap_or(u32::MAX))
}

async fn nat_gateways(clients: &Clients) -> Result<u32, CloudError> {
    let gateways = all!(clients.ec2.describe_nat_gateways(), ec2);
    let there = [NatGatewayState::Pending, NatGatewayState::Available];
    let there = gateways.iter().filter(|gateway| gateway.state().is_some_and(|state| there.contains(state)));
    let subnets: Vec<String> = there.filter_map(|gateway| gateway.subnet_id().map(str::to_owned)).collect();
    if subnets.is_empty() {
        return Ok(0);
    }
    let filter = Filter::builder().name("subnet-id").set_values(Some(subnets.clone())).build();
    let known = all!(clients.ec2.describe_subnets().filters(filter), ec2);
    let zone = |id: &String| known.iter().find(|subnet| subnet.subnet_id() == Some(id))?.availability_zone();
    let mut zones: BTreeMap<&str, u32> = BTreeMap::new();
    for zone in subnets.iter().filter_map(zone) {
        *zones.entry(zone).or_default() += 1;
    }
    Ok(zones.into_values().max().unwrap_or_default())
}

async fn vcpus(clients: &Clients, of: &str, spot: bool) -> Result<u32, CloudError> {
    let states = ["pending", "running"].map(str::to_owned).to_vec();
    let filter = Filter::builder().name("instance-state-name").set_values(Some(states)).build();
    let reservations = all!(clients.ec2.describe_instances().filters(filter), ec2);
    let instances = reservations.iter().flat_map(Reservation::instances);
    let counted = instances.filter(|instance| running(instance) && counts(instance, of, spot));
    Ok(counted.map(threads).sum())
}

fn running(instance: &Instance) -> bool {
    let state = instance.state().and_then(|state| state.name());
    matches!(state, Some(InstanceStateName::Pending | InstanceStateName::Running))
}

fn counts(instance: &Instance, of: &str, spot: bool) -> bool {
    let is_spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    let quota = instance.instance_type().and_then(|name| of_type(name.as_str(), spot));
    is_spot == spot && quota.is_some_and(|quota| quota.code == of)
}

fn threads(instance: &Instance) -> u32 {
    let options = instance.cpu_options();
    let cores = options.and_then(CpuOptions::core_count).unwrap_or(1);
    let threads = options.and_then(CpuOptions::threads_per_core).unwrap_or(2);
    u32::try_from(cores * threads).unwrap_or_default()
}
