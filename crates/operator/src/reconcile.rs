//! Makes what is deployed run, and what runs known to the gateways.
//!
//! Level-triggered: a pass takes no input, reads what is wanted and what is there, and moves one step from the second to
//! the first. It runs after every change and once in a while without one, so a pass that was cut short, or an event
//! that was missed, costs time and nothing else. Only the holder of the lease acts.

mod rollout;
mod routes;
mod troubles;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{routes::DEFAULT_TIMEOUT, wire::ReplicaPhase};
use state::{Lease, State, StateError, Watch};

use self::rollout::{Bounds, Copies, plan};
pub(crate) use self::troubles::Troubles;
use crate::{
    app::{Deployment, Store},
    engine::{Engine, EngineError, Replica, Workload},
    metrics::Metrics,
};

/// A pass without a reason.
const RESYNC: Duration = Duration::from_secs(5);
/// How long a silent operator keeps the lease. Renewed at every pass.
const LEASE: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

pub(crate) struct Reconciler {
    pub(crate) store: Store,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) lease: Lease,
    pub(crate) troubles: Troubles,
    pub(crate) metrics: Arc<Metrics>,
}

impl Reconciler {
    pub(crate) fn new(
        state: Arc<dyn State>,
        engine: Arc<dyn Engine>,
        holder: &str,
        troubles: Troubles,
        metrics: Arc<Metrics>,
    ) -> Self {
        let lease = Lease::new(Arc::clone(&state), "reconcile", holder, LEASE);
        Self { store: Store::new(state), engine, lease, troubles, metrics }
    }

    /// Runs passes until dropped.
    pub(crate) async fn run(&mut self, mut wanted: Watch) {
        loop {
            let begun = Instant::now();
            let outcome = self.pass().await;
            self.metrics.reconcile.observe(begun.elapsed());
            if let Err(error) = outcome {
                self.metrics.reconcile_failures.add(1);
                tracing::warn!(%error, "a reconcile pass failed; trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            tokio::select! {
                () = self.engine.changed() => {}
                outcome = wanted.changed() => if let Err(error) = outcome {
                    tracing::warn!(%error, "the watch on the State failed");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                },
                () = tokio::time::sleep(RESYNC) => {}
            }
        }
    }

    /// Lets another operator take over at once.
    pub(crate) async fn resign(&mut self) {
        if let Err(error) = self.lease.release().await {
            tracing::warn!(%error, "the lease could not be given up; it runs out by itself");
        }
    }

    /// One step towards what is wanted. The order matters: the gateways learn of what is ready, and stop using what is
    /// not wanted any more, before anything is stopped.
    pub(crate) async fn pass(&mut self) -> Result<(), ReconcileError> {
        let held = self.lease.hold().await?;
        self.metrics.lease.set(i64::from(held));
        if !held {
            return Ok(());
        }
        let deployments = self.store.deployments().await?;
        let replicas = self.engine.observe().await?;
        let cors = self.store.cors().await?;
        routes::publish(self.store.state(), &deployments, &replicas, cors).await?;
        for deployment in &deployments {
            if !self.lease.is_held() {
                return Ok(());
            }
            let name = &deployment.specification.api.name;
            match self.step(deployment, &replicas).await {
                Ok(()) => self.troubles.clear(name),
                Err(error) => self.troubles.note(name, &error.to_string()),
            }
        }
        self.remove_undeployed(&deployments, &replicas).await
    }

    async fn step(&self, deployment: &Deployment, replicas: &[Replica]) -> Result<(), EngineError> {
        let api = &deployment.specification.api;
        let version = deployment.replica_version();
        let mut versions = copies_by_version(replicas, &api.name);
        let new = versions.remove(&version).unwrap_or_default();
        let (old_versions, old): (Vec<_>, Vec<_>) = versions.into_iter().unzip();
        let wanted = api.autoscaling.min_replicas;
        let bounds = Bounds {
            wanted,
            surge: api.update_strategy.surge(wanted),
            unavailable: api.update_strategy.unavailable(wanted),
        };
        let targets = plan(bounds, new, &old);
        for ((version, copies), target) in old_versions.iter().zip(&old).zip(&targets.old) {
            if copies.total > *target {
                self.engine.shrink(&api.name, version, *target).await?;
            }
        }
        if new.total != targets.new {
            let workload = Workload {
                api: api.name.clone(),
                version,
                program: api.program.clone(),
                compute: api.compute.clone(),
                max_replica_concurrency: api.autoscaling.max_replica_concurrency,
                request_timeout: api.networking.timeout.map_or(DEFAULT_TIMEOUT, |s| Duration::from_secs(s.into())),
                bundle: deployment.specification.bundle.clone(),
            };
            self.engine.scale(&workload, targets.new).await?;
        }
        Ok(())
    }

    async fn remove_undeployed(&self, deployments: &[Deployment], replicas: &[Replica]) -> Result<(), ReconcileError> {
        let deployed: BTreeSet<_> = deployments.iter().map(|d| d.specification.api.name.as_str()).collect();
        let orphans = replicas.iter().filter(|replica| !deployed.contains(replica.api.as_str()));
        let gone: BTreeSet<_> = orphans.map(|replica| (replica.api.as_str(), replica.version.as_str())).collect();
        for (api, version) in &gone {
            self.engine.shrink(api, version, 0).await?;
        }
        self.engine.forget_all_but(&deployed).await?;
        self.troubles.keep_only(&deployed);
        Ok(())
    }
}

/// Copies that are not draining, by version.
fn copies_by_version(replicas: &[Replica], api: &str) -> BTreeMap<String, Copies> {
    let mut versions = BTreeMap::<String, Copies>::new();
    let lasting = |replica: &&Replica| replica.api == api && replica.phase != ReplicaPhase::Draining;
    for replica in replicas.iter().filter(lasting) {
        let copies = versions.entry(replica.version.clone()).or_default();
        copies.total += 1;
        copies.ready += u32::from(replica.phase == ReplicaPhase::Ready);
    }
    versions
}
