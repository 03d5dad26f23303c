//! What is deployed and how it is doing.

use api::wire::{
    ApiDetail, ApiList, ApiStatus, ApiSummary, Info, ReplicaCounts, ReplicaDetail, ReplicaPhase,
};

use super::{App, AppError, Deployment};
use crate::engine::Replica;

impl App {
    pub async fn info(&self) -> Result<Info, AppError> {
        let apis = self.store.deployments().await?.len();
        let replicas = self.engine.observe().await?;
        Ok(Info {
            cluster_name: self.cluster.name.clone(),
            provider: self.cluster.provider.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_endpoint: self.cluster.api_endpoint.clone(),
            ca_certificate: self.ca_certificate.clone(),
            apis,
            replicas_ready: replicas.iter().filter(|replica| replica.phase == ReplicaPhase::Ready).count(),
        })
    }

    pub async fn list(&self) -> Result<ApiList, AppError> {
        let deployments = self.store.deployments().await?;
        let replicas = self.engine.observe().await?;
        Ok(ApiList { apis: deployments.iter().map(|deployment| self.summary(deployment, &replicas)).collect() })
    }

    pub async fn api(&self, name: &str) -> Result<ApiDetail, AppError> {
        let deployment =
            self.store.deployment(name).await?.ok_or_else(|| AppError::NoSuchApi(name.to_owned()))?;
        let replicas = self.engine.observe().await?;
        let version = deployment.replica_version();
        let detail = |replica: &Replica| ReplicaDetail {
            id: replica.id.clone(),
            up_to_date: replica.version == version,
            phase: replica.phase,
            message: replica.message.clone(),
            restarts: replica.restarts,
        };
        Ok(ApiDetail {
            summary: self.summary(&deployment, &replicas),
            replicas_detail: replicas.iter().filter(|replica| replica.api == name).map(detail).collect(),
            spec: deployment.specification.api,
            bundle: deployment.specification.bundle,
        })
    }

    fn summary(&self, deployment: &Deployment, replicas: &[Replica]) -> ApiSummary {
        let api = &deployment.specification.api;
        let trouble = self.troubles.of(&api.name);
        let health = health(deployment, replicas, trouble.as_deref());
        ApiSummary {
            name: api.name.clone(),
            status: health.status,
            message: health.message,
            endpoint: format!("{}{}", self.cluster.api_endpoint, api.networking.endpoint),
            predictor: api.predictor.r#type,
            generation: deployment.head.generation,
            replicas: health.replicas,
            updated_at: deployment.head.updated_at,
            updated_by: deployment.head.updated_by.clone(),
        }
    }
}

struct Health {
    status: ApiStatus,
    message: String,
    replicas: ReplicaCounts,
}

/// Judges an API by its replicas and by what the reconciler could not do for it.
fn health(deployment: &Deployment, replicas: &[Replica], trouble: Option<&str>) -> Health {
    let api = &deployment.specification.api;
    let version = deployment.replica_version();
    let wanted = api.autoscaling.min_replicas;
    let mine: Vec<_> = replicas.iter().filter(|replica| replica.api == api.name).collect();
    let count = |test: &dyn Fn(&Replica) -> bool| {
        u32::try_from(mine.iter().filter(|replica| test(replica)).count()).unwrap_or(u32::MAX)
    };
    let ready = |replica: &Replica| replica.phase == ReplicaPhase::Ready;
    let counts = ReplicaCounts {
        wanted,
        ready: count(&ready),
        up_to_date: count(&|replica| ready(replica) && replica.version == version),
        failed: count(&|replica| replica.failed && replica.version == version),
    };
    let failure = mine.iter().find(|replica| replica.failed && replica.version == version);
    let serving = counts.ready > 0;
    let old_ones = count(&|replica| replica.version != version && replica.phase != ReplicaPhase::Draining);
    let status = match () {
        () if counts.up_to_date >= wanted && old_ones == 0 => ApiStatus::Live,
        () if (failure.is_some() || trouble.is_some()) && serving => ApiStatus::UpdateFailed,
        () if failure.is_some() || trouble.is_some() => ApiStatus::Failed,
        () if serving => ApiStatus::Updating,
        () => ApiStatus::Starting,
    };
    let message = match status {
        ApiStatus::Live => String::new(),
        _ => failure
            .map(|replica| replica.message.clone())
            .or_else(|| trouble.map(str::to_owned))
            .or_else(|| {
                let waiting = |replica: &&&Replica| !ready(replica) && replica.version == version;
                mine.iter().find(waiting).map(|replica| replica.message.clone())
            })
            .unwrap_or_else(|| format!("{} of {wanted} replicas are ready", counts.up_to_date)),
    };
    Health { status, message, replicas: counts }
}
