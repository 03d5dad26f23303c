//! What is deployed and how it is doing.
//!
//! A replica counts as ready once it is in the routes, not before: `live` means that requests get there, and to no other
//! version.

use api::{
    cluster::{ApiCertificate, CERTIFICATE_KEY},
    routes::{ApiRoute, Limits, ROUTES_KEY, Routes},
    wire::{ApiDetail, ApiList, ApiStatus, ApiSummary, Info, ReplicaCounts, ReplicaDetail, ReplicaPhase},
};
use state::{Version, read};

use super::{App, AppError, Deployment};
use crate::engine::Replica;

/// Everything that is running, and what the gateways may use of it.
struct Running {
    replicas: Vec<Replica>,
    routes: Vec<ApiRoute>,
    routes_version: Option<Version>,
}

impl App {
    pub async fn info(&self) -> Result<Info, AppError> {
        let apis = self.store.deployments().await?.len();
        let running = self.running().await?;
        let certificate = read::<ApiCertificate>(self.store.state(), CERTIFICATE_KEY).await?;
        Ok(Info {
            cluster_name: self.cluster.name.clone(),
            provider: self.cluster.provider.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_endpoint: self.cluster.api_endpoint.clone(),
            ca_certificate: self.ca_certificate.clone(),
            api_certificate: certificate.map(|(certificate, _)| certificate).unwrap_or_default(),
            apis,
            replicas_ready: running.replicas.iter().filter(|replica| running.is_serving(replica)).count(),
            routes_version: running.routes_version.map(|version| version.0),
        })
    }

    async fn running(&self) -> Result<Running, AppError> {
        // In this order: what is in the routes was observed before.
        let replicas = self.engine.observe().await?;
        let routes = read::<Routes>(self.store.state(), ROUTES_KEY).await?;
        let (routes, routes_version) = routes.map(|(routes, version)| (routes, Some(version))).unwrap_or_default();
        Ok(Running { replicas, routes: routes.apis, routes_version })
    }

    pub async fn list(&self) -> Result<ApiList, AppError> {
        let deployments = self.store.deployments().await?;
        let running = self.running().await?;
        Ok(ApiList { apis: deployments.iter().map(|deployment| self.summary(deployment, &running)).collect() })
    }

    pub async fn api(&self, name: &str) -> Result<ApiDetail, AppError> {
        let deployment = self.store.deployment(name).await?.ok_or_else(|| AppError::NoSuchApi(name.to_owned()))?;
        let running = self.running().await?;
        let version = deployment.replica_version();
        let detail = |replica: &Replica| ReplicaDetail {
            id: replica.id.clone(),
            up_to_date: replica.version == version,
            phase: replica.phase,
            message: replica.message.clone(),
            restarts: replica.restarts,
        };
        Ok(ApiDetail {
            summary: self.summary(&deployment, &running),
            replicas_detail: running.replicas.iter().filter(|replica| replica.api == name).map(detail).collect(),
            spec: deployment.specification.api,
            bundle: deployment.specification.bundle,
        })
    }

    fn summary(&self, deployment: &Deployment, running: &Running) -> ApiSummary {
        let api = &deployment.specification.api;
        let trouble = self.troubles.of(&api.name);
        let health = health(deployment, running, trouble.as_deref());
        ApiSummary {
            name: api.name.clone(),
            status: health.status,
            message: health.message,
            endpoint: format!("{}{}", self.cluster.api_endpoint, api.networking.endpoint),
            predictor: api.program.kind().to_owned(),
            generation: deployment.head.generation,
            replicas: health.replicas,
            updated_at: deployment.head.updated_at,
            updated_by: deployment.head.updated_by.clone(),
        }
    }
}

impl Running {
    fn is_serving(&self, replica: &Replica) -> bool {
        let is_it = |route: &ApiRoute| route.replicas.iter().any(|routed| routed.id == replica.id);
        replica.phase == ReplicaPhase::Ready && self.route(&replica.api).is_some_and(is_it)
    }

    /// Whether requests to the deployment's endpoint reach its version and no other, within its limits.
    fn is_routed(&self, deployment: &Deployment) -> bool {
        let (api, version) = (&deployment.specification.api, deployment.replica_version());
        self.route(&api.name).is_some_and(|route| {
            let network = route.endpoint == api.networking.endpoint && route.limits == Limits::from(&api.networking);
            network && route.replicas.iter().all(|routed| routed.version == version)
        })
    }

    fn route(&self, api: &str) -> Option<&ApiRoute> {
        self.routes.iter().find(|route| route.name == api)
    }
}

struct Health {
    status: ApiStatus,
    message: String,
    replicas: ReplicaCounts,
}

/// Judges an API by its replicas and by what the reconciler could not do for it.
fn health(deployment: &Deployment, running: &Running, trouble: Option<&str>) -> Health {
    let api = &deployment.specification.api;
    let version = deployment.replica_version();
    let wanted = api.autoscaling.min_replicas;
    let mine: Vec<_> = running.replicas.iter().filter(|replica| replica.api == api.name).collect();
    let count = |test: &dyn Fn(&Replica) -> bool| {
        u32::try_from(mine.iter().filter(|replica| test(replica)).count()).unwrap_or(u32::MAX)
    };
    let ready = |replica: &Replica| running.is_serving(replica);
    let counts = ReplicaCounts {
        wanted,
        ready: count(&ready),
        up_to_date: count(&|replica| ready(replica) && replica.version == version),
        failed: count(&|replica| replica.failed && replica.version == version),
    };
    let failure = mine.iter().find(|replica| replica.failed && replica.version == version);
    let serving = counts.ready > 0;
    let old_ones = count(&|replica| replica.version != version && replica.phase != ReplicaPhase::Draining);
    let settled = old_ones == 0 && running.is_routed(deployment);
    let status = match () {
        () if counts.up_to_date >= wanted && settled => ApiStatus::Live,
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

#[cfg(test)]
mod tests {
    use api::routes::ReplicaRoute;
    use time::OffsetDateTime;
    use transport::Address;

    use super::*;
    use crate::app::store::{Head, Specification};

    fn deployment(networking: &str) -> Deployment {
        let text = format!(
            "- name: iris\n  kind: RealtimeAPI\n  predictor: {{type: python, path: p.py}}\n  networking: {{{networking}}}\n"
        );
        let api = spec::realtime::parse("cortex.yaml", &text).expect("it is valid").remove(0);
        let (updated_at, updated_by) = (OffsetDateTime::UNIX_EPOCH, "me".to_owned());
        let head = Head { spec: api.spec_hash("b"), generation: 1, updated_at, updated_by };
        Deployment { head, specification: Specification { api, bundle: "b".to_owned() } }
    }

    #[test]
    fn what_is_deployed_is_routed_when_all_that_gateways_look_at_is() {
        let before = deployment("timeout: 10");
        let networking = &before.specification.api.networking;
        let address = Address::Tcp("127.0.0.1:1".to_owned());
        let replica = ReplicaRoute { id: "r".to_owned(), version: before.replica_version(), address };
        let (endpoint, limits) = (networking.endpoint.clone(), Limits::from(networking));
        let route = ApiRoute { name: "iris".to_owned(), endpoint, replicas: vec![replica], limits };
        let running = Running { replicas: Vec::new(), routes: vec![route], routes_version: None };
        assert!(running.is_routed(&before));
        for other in ["timeout: 11", "timeout: 10, endpoint: /x", "timeout: 10, max_in_flight: 1", ""] {
            let after = deployment(other);
            assert_eq!(after.replica_version(), before.replica_version(), "no replica changes");
            assert!(!running.is_routed(&after), "{other}");
        }
    }
}
