//! The ECS service of one version of one API: made, given another size, removed.
//!
//! A service never changes its task definition: an update is a second service beside the first. Its name follows from API
//! and version, so however many operators make it at once, and whatever replies are lost, there is one.

use aws_sdk_ecs::types::{
    CapacityProviderStrategyItem, DeploymentCircuitBreaker, DeploymentConfiguration, PlacementStrategy,
    PlacementStrategyType, PropagateTags, SchedulingStrategy,
};
use operator::engine::{EngineError, Workload};

use super::{
    EcsEngine,
    failure::{Failure, failure},
    look::{read_service, read_status},
    names::{self, client_token, service_tags},
    picture::{Service, Status},
};

/// "CapacityProviderStrategyItem", ECS API reference.
const MOST_PROVIDERS: usize = 20;

/// What there is by the name of a service.
pub(super) enum Found {
    /// Nothing, or one that was deleted: `before` tells it from the next.
    Nothing {
        before: String,
    },
    Ours(Service),
}

impl EcsEngine {
    /// As far as known from the last look, else as ECS says.
    pub(super) async fn service(&self, api: &str, version: &str) -> Result<Found, EngineError> {
        let name = names::service(api, version);
        match self.memory.service(&name).filter(|known| known.status == Status::Active) {
            Some(known) => Ok(Found::Ours(known)),
            None => self.find_service(&name).await,
        }
    }

    async fn find_service(&self, name: &str) -> Result<Found, EngineError> {
        let described = self.describe_services(&[name]).await?;
        let Some(described) = described.iter().find(|service| service.service_name() == Some(name)) else {
            return Ok(Found::Nothing { before: String::new() });
        };
        if read_status(described) == Status::Inactive {
            let created_at = described.created_at().map(ToString::to_string);
            return Ok(Found::Nothing { before: created_at.unwrap_or_default() });
        }
        read_service(&self.settings, described).map(Found::Ours).ok_or_else(|| {
            EngineError::Failed(format!(
                "there is an ECS service `{name}` that is not this cluster's (tag {}): remove it, or give the API \
                 another name",
                names::CLUSTER_TAG
            ))
        })
    }

    /// `before` as in [`Found::Nothing`].
    pub(super) async fn create_service(&self, workload: &Workload, size: u32, before: &str) -> Result<(), EngineError> {
        let (api, version) = (workload.api.as_str(), workload.version.as_str());
        let name = names::service(api, version);
        let strategy = self.capacity().await?;
        let definition = self.ensure_definition(workload).await?;
        let request = self
            .ecs
            .create_service()
            .cluster(&self.settings.ecs_cluster)
            .service_name(&name)
            .task_definition(&definition)
            .desired_count(signed(size))
            .client_token(client_token(&self.settings, &name, &[&definition, before]))
            .set_capacity_provider_strategy(Some(strategy))
            .deployment_configuration(deployments())
            .placement_strategy(spread("attribute:ecs.availability-zone"))
            .placement_strategy(spread("instanceId"))
            .scheduling_strategy(SchedulingStrategy::Replica)
            .propagate_tags(PropagateTags::Service)
            .enable_ecs_managed_tags(true)
            .set_tags(Some(service_tags(&self.settings, &name, api, version)));
        if let Err(error) = request.send().await {
            let refused = failure("ecs:CreateService")(error);
            return self.adopt(&name, size, refused).await;
        }
        let made = Service {
            name,
            api: api.to_owned(),
            version: version.to_owned(),
            status: Status::Active,
            desired: size,
            busy: size,
            definition,
            failed_tasks: 0,
            given_up: None,
            unplaced: None,
        };
        tracing::info!(api, version, replicas = size, service = made.name, "made an ECS service");
        self.memory.correct(|picture| drop(picture.services.insert(made.name.clone(), made.clone())));
        Ok(())
    }

    /// A service of that name may be there by now: of another operator, or of a try whose reply was lost.
    async fn adopt(&self, name: &str, size: u32, refused: Failure) -> Result<(), EngineError> {
        if refused.code != "InvalidParameterException" {
            self.memory.doubt();
            return Err(refused.into());
        }
        match self.find_service(name).await? {
            Found::Ours(service) if service.status == Status::Active => {
                self.memory.correct(|picture| drop(picture.services.insert(name.to_owned(), service.clone())));
                self.resize(&service, size).await
            }
            Found::Ours(_) => Err(still_draining(name)),
            Found::Nothing { .. } => Err(refused.into()),
        }
    }

