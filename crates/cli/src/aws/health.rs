//! `cluster health` on AWS: what AWS thinks of the cluster's parts. The operator is not asked: it may be out of reach from here.

use std::collections::BTreeMap;

use api::cluster::{CA_KEY, CaRecord};
use aws_infra::{BucketName, Worker, target_health, workers};
use provision::{
    cloud::{Observed, State as Standing},
    names,
    resource::{Key, Kind, Resource},
};
use state::read;

use super::{
    account::{self, Account},
    info::everything,
    state::cluster_state,
};
use crate::{
    health::{Health, Part},
    report::Failure,
};

pub async fn health(name: &str, account: &Account, bucket: BucketName) -> Result<Health, Failure> {
    let cluster = account.cluster(name);
    let found = everything(name, account, bucket).await?;
    let mut parts = vec![resources(&found), authority(account, &found).await?];
    for group in found.iter().filter(|found| found.kind == Kind::TargetGroup) {
        let targets = target_health(&account.clients, &group.ids.id).await.map_err(|error| account::cloud(&error))?;
        let healthy = targets.iter().filter(|target| target.healthy).count();
        let ill: Vec<String> = targets.iter().filter(|target| !target.healthy).map(ToString::to_string).collect();
        let mut message = format!("{healthy} of {} control nodes answer", targets.len());
        if !ill.is_empty() {
            message = format!("{message}; {}", ill.join(", "));
        }
        parts.push(Part::new(format!("{} port", group.key.rest()), healthy > 0 && ill.is_empty(), message));
    }
    let workers = workers(&account.clients, &names::ecs_cluster(&cluster)).await;
    let workers = workers.map_err(|error| account::cloud(&error))?;
    parts.extend(groups(&found, &workers));
    Ok(Health::new(cluster.to_string(), parts))
}

/// Whatever AWS is still making, or has given up.
fn resources(found: &[Observed]) -> Part {
    let mut not: Vec<String> = Vec::new();
    for found in found.iter().filter(|found| found.kind != Kind::Instance) {
        match &found.state {
            Standing::Available => {}
            Standing::Pending => not.push(format!("{} is being made", found.key)),
            Standing::Deleting => not.push(format!("{} is being deleted", found.key)),
            Standing::Failed(why) => not.push(format!("{} has failed: {why}", found.key)),
        }
    }
    match not.is_empty() {
        true => Part::new("resources", true, format!("{} are there", found.len())),
        false => Part::new("resources", false, not.join("; ")),
    }
}

async fn authority(account: &Account, found: &[Observed]) -> Result<Part, Failure> {
    let name = "authority";
    let Some(bucket) = found.iter().find(|found| found.key == Key::new(Kind::Bucket, &[])) else {
        return Ok(Part::new(name, false, "the cluster has no bucket"));
    };
    let state = cluster_state(&account.config, &bucket.ids.id, Some(&account.caller.account_id));
    Ok(match read::<CaRecord>(&state, CA_KEY).await? {
        Some(_) => Part::new(name, true, "its certificate is published"),
        None => Part::new(name, false, "no control node has made the certificate authority yet"),
    })
}

/// Each group's instances: as many as it should have, and for workers that ECS can use them.
fn groups(found: &[Observed], workers: &[Worker]) -> Vec<Part> {
    let mut instances: BTreeMap<&str, Vec<&Observed>> = BTreeMap::new();
    for instance in found.iter().filter(|found| found.kind == Kind::Instance) {
        let of = instance.tags.get(names::RESOURCE_TAG).map_or("", String::as_str);
        instances.entry(of.trim_start_matches("instance/")).or_default().push(instance);
    }
    let groups = found.iter().filter_map(|found| match &found.actual {
        Some(Resource::AutoScalingGroup(group)) => Some((found.key.rest(), group)),
        _ => None,
    });
    let part = |(name, group): (&str, &provision::resource::AutoScalingGroup<String>)| {
        let there = instances.get(name).map(Vec::as_slice).unwrap_or_default();
        let up = there.iter().filter(|instance| instance.state == Standing::Available).count();
        let enough = u32::try_from(up).unwrap_or(u32::MAX) >= group.min;
        let message = format!("{up} instances run, {} to {} wanted", group.min, group.max);
        if !name.starts_with("node/") {
            return Part::new(name, enough, message);
        }
        let known = |id: &str| workers.iter().find(|worker| worker.instance == id);
        let lost: Vec<&str> = there
            .iter()
            .map(|instance| instance.ids.id.as_str())
            .filter(|id| known(id).is_none_or(|worker| !worker.connected))
            .collect();
        let replicas: u32 = there.iter().filter_map(|instance| known(&instance.ids.id)).map(|one| one.running).sum();
        let message = format!("{message}, {replicas} replicas on them");
        match lost.is_empty() {
            true => Part::new(name, enough, message),
            false => Part::new(name, false, format!("{message}; ECS hears nothing of {}", lost.join(", "))),
        }
    };
    groups.map(part).collect()
}
