//! The metrics of everything that this operator can ask, as one page.
//!
//! Prometheus cannot reach replicas, which have private sockets, and need not know where they are. So the operator asks all
//! of them at the moment when it is asked, and the gateway beside it, and adds what it knows itself.

use std::collections::BTreeMap;

use api::wire::ReplicaPhase;
use telemetry::{Merged, Page, catalogue::operator as families, describe_process};

use super::{App, AppError, Deployment, scrape};
use crate::{engine::Replica, http::Authenticator};

impl App {
    pub(crate) async fn metrics(&self, authenticator: &dyn Authenticator, audit_lost: u64) -> Result<String, AppError> {
        let deployments = self.store.deployments().await?;
        let replicas = self.engine.observe().await?;
        let told = scrape::all(self.gateway.as_ref(), &replicas).await;
        let mut page = Page::default();
        self.metrics.measure(&mut page);
        self.of_apis(&mut page, &deployments, &replicas);
        authenticator.measure(&mut page);
        page.one(&families::AUDIT_LOST, audit_lost);
        let mut merged = Merged::default();
        let mut outcomes = page.family(&families::SCRAPED);
        for scrape::Told { target, labels, page } in told {
            let pairs: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let value = |name: &str| pairs.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value);
            let outcome = page.and_then(|page| merged.add(&page, &pairs).map_err(|error| error.to_string()));
            outcomes.add(&[target, value("api"), value("replica")], u8::from(outcome.is_ok()));
            if let Err(error) = outcome {
                tracing::debug!(target_process = target, replica = value("replica"), error, "metrics were not told");
            }
        }
        describe_process(&mut page);
        merged
            .add(&page.text(), &[("process", "operator")])
            .map_err(|error| AppError::Unavailable(error.to_string()))?;
        Ok(merged.text())
    }

    fn of_apis(&self, page: &mut Page, deployments: &[Deployment], replicas: &[Replica]) {
        page.one(&families::APIS, deployments.len());
        let mut wanted = page.family(&families::WANTED);
        for api in deployments.iter().map(|deployment| &deployment.specification.api) {
            wanted.add(&[&api.name], api.autoscaling.min_replicas);
        }
        let mut phases = BTreeMap::<(&str, &str), usize>::new();
        let mut restarts = BTreeMap::<&str, u64>::new();
        for replica in replicas {
            *phases.entry((&replica.api, name(replica.phase))).or_default() += 1;
            *restarts.entry(&replica.api).or_default() += u64::from(replica.restarts);
        }
        let mut series = page.family(&families::REPLICAS);
        for ((api, phase), count) in phases {
            series.add(&[api, phase], count);
        }
        let mut series = page.family(&families::RESTARTS);
        for (api, count) in restarts {
            series.add(&[api], count);
        }
        page.one(&families::TROUBLED, self.troubles.count());
    }
}

fn name(phase: ReplicaPhase) -> &'static str {
    match phase {
        ReplicaPhase::Starting => "starting",
        ReplicaPhase::Ready => "ready",
        ReplicaPhase::Draining => "draining",
        ReplicaPhase::BackingOff => "backing_off",
    }
}
