//! Three roles: control nodes, workers, and the replicas' tasks.

use std::collections::BTreeMap;

use super::{Build, key, policies};
use crate::{
    names,
    resource::{InstanceProfile, Key, Kind, Link, Policy, Resource, Role},
};

/// The instance profiles.
pub(super) struct Roles {
    pub control: Key,
    pub worker: Key,
}

pub(super) fn add(build: &mut Build<'_>) -> Roles {
    let instance = policies::instance_trust(build);
    // With keys of its own the cluster runs as their user; then the role is for booting and nothing else.
    let policy = match &build.facts.runtime_identity {
        None => policies::control(build),
        Some(_) => policies::boot(build),
    };
    let control = role(build, "control", "operator and gateway", instance.clone(), policy);
    let worker = role(build, "worker", "worker nodes", instance, policies::worker(build));
    role(build, "task", "replicas", policies::task_trust(build), policies::task(build));
    Roles { control: profile(build, &control), worker: profile(build, &worker) }
}

fn role(build: &mut Build<'_>, name: &str, of: &str, trust: Policy, policy: Policy) -> Key {
    let key = key(Kind::Role, &[name]);
    let extra = if name == "task" { build.aws.iam_policy_arns.as_slice() } else { &[] };
    let made = Role {
        name: names::role(build.cluster, name),
        path: names::iam_path(build.cluster),
        description: format!("cortex cluster {}: {of}", build.cluster.name),
        trust,
        inline_policies: BTreeMap::from([("cortex".to_owned(), policy)]),
        managed_policy_arns: extra.iter().cloned().collect(),
    };
    build.add(&key, Resource::Role(made));
    key
}

fn profile(build: &mut Build<'_>, role: &Key) -> Key {
    let name = role.rest();
    let key = key(Kind::InstanceProfile, &[name]);
    let made = InstanceProfile {
        name: names::role(build.cluster, name),
        path: names::iam_path(build.cluster),
        role: Some(Link::name(role)),
    };
    build.add(&key, Resource::InstanceProfile(made));
    key
}
