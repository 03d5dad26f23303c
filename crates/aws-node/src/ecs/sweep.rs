//! Removal of what nobody uses any more: services without tasks, and task definitions without a service.
//!
//! A task definition that is only deregistered stays for ever, so it is deleted, too.

use std::{
    collections::BTreeSet,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use aws_sdk_ecs::types::{TaskDefinitionFamilyStatus, TaskDefinitionField, TaskDefinitionStatus};
use operator::engine::EngineError;

use super::{
    EcsEngine,
    failure::{Failure, failure},
    memory::Sweep,
    names::{families, is_ours, last_part},
    picture::{Picture, Service, Status},
};

/// Looks for task definitions once in so many polls: the calls are as many as there are APIs.
const POLLS_BETWEEN: u32 = 30;
/// What ECS says of a task definition that it does not know (any more).
pub(super) const UNKNOWN: &str = "ClientException";
/// "DeleteTaskDefinitions", ECS API reference.
const DELETED_AT_ONCE: usize = 10;
/// Milliseconds after which something is tried again that ECS has given up: long enough to cost little, short enough
/// for what was not the API's fault, a registry that was down for example.
const TRIED_AGAIN_AFTER: i64 = 10 * 60 * 1000;

impl EcsEngine {
    /// Brings services to where they are wanted, and removes what is not wanted any more.
    pub(super) async fn tidy(&self, deployed: &BTreeSet<&str>) -> Result<(), EngineError> {
        let Some(picture) = self.memory.picture() else { return Ok(()) };
        for service in picture.services.values().filter(|service| service.status == Status::Active) {
            if picture.is_deserted(service) {
                self.delete_service(service).await?;
                if let Err(error) = self.remove_definition(&service.definition).await {
                    let error = EngineError::from(error);
                    tracing::warn!(%error, "a task definition could not be removed; it is found again");
                }
            } else if is_to_be_tried_again(service) && deployed.contains(service.api.as_str()) {
                self.try_again(service).await?;
            }
        }
        // What is left lying does no harm; whoever cannot remove it shall still serve.
        if let Err(error) = self.sweep_if_due().await {
            let error = EngineError::from(error);
            tracing::warn!(%error, "task definitions that nobody uses could not be removed");
        }
        Ok(())
    }

    async fn sweep_if_due(&self) -> Result<(), Failure> {
        let mut sweep = self.memory.sweep();
        if sweep.at.is_some_and(|at| at.elapsed() < self.settings.poll * POLLS_BETWEEN) {
            return Ok(());
        }
        let Some(picture) = self.memory.picture() else { return Ok(()) };
        sweep.at = Some(Instant::now());
        self.memory.set_sweep(Sweep { complete: false, ..sweep.clone() });
        self.sweep(&picture, &mut sweep).await?;
        self.memory.set_sweep(Sweep { complete: true, ..sweep });
        Ok(())
    }

    async fn sweep(&self, picture: &Picture, sweep: &mut Sweep) -> Result<(), Failure> {
        let used: BTreeSet<&str> = picture.services.values().map(|service| service.definition.as_str()).collect();
        let mut unused = self.definitions(TaskDefinitionStatus::Active).await?;
        unused.retain(|arn| !used.contains(arn.as_str()) && !sweep.foreign.contains(arn));
        let (active, suspects): (Vec<_>, Vec<_>) = unused.into_iter().partition(|arn| sweep.suspects.contains(arn));
        sweep.suspects = suspects.into_iter().collect();
        let active = self.ours(active, sweep).await?;
        self.deregister(&active).await?;
        self.delete_definitions(&active).await?;
        if !sweep.complete {
            // Somebody, this operator or one before it, may have stopped between the two calls above.
            let mut inactive = self.definitions(TaskDefinitionStatus::Inactive).await?;
            inactive.retain(|arn| !used.contains(arn.as_str()) && !active.contains(arn));
            let inactive = self.ours(inactive, sweep).await?;
            self.delete_definitions(&inactive).await?;
        }
        Ok(())
    }

    async fn ours(&self, arns: Vec<String>, sweep: &mut Sweep) -> Result<Vec<String>, Failure> {
        let mut ours = Vec::new();
        for arn in arns {
            if self.is_definition_ours(&arn).await? {
                ours.push(arn);
            } else {
                sweep.foreign.insert(arn);
            }
        }
        Ok(ours)
    }

    /// ARNs of all revisions of all families that may be ours.
    async fn definitions(&self, status: TaskDefinitionStatus) -> Result<Vec<String>, Failure> {
        let families = self.ecs.list_task_definition_families().family_prefix(families(&self.settings));
        let families = families.status(match status {
            TaskDefinitionStatus::Active => TaskDefinitionFamilyStatus::Active,
            _ => TaskDefinitionFamilyStatus::All,
        });
        let pages = families.into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let mut arns = Vec::new();
        for family in pages.await.map_err(failure("ecs:ListTaskDefinitionFamilies"))? {
            let listed = self.ecs.list_task_definitions().family_prefix(&family).status(status.clone());
            let pages = listed.into_paginator().items().send().collect::<Result<Vec<_>, _>>();
            let listed = pages.await.map_err(failure("ecs:ListTaskDefinitions"))?;
            let mine = format!("{family}:");
            arns.extend(listed.into_iter().filter(|arn| last_part(arn).starts_with(&mine)));
        }
        Ok(arns)
    }

    async fn is_definition_ours(&self, arn: &str) -> Result<bool, Failure> {
        let request = self.ecs.describe_task_definition().task_definition(arn).include(TaskDefinitionField::Tags);
        match request.send().await.map_err(failure("ecs:DescribeTaskDefinition")) {
            Ok(reply) => Ok(is_ours(&self.settings, reply.tags())),
            Err(failure) if failure.code == UNKNOWN => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Of a service that is deleted.
    async fn remove_definition(&self, arn: &str) -> Result<(), Failure> {
        if !self.is_definition_ours(arn).await? {
            return Ok(());
        }
        let arns = [arn.to_owned()];
        self.deregister(&arns).await?;
        self.delete_definitions(&arns).await
    }

    async fn deregister(&self, arns: &[String]) -> Result<(), Failure> {
        for arn in arns {
            let request = self.ecs.deregister_task_definition().task_definition(arn);
            match request.send().await.map_err(failure("ecs:DeregisterTaskDefinition")) {
                Err(failure) if failure.code != UNKNOWN => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    async fn delete_definitions(&self, arns: &[String]) -> Result<(), Failure> {
        for batch in arns.chunks(DELETED_AT_ONCE) {
            let request = self.ecs.delete_task_definitions().set_task_definitions(Some(batch.to_vec()));
            let reply = request.send().await.map_err(failure("ecs:DeleteTaskDefinitions"))?;
            for failed in reply.failures() {
                let (arn, why) = (failed.arn().unwrap_or_default(), failed.reason().unwrap_or_default());
                tracing::warn!(arn, why, "a task definition could not be deleted");
            }
        }
        Ok(())
    }
}

/// By two clocks, AWS's and ours: some minutes more or less do not matter.
fn is_to_be_tried_again(service: &Service) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    is_due(service, i64::try_from(now).unwrap_or(i64::MAX))
}

/// `now` in milliseconds since 1970.
fn is_due(service: &Service, now: i64) -> bool {
    let given_up = service.given_up.as_ref().filter(|_| service.desired > 0);
    given_up.is_some_and(|given_up| now.saturating_sub(given_up.at) > TRIED_AGAIN_AFTER)
}

#[cfg(test)]
mod tests {
    use super::{super::picture::GivenUp, *};

    #[test]
    fn what_ecs_has_given_up_is_tried_again_after_a_while() {
        let mut service = Service {
            name: "iris-1".to_owned(),
            api: "iris".to_owned(),
            version: "1".to_owned(),
            status: Status::Active,
            desired: 1,
            busy: 0,
            definition: String::new(),
            failed_tasks: 3,
            given_up: None,
            unplaced: None,
        };
        assert!(!is_due(&service, i64::MAX));
        service.given_up = Some(GivenUp { reason: String::new(), at: 1_000 });
        assert!(!is_due(&service, 1_000 + TRIED_AGAIN_AFTER));
        assert!(is_due(&service, 1_001 + TRIED_AGAIN_AFTER));
        service.desired = 0;
        assert!(!is_due(&service, i64::MAX), "nobody wants it");
    }
}
