//! Replicas as tasks of Amazon ECS: one service for each version of each API, on the capacity of the cluster's node groups.
//!
//! Where a task runs, how often it is started again, and how many nodes there are is for ECS to decide. What is left to do
//! here:
//!
//! - **Saying what there is** ([`look`], [`picture`]): a replica for each task, and one for each that a service is to have
//!   and has not yet. A task is ready when its container's health check says so.
//! - **Making services** ([`service`], [`definition`]) and giving them their sizes. ECS is asked to change only what is not
//!   so already.
//! - **Removing** ([`sweep`]) what is empty. A service is deleted when its last task has stopped, so draining, which is the
//!   container's own doing after SIGTERM, is never cut short.
//! - **Logs** ([`logs`]) out of CloudWatch.
//!
//! Everything of ours carries the cluster's tag; whatever does not is left alone. It assumes that a worker says its address
//! in the attribute `cortex.address` of its container instance.

mod definition;
mod failure;
mod logs;
mod look;
mod memory;
mod names;
mod picture;
mod service;
mod sweep;

use std::{collections::BTreeSet, time::Duration};

use api::wire::LogQuery;
use async_trait::async_trait;
use aws_config::SdkConfig;
use operator::engine::{Engine, EngineError, LogStream, Replica, Workload};

use self::{
    memory::Memory,
    picture::Status,
    service::{Found, still_draining},
};
use crate::calls;

/// A look is good enough for everybody who asks so soon after it.
const FRESH: Duration = Duration::from_secs(1);
/// Nobody who has not asked for so long wants to be told of changes: an operator without the lease.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// Between two looks, when ECS does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the engine has to know of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name of the cortex cluster, which is on everything as a tag.
    pub cluster_name: String,
    pub ecs_cluster: String,
    pub region: String,
    /// With the bundles.
    pub bucket: String,
    pub log_group: String,
    pub task_role_arn: String,
    /// Container image with Python.
    pub image: String,
    /// How often ECS is looked at.
    pub poll: Duration,
}

/// The engine.
pub struct EcsEngine {
    ecs: aws_sdk_ecs::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    settings: Settings,
    memory: Memory,
    /// Held by whoever looks.
    looking: tokio::sync::Mutex<()>,
}

impl EcsEngine {
    /// `config` says whose credentials, which region and what endpoint; retries and timeouts are ours. Asks AWS nothing.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let ecs =
            aws_sdk_ecs::config::Builder::from(config).retry_config(calls::retries()).timeout_config(calls::timeouts());
        let logs = aws_sdk_cloudwatchlogs::config::Builder::from(config)
            .retry_config(calls::retries())
            .timeout_config(calls::timeouts());
        Self {
            ecs: aws_sdk_ecs::Client::from_conf(ecs.build()),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(logs.build()),
            settings,
            memory: Memory::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Until the next look is due: longer and longer while they fail.
    fn wait(&self, failures: u32) -> Duration {
        let poll = self.settings.poll;
        if failures > 0 {
            return poll.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT.max(poll));
        }
        self.memory.age().map_or(poll, |age| poll.saturating_sub(age))
    }
}

#[async_trait]
impl Engine for EcsEngine {
    fn runs_images(&self) -> bool {
        true
    }

    async fn observe(&self) -> Result<Vec<Replica>, EngineError> {
        let picture = self.look(FRESH.min(self.settings.poll)).await?;
        self.memory.observed();
        Ok(picture.replicas())
    }

    async fn scale(&self, workload: &Workload, replicas: u32) -> Result<(), EngineError> {
        match self.service(&workload.api, &workload.version).await? {
            Found::Ours(service) if service.status == Status::Active => self.resize(&service, replicas).await,
            Found::Ours(service) => Err(still_draining(&service.name)),
            Found::Nothing { .. } if replicas == 0 => Ok(()),
            Found::Nothing { before } => self.create_service(workload, replicas, &before).await,
        }
    }

    async fn shrink(&self, api: &str, version: &str, keep: u32) -> Result<(), EngineError> {
        match self.service(api, version).await? {
            Found::Ours(service) if service.status == Status::Active && service.desired > keep => {
                self.resize(&service, keep).await
            }
            _ => Ok(()),
        }
    }

    /// Logs are CloudWatch's to forget, after the days that the log group has.
    async fn forget_all_but(&self, deployed: &BTreeSet<&str>) -> Result<(), EngineError> {
        self.tidy(deployed).await
    }

    async fn changed(&self) {
        let mut failures = 0;
        loop {
            if self.memory.is_observed(FORGOTTEN) && self.memory.is_news() {
                return;
            }
            tokio::time::sleep(self.wait(failures)).await;
            if !self.memory.is_observed(FORGOTTEN) {
                // Somebody else holds the lease.
                tokio::time::sleep(self.settings.poll).await;
                continue;
            }
            match self.look(self.settings.poll).await {
                Ok(_) => failures = 0,
                Err(failure) => {
                    failures += 1;
                    let error = EngineError::from(failure);
                    tracing::warn!(%error, "Amazon ECS could not be looked at");
                }
            }
        }
    }

    async fn logs(&self, api: &str, query: &LogQuery) -> Result<LogStream, EngineError> {
        logs::stream(self.logs.clone(), &self.settings.log_group, api, query).await
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use operator::engine::Workload;
    use spec::realtime::{Compute, Predictor, PredictorType, Program};

    use super::Settings;

    pub(super) fn settings() -> Settings {
        Settings {
            cluster_name: "test".to_owned(),
            ecs_cluster: "cortex-test".to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "bucket".to_owned(),
            log_group: "/cortex/test".to_owned(),
            task_role_arn: "arn:aws:iam::123456789012:role/task".to_owned(),
            image: "python:3.12-slim".to_owned(),
            poll: Duration::from_millis(100),
        }
    }

    pub(super) fn workload() -> Workload {
        let predictor = Predictor {
            r#type: PredictorType::Python,
            path: "predictor.py".to_owned(),
            config: [("model".to_owned(), "s3://models/iris".into())].into_iter().collect(),
            env: BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]),
            python_path: None,
            processes_per_replica: 1,
            threads_per_process: 1,
            server_side_batching: None,
            request_timeout: None,
        };
        let compute = Compute { cpu_millis: 200, mem_bytes: None };
        Workload {
            api: "iris".to_owned(),
            version: "1".to_owned(),
            program: Program::Predictor(predictor),
            compute,
            max_replica_concurrency: None,
            request_timeout: Duration::from_secs(60),
            bundle: "cccc".to_owned(),
        }
    }
}
