//! Families of task definitions that the operator has registered, found to be removed.
//!
//! Families are listed by the beginning of the name, which other clusters' may have too; whose a family is the tags of
//! its latest revision tell. A deregistered revision stays for ever unless it is deleted, so those count as well.

use aws_sdk_ecs::types::{TaskDefinitionFamilyStatus, TaskDefinitionField, TaskDefinitionStatus};
use provision::{
    cloud::{Observed, State},
    names,
    resource::{Key, Kind},
};

use super::ecs_cluster;
use crate::{
    call::{Call, Found, Result, named},
    classify::{self, ecs, gone, present},
    tags,
};

/// "DeleteTaskDefinitions", ECS API reference.
const BATCH: usize = 10;

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let request = call.clients.ecs.list_task_definition_families().family_prefix(names::regional(call.cluster, ""));
    let request = request.status(TaskDefinitionFamilyStatus::All);
    let pages = request.into_paginator().items().send();
    let mut observed = Vec::new();
    for family in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ecs)? {
        let Some(latest) = latest(call, &family).await? else { continue };
        let request = call.clients.ecs.describe_task_definition().task_definition(&latest);
        let Some(reply) = present(request.include(TaskDefinitionField::Tags).send().await.map_err(ecs))? else {
            continue;
        };
        let tags = ecs_cluster::read_tags(reply.tags());
        if !tags::belongs(call.cluster, &tags) {
            continue;
        }
        let (key, kind) = (Key::new(Kind::TaskDefinition, &[&family]), Kind::TaskDefinition);
        let (ids, state) = (named(&family, None), State::Available);
        let created_at = reply.task_definition.and_then(|definition| definition.registered_at);
        observed.push(Found { key, kind, ids, tags, state, actual: None, created_at }.into());
    }
    Ok(observed)
}

async fn latest(call: Call<'_>, family: &str) -> Result<Option<String>> {
    for status in [TaskDefinitionStatus::Active, TaskDefinitionStatus::Inactive] {
        if let Some(arn) = revisions(call, family, status).await?.pop() {
            return Ok(Some(arn));
        }
    }
    Ok(None)
}

/// Oldest first. The prefix is exact here: it is a family's whole name.
async fn revisions(call: Call<'_>, family: &str, status: TaskDefinitionStatus) -> Result<Vec<String>> {
    let request = call.clients.ecs.list_task_definitions().family_prefix(family).status(status);
    let pages = request.into_paginator().items().send();
    let mut arns = pages.collect::<std::result::Result<Vec<String>, _>>().await.map_err(ecs)?;
    let mine = format!("task-definition/{family}:");
    arns.retain(|arn| arn.contains(&mine));
    Ok(arns)
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let family = &what.ids.id;
    for arn in revisions(call, family, TaskDefinitionStatus::Active).await? {
        let request = call.clients.ecs.deregister_task_definition().task_definition(arn);
        gone(request.send().await.map(drop).map_err(ecs))?;
    }
    let inactive = revisions(call, family, TaskDefinitionStatus::Inactive).await?;
    for batch in inactive.chunks(BATCH) {
        let request = call.clients.ecs.delete_task_definitions().set_task_definitions(Some(batch.to_vec()));
        let failures = request.send().await.map_err(ecs)?.failures.unwrap_or_default();
        if let Some(failure) = failures.first() {
            let (code, why) = (failure.reason().unwrap_or_default(), failure.detail().unwrap_or_default());
            return gone(Err(classify::ecs_item(code, why, "ecs:DeleteTaskDefinitions")));
        }
    }
    Ok(())
}
