//! Creating, updating and deleting APIs. What is written here is only what is wanted; the reconciler makes it so.

use api::wire::{DeployAction, DeployReply, DeployRequest, Deployed};
use identity::Principal;
use spec::realtime::Api;
use state::Expect;
use time::OffsetDateTime;

use super::{App, AppError, Head, Specification, bundles::check_name};

impl App {
    /// All APIs of the request are checked before the first one is written.
    pub async fn deploy(&self, request: &DeployRequest, caller: &Principal) -> Result<DeployReply, AppError> {
        check_name(&request.bundle)?;
        if request.apis.is_empty() {
            return Err(AppError::Invalid {
                kind: "deploy.empty",
                message: "the request names no API: there is nothing to deploy".to_owned(),
            });
        }
        for api in &request.apis {
            api.check().map_err(|problem| AppError::Invalid {
                kind: "deploy.invalid_api",
                message: format!("`{}`: {problem}", api.name),
            })?;
        }
        self.check_images(&request.apis)?;
        self.check_endpoints(&request.apis).await?;
        if !self.has_bundle(&request.bundle).await? {
            return Err(AppError::NoSuchBundle(request.bundle.clone()));
        }
        let mut apis = Vec::with_capacity(request.apis.len());
        for api in &request.apis {
            apis.push(self.deploy_one(api, &request.bundle, caller).await?);
        }
        Ok(DeployReply { apis })
    }

    async fn deploy_one(&self, api: &Api, bundle: &str, caller: &Principal) -> Result<Deployed, AppError> {
        let specification = Specification { api: api.clone(), bundle: bundle.to_owned() };
        let spec = self.store.put_specification(&specification).await?;
        let present = self.store.head(&api.name).await?;
        let (action, generation, expect) = match present {
            Some((head, _)) if head.spec == spec => {
                let name = api.name.clone();
                return Ok(Deployed { name, action: DeployAction::Unchanged, generation: head.generation });
            }
            Some((head, version)) => (DeployAction::Updated, head.generation + 1, Expect::Version(version)),
            None => (DeployAction::Created, 1, Expect::Absent),
        };
        let head = Head { spec, generation, updated_at: OffsetDateTime::now_utc(), updated_by: caller.to_string() };
        self.store.put_head(&api.name, &head, &expect).await.map_err(|error| match error.is_conflict() {
            true => AppError::Conflict(api.name.clone()),
            false => error.into(),
        })?;
        tracing::info!(api = api.name, ?action, generation, by = %caller, "deployed");
        Ok(Deployed { name: api.name.clone(), action, generation })
    }

    /// An image needs somebody to run it.
    fn check_images(&self, wanted: &[Api]) -> Result<(), AppError> {
        if self.engine.runs_images() {
            return Ok(());
        }
        let with_image = |api: &&Api| api.program.container().is_some_and(|container| container.image.is_some());
        match wanted.iter().find(with_image) {
            None => Ok(()),
            Some(api) => Err(AppError::Invalid {
                kind: "deploy.no_images",
                message: format!(
                    "`{}`: container.image: this cluster runs on one machine, without containers: remove it, and \
                     install on the machine what `container.command` needs",
                    api.name
                ),
            }),
        }
    }

    /// No two APIs may share an endpoint, within the request or with what is deployed.
    async fn check_endpoints(&self, wanted: &[Api]) -> Result<(), AppError> {
        let deployed = self.store.deployments().await?;
        let others = deployed
            .iter()
            .map(|deployment| &deployment.specification.api)
            .filter(|api| wanted.iter().all(|new| new.name != api.name));
        let mut taken: Vec<&Api> = others.collect();
        for api in wanted {
            if let Some(twin) = taken.iter().find(|other| other.name == api.name) {
                return Err(AppError::Invalid {
                    kind: "deploy.duplicate_name",
                    message: format!("`{}` appears twice in the request", twin.name),
                });
            }
            if let Some(other) = taken.iter().find(|other| other.networking.endpoint == api.networking.endpoint) {
                return Err(AppError::EndpointTaken {
                    api: api.name.clone(),
                    other: other.name.clone(),
                    endpoint: api.networking.endpoint.clone(),
                });
            }
            taken.push(api);
        }
        Ok(())
    }

    pub async fn delete(&self, name: &str, caller: &Principal) -> Result<(), AppError> {
        let Some((_, version)) = self.store.head(name).await? else {
            return Err(AppError::NoSuchApi(name.to_owned()));
        };
        self.store.delete(name, version).await.map_err(|error| match error.is_conflict() {
            true => AppError::Conflict(name.to_owned()),
            false => error.into(),
        })?;
        // Another API of that name is another API.
        self.store.change_cors(Some(name), None).await?;
        tracing::info!(api = name, by = %caller, "deleted");
        Ok(())
    }
}
