//! Instance profiles: what lets an instance have a role.

use aws_sdk_iam::types::InstanceProfile as Sdk;
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    names,
    resource::{InstanceProfile, Kind, Resource},
};

use super::role::read_tags;
use crate::{
    call::{Call, Fields, Found, Result, missing, named},
    classify::{gone, iam, present},
    tags::{self, TagChanges},
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let request = call.clients.iam.list_instance_profiles().path_prefix(names::iam_path(call.cluster));
    let pages = request.into_paginator().items().send();
    let mut observed = Vec::new();
    for listed in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(iam)? {
        let name = &listed.instance_profile_name;
        // The list has no tags.
        let request = call.clients.iam.get_instance_profile().instance_profile_name(name);
        let reply = present(request.send().await.map_err(iam))?;
        let Some(profile) = reply.and_then(|reply| reply.instance_profile) else { continue };
        let tags = read_tags(profile.tags());
        let Some(key) = tags::owned(call.cluster, &tags) else { continue };
        let ids = named(name, Some(&profile.arn));
        let actual = InstanceProfile { name: name.clone(), path: profile.path.clone(), role: role(&profile) };
        let (kind, state, actual) = (Kind::InstanceProfile, State::Available, Some(Resource::InstanceProfile(actual)));
        let created_at = Some(profile.create_date);
        observed.push(Found { key, kind, ids, tags, state, actual, created_at }.into());
    }
    Ok(observed)
}

/// There is at most one.
fn role(profile: &Sdk) -> Option<String> {
    profile.roles().first().map(|role| role.role_name.clone())
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, profile: &InstanceProfile<String>) -> Result<Ids> {
    let arn = call.begun(wanted, make(call, wanted, profile)).await?;
    set_role(call, &profile.name, profile.role.as_deref()).await?;
    Ok(named(&profile.name, Some(&arn)))
}

async fn make(call: Call<'_>, wanted: &Wanted, profile: &InstanceProfile<String>) -> Result<String> {
    let request = call.clients.iam.create_instance_profile().instance_profile_name(&profile.name).path(&profile.path);
    let request = request.set_tags(Some(tags::iam(&wanted.tags)?));
    let made = request.send().await.map_err(iam)?.instance_profile;
    made.map(|profile| profile.arn).ok_or_else(|| missing("ARN of the instance profile"))
}

async fn set_role(call: Call<'_>, profile: &str, wanted: Option<&str>) -> Result<()> {
    let reply = call.clients.iam.get_instance_profile().instance_profile_name(profile).send().await.map_err(iam)?;
    let now = reply.instance_profile.as_ref().and_then(role);
    if now.as_deref() == wanted {
        return Ok(());
    }
    if let Some(now) = &now {
        take(call, profile, now).await?;
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let request = call.clients.iam.add_role_to_instance_profile().instance_profile_name(profile).role_name(wanted);
    request.send().await.map(drop).map_err(iam)
}

async fn take(call: Call<'_>, profile: &str, role: &str) -> Result<()> {
    let request = call.clients.iam.remove_role_from_instance_profile().instance_profile_name(profile);
    gone(request.role_name(role).send().await.map(drop).map_err(iam))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    profile: &InstanceProfile<String>,
    changes: &[Change],
) -> Result<()> {
    let name = current.ids.id.as_str();
    if Fields::of(Kind::InstanceProfile, changes, &["role"])?.has("role") {
        set_role(call, name, profile.role.as_deref()).await?;
    }
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if !set.is_empty() {
        let request = call.clients.iam.tag_instance_profile().instance_profile_name(name);
        request.set_tags(Some(tags::iam(&set)?)).send().await.map_err(iam)?;
    }
    if !remove.is_empty() {
        let request = call.clients.iam.untag_instance_profile().instance_profile_name(name);
        request.set_tag_keys(Some(remove)).send().await.map_err(iam)?;
    }
    Ok(())
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let name = &what.ids.id;
    gone(set_role(call, name, None).await)?;
    let request = call.clients.iam.delete_instance_profile().instance_profile_name(name);
    gone(request.send().await.map(drop).map_err(iam))
}
