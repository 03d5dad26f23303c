//! The instances that the plan asks for: how many, and of which types.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{ArchitectureType, InstanceType, InstanceTypeInfo, MemoryInfo, ProcessorInfo, VCpuInfo};
use provision::{
    cloud::CloudError,
    plan::{Choice, Entry},
    resource::{AutoScalingGroup, Kind, Link, Resource},
};

use super::{Finding, Subject};
use crate::{Clients, classify::ec2};

/// More instances of one group than there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct More {
    /// Any of them, as AWS likes.
    pub types: Vec<String>,
    pub spot: bool,
    /// Certainly, and at most.
    pub instances: (u32, u32),
}

pub(super) fn more(subject: Subject<'_>) -> Vec<More> {
    let groups = subject.plan.entries.iter().filter(|entry| entry.kind == Kind::AutoScalingGroup);
    let mut all = Vec::new();
    for entry in groups {
        let Some(Resource::AutoScalingGroup(group)) = entry.wanted.as_ref().map(|node| &node.resource) else {
            continue;
        };
        let (min, max) = before(entry);
        if group.max <= max && group.min <= min {
            continue;
        }
        // Its fewest run already; how many of the others do, the count of running instances knows.
        let grown = (group.min.saturating_sub(min), group.max.saturating_sub(min));
        let Some(own) = instance_type(subject, group) else { continue };
        match &group.mixed {
            None => all.push(More { types: vec![own], spot: false, instances: grown }),
            Some(mixed) => {
                let types = mixed.instance_types.clone();
                let (least, most) = grown;
                let on_demand = (mixed.on_demand(least), mixed.on_demand(most));
                let shares = [(false, on_demand.0, on_demand.1), (true, least - on_demand.0, most - on_demand.1)];
                let shares = shares.into_iter().filter(|(_, _, most)| *most > 0);
                all.extend(shares.map(|(spot, least, most)| More {
                    types: types.clone(),
                    spot,
                    instances: (least, most),
                }));
            }
        }
    }
    all
}

/// What there may be of it already.
fn before(entry: &Entry) -> (u32, u32) {
    let current = entry.current.as_ref().filter(|_| entry.choice != Choice::Create);
    match current.and_then(|found| found.actual.as_ref()) {
        Some(Resource::AutoScalingGroup(group)) => (group.min, group.max),
        _ => (0, 0),
    }
}

fn instance_type(subject: Subject<'_>, group: &AutoScalingGroup<Link>) -> Option<String> {
    let key = group.launch_template.key()?;
    let entry = subject.plan.entries.iter().find(|entry| entry.key == *key)?;
    match &entry.wanted.as_ref()?.resource {
        Resource::LaunchTemplate(template) => Some(template.instance_type.clone()),
        _ => None,
    }
}

/// vCPUs of each type.
pub(super) async fn vcpus(clients: &Clients, types: &BTreeSet<&str>) -> Result<BTreeMap<String, u32>, CloudError> {
    let infos = describe(clients, types).await?;
    let vcpus = infos.iter().filter_map(|info| {
        let vcpus = info.v_cpu_info()?.default_v_cpus()?;
        Some((info.instance_type()?.as_str().to_owned(), u32::try_from(vcpus).ok()?))
    });
    Ok(vcpus.collect())
}

async fn describe(clients: &Clients, types: &BTreeSet<&str>) -> Result<Vec<InstanceTypeInfo>, CloudError> {
    if types.is_empty() {
        return Ok(Vec::new());
    }
    let types = types.iter().map(|name| InstanceType::from(*name)).collect();
    // All types there are fit into one call.
    let reply = clients.ec2.describe_instance_types().set_instance_types(Some(types)).send().await.map_err(ec2)?;
    Ok(reply.instance_types.unwrap_or_default())
}

/// Types that run what nodes run.
pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let more = more(subject);
    let types: BTreeSet<&str> = more.iter().flat_map(|more| &more.types).map(String::as_str).collect();
    Ok(describe(clients, &types).await?.iter().map(judge).collect())
}

fn judge(info: &InstanceTypeInfo) -> Finding {
    const CHECK: &str = "instance type";
    let name = info.instance_type().map_or("?", InstanceType::as_str);
    let architectures = info.processor_info().map(ProcessorInfo::supported_architectures).unwrap_or_default();
    if !architectures.contains(&ArchitectureType::X8664) {
        let message = format!("{name} is not x86-64, and the nodes' binary is");
        return Finding::refused(CHECK, message).hint("choose a type with processors of Intel or AMD");
    }
    let vcpus = info.v_cpu_info().and_then(VCpuInfo::default_v_cpus).unwrap_or_default();
    let memory = info.memory_info().and_then(MemoryInfo::size_in_mib).unwrap_or_default();
    Finding::passed(CHECK, format!("{name}: {vcpus} vCPUs, {} GiB", memory / 1024))
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn types_for_another_architecture_are_refused() {
        let of = |architecture| {
            let processor = ProcessorInfo::builder().supported_architectures(architecture).build();
            judge(&InstanceTypeInfo::builder().instance_type(InstanceType::M6gLarge).processor_info(processor).build())
        };
        assert_eq!(of(ArchitectureType::Arm64).verdict, Verdict::Refused);
        assert_eq!(of(ArchitectureType::X8664).verdict, Verdict::Passed);
    }
}
