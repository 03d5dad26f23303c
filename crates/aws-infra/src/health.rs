//! What load balancers think of the nodes behind them.

use std::fmt;

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use provision::cloud::CloudError;

use crate::{
    Clients,
    call::uint,
    classify::{ecs, elb},
};

/// One target of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub id: String,
    pub healthy: bool,
    /// In the service's words.
    pub state: String,
    pub why: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.id, self.state)?;
        self.why.iter().try_for_each(|why| write!(f, ": {why}"))
    }
}

/// All targets of a target group, by its ARN.
///
/// # Errors
///
/// AWS did not answer, or refused.
pub async fn target_health(clients: &Clients, target_group: &str) -> Result<Vec<Target>, CloudError> {
    let request = clients.patient().elb.describe_target_health().target_group_arn(target_group);
    let reply = request.send().await.map_err(elb)?;
    let described = reply.target_health_descriptions.unwrap_or_default().into_iter();
    let target = described.map(|description| {
        let health = description.target_health;
        let state = health.as_ref().and_then(|health| health.state.clone());
        Target {
            id: description.target.and_then(|target| target.id).unwrap_or_default(),
            healthy: state == Some(TargetHealthStateEnum::Healthy),
            state: state.as_ref().map_or("unknown", TargetHealthStateEnum::as_str).to_owned(),
            why: health.and_then(|health| health.description),
        }
    });
    Ok(target.collect())
}

/// An instance that replicas can run on, as ECS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub instance: String,
    /// Its agent talks to ECS.
    pub connected: bool,
    /// In the service's words.
    pub status: String,
    pub running: u32,
    pub pending: u32,
}

/// All instances that have joined the ECS cluster of that name.
///
/// # Errors
///
/// AWS did not answer, or refused.
pub async fn workers(clients: &Clients, ecs_cluster: &str) -> Result<Vec<Worker>, CloudError> {
    let clients = clients.patient();
    let pages = clients.ecs.list_container_instances().cluster(ecs_cluster).into_paginator().items().send();
    let arns = pages.collect::<Result<Vec<_>, _>>().await.map_err(ecs)?;
    let mut workers = Vec::new();
    // "DescribeContainerInstances", ECS API reference: a hundred at a time.
    for some in arns.chunks(100) {
        let request = clients.ecs.describe_container_instances().cluster(ecs_cluster);
        let reply = request.set_container_instances(Some(some.to_vec())).send().await.map_err(ecs)?;
        workers.extend(reply.container_instances.unwrap_or_default().into_iter().map(|one| Worker {
            instance: one.ec2_instance_id.unwrap_or_default(),
            connected: one.agent_connected,
            status: one.status.unwrap_or_default(),
            running: uint(Some(one.running_tasks_count)),
            pending: uint(Some(one.pending_tasks_count)),
        }));
    }
    Ok(workers)
}
