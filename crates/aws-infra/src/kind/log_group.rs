//! The log group.

use aws_smithy_types::DateTime;
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    names,
    resource::{Kind, LogGroup, Resource},
};

use crate::{
    call::{Call, Fields, Found, Result, int, named},
    classify::{gone, logs, present},
    tags::{self, TagChanges},
};

/// Listed by the beginning of the name; other clusters' may begin alike.
pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let request = call.clients.logs.describe_log_groups().log_group_name_prefix(names::log_group(call.cluster));
    let pages = request.into_paginator().items().send();
    let mut observed = Vec::new();
    for group in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(logs)? {
        let Some(name) = group.log_group_name() else { continue };
        let arn = group.arn().map(|arn| arn.trim_end_matches(":*")).unwrap_or_default();
        let request = call.clients.logs.list_tags_for_resource().resource_arn(arn);
        let Some(reply) = present(request.send().await.map_err(logs))? else { continue };
        let pairs: Vec<(String, String)> = reply.tags.unwrap_or_default().into_iter().collect();
        let tags = tags::collect(&pairs, |(name, value)| (Some(name), Some(value)));
        let Some(key) = tags::owned(call.cluster, &tags) else { continue };
        let days = group.retention_in_days().and_then(|days| u32::try_from(days).ok());
        let actual = Some(Resource::LogGroup(LogGroup { name: name.to_owned(), retention_days: days }));
        let (kind, state, ids) = (Kind::LogGroup, State::Available, named(name, Some(arn)));
        let created_at = group.creation_time().map(DateTime::from_millis);
        observed.push(Found { key, kind, ids, tags, state, actual, created_at }.into());
    }
    Ok(observed)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, group: &LogGroup) -> Result<Ids> {
    call.begun(wanted, make(call, wanted, group)).await?;
    retain(call, group).await?;
    Ok(named(&group.name, None))
}

async fn make(call: Call<'_>, wanted: &Wanted, group: &LogGroup) -> Result<String> {
    let tags = wanted.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let request = call.clients.logs.create_log_group().log_group_name(&group.name).set_tags(Some(tags));
    request.send().await.map_err(logs)?;
    Ok(group.name.clone())
}

async fn retain(call: Call<'_>, group: &LogGroup) -> Result<()> {
    match group.retention_days {
        Some(days) => {
            let request = call.clients.logs.put_retention_policy().log_group_name(&group.name);
            request.retention_in_days(int(days)).send().await.map(drop).map_err(logs)
        }
        None => {
            let request = call.clients.logs.delete_retention_policy().log_group_name(&group.name);
            request.send().await.map(drop).map_err(logs)
        }
    }
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    group: &LogGroup,
    changes: &[Change],
) -> Result<()> {
    if Fields::of(Kind::LogGroup, changes, &["retention_days"])?.has("retention_days") {
        retain(call, group).await?;
    }
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    let arn = current.ids.arn.as_deref().unwrap_or_default();
    if !set.is_empty() {
        let request = call.clients.logs.tag_resource().resource_arn(arn);
        request.set_tags(Some(set.into_iter().collect())).send().await.map_err(logs)?;
    }
    if !remove.is_empty() {
        let request = call.clients.logs.untag_resource().resource_arn(arn);
        request.set_tag_keys(Some(remove)).send().await.map_err(logs)?;
    }
    Ok(())
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.logs.delete_log_group().log_group_name(&what.ids.id).send().await.map(drop).map_err(logs))
}