    /// No call if it is so already, as far as known.
    pub(super) async fn resize(&self, service: &Service, size: u32) -> Result<(), EngineError> {
        if service.desired == size {
            return Ok(());
        }
        let request = self.ecs.update_service().cluster(&self.settings.ecs_cluster).service(&service.name);
        if let Err(error) = request.desired_count(signed(size)).send().await {
            // Whatever ECS did of it, and if the service is gone: the next look tells.
            self.memory.doubt();
            return Err(failure("ecs:UpdateService")(error).into());
        }
        tracing::info!(api = service.api, version = service.version, from = service.desired, to = size, "resized");
        self.memory.correct(|picture| {
            if let Some(known) = picture.services.get_mut(&service.name) {
                // ECS may have started some since the last look: only the next one can find it deserted.
                known.busy = known.busy.max(known.desired).max(size);
                known.desired = size;
            }
        });
        Ok(())
    }

    /// Lets ECS try again after its circuit breaker has given up.
    pub(super) async fn try_again(&self, service: &Service) -> Result<(), EngineError> {
        let request = self.ecs.update_service().cluster(&self.settings.ecs_cluster).service(&service.name);
        let reply = request.force_new_deployment(true).send().await;
        self.memory.doubt();
        reply.map_err(failure("ecs:UpdateService"))?;
        tracing::info!(api = service.api, version = service.version, "tries again to start what had failed");
        Ok(())
    }

    /// Of a service without tasks. Without `force`, ECS itself refuses it if somebody has scaled it up meanwhile.
    pub(super) async fn delete_service(&self, service: &Service) -> Result<(), EngineError> {
        let request = self.ecs.delete_service().cluster(&self.settings.ecs_cluster).service(&service.name);
        if let Err(error) = request.send().await {
            let refused = failure("ecs:DeleteService")(error);
            if !matches!(refused.code.as_str(), "ServiceNotFoundException" | "ServiceNotActiveException") {
                self.memory.doubt();
                return Err(refused.into());
            }
        }
        tracing::info!(api = service.api, version = service.version, service = service.name, "removed an ECS service");
        self.memory.correct(|picture| drop(picture.services.remove(&service.name)));
        Ok(())
    }

    /// All capacity providers of the cluster alike.
    async fn capacity(&self) -> Result<Vec<CapacityProviderStrategyItem>, EngineError> {
        let cluster = &self.settings.ecs_cluster;
        let reply = self.ecs.describe_clusters().clusters(cluster).send().await;
        let clusters = reply.map_err(failure("ecs:DescribeClusters"))?.clusters.unwrap_or_default();
        let found = clusters.into_iter().find(|found| found.status() == Some("ACTIVE"));
        let found = found.ok_or_else(|| EngineError::Failed(format!("there is no ECS cluster `{cluster}`")))?;
        let providers = found.capacity_providers();
        if providers.is_empty() {
            let text = format!("the ECS cluster `{cluster}` has no capacity providers: run `cortex cluster up` again");
            return Err(EngineError::Failed(text));
        }
        let items = providers
            .iter()
            .take(MOST_PROVIDERS)
            .map(|provider| CapacityProviderStrategyItem::builder().capacity_provider(provider).weight(1).build());
        items.collect::<Result<_, _>>().map_err(|error| EngineError::Failed(error.to_string()))
    }
}

pub(super) fn still_draining(name: &str) -> EngineError {
    EngineError::Failed(format!("the ECS service `{name}` is still being removed; it is made again when it is gone"))
}

/// The percentages matter when ECS moves tasks off a node that drains: a new one first.
fn deployments() -> DeploymentConfiguration {
    let breaker = DeploymentCircuitBreaker::builder().enable(true).rollback(false).build();
    let configuration = DeploymentConfiguration::builder().minimum_healthy_percent(100).maximum_percent(200);
    configuration.deployment_circuit_breaker(breaker).build()
}

fn spread(field: &str) -> PlacementStrategy {
    PlacementStrategy::builder().r#type(PlacementStrategyType::Spread).field(field).build()
}

fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
