//! An engine in memory. Replicas start, get ready and fail only when the test says so; a stopped one is gone at once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::wire::{LogQuery, ReplicaPhase};
use async_trait::async_trait;
use operator::engine::{Engine, EngineError, LogStream, Replica, Workload};
use tokio::sync::Notify;
use transport::Address;

#[derive(Default)]
pub struct ScriptedEngine {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    replicas: Vec<Replica>,
    started: usize,
    refusal: Option<String>,
}

impl ScriptedEngine {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn running(&self, api: &str) -> Vec<Replica> {
        self.inner().replicas.iter().filter(|replica| replica.api == api).cloned().collect()
    }

    pub fn phases(&self, api: &str) -> Vec<ReplicaPhase> {
        self.running(api).into_iter().map(|replica| replica.phase).collect()
    }

    pub fn started(&self) -> usize {
        self.inner().started
    }

    pub fn all_ready(&self, api: &str) {
        self.change(|replica| {
            if replica.api == api && replica.phase == ReplicaPhase::Starting {
                replica.phase = ReplicaPhase::Ready;
            }
        });
    }

    pub fn fail_starting(&self, api: &str, why: &str) {
        self.change(|replica| {
            if replica.api == api && replica.phase == ReplicaPhase::Starting {
                replica.phase = ReplicaPhase::BackingOff;
                replica.failed = true;
                replica.message = why.to_owned();
            }
        });
    }

    pub fn refuse(&self, why: &str) {
        self.inner().refusal = Some(why.to_owned());
    }

    pub fn allow(&self) {
        self.inner().refusal = None;
        self.changed.notify_one();
    }

    fn change(&self, mut change: impl FnMut(&mut Replica)) {
        self.inner().replicas.iter_mut().for_each(&mut change);
        self.changed.notify_one();
    }
}

#[async_trait]
impl Engine for ScriptedEngine {
    async fn observe(&self) -> Result<Vec<Replica>, EngineError> {
        Ok(self.inner().replicas.clone())
    }

    async fn scale(&self, workload: &Workload, replicas: u32) -> Result<(), EngineError> {
        let mut inner = self.inner();
        if let Some(why) = &inner.refusal {
            return Err(EngineError::Failed(why.clone()));
        }
        let mine = |replica: &&Replica| replica.api == workload.api && replica.version == workload.version;
        let present = inner.replicas.iter().filter(mine).count();
        for _ in present..replicas as usize {
            inner.started += 1;
            let number = inner.started;
            inner.replicas.push(Replica {
                address: Address::Tcp(format!("127.0.0.1:{number}")),
                id: format!("{number:04}"),
                api: workload.api.clone(),
                version: workload.version.clone(),
                phase: ReplicaPhase::Starting,
                message: "starting".to_owned(),
                restarts: 0,
                failed: false,
            });
        }
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    async fn shrink(&self, api: &str, version: &str, keep: u32) -> Result<(), EngineError> {
        let mut inner = self.inner();
        let mut kept = 0;
        inner.replicas.retain(|replica| {
            let mine = replica.api == api && replica.version == version;
            kept += u32::from(mine);
            !mine || kept <= keep
        });
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    async fn forget_all_but(&self, _: &BTreeSet<&str>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    async fn logs(&self, _: &str, _: &LogQuery) -> Result<LogStream, EngineError> {
        Ok(Box::pin(futures_util::stream::empty()))
    }
}
