//! Roles, with their policies.
//!
//! All of a cluster's roles are under one path, so only those are listed. IAM is not regional: the path has the region.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{Role as Sdk, Tag};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    names,
    resource::{Kind, Policy, Resource, Role},
};

use crate::{
    call::{Call, Fields, Found, Result, invalid, missing, named},
    classify::{gone, iam, present},
    tags::{self, TagChanges, Tags},
};

pub(super) fn read_tags(tags: &[Tag]) -> Tags {
    tags::collect(tags, |tag| (Some(tag.key()), Some(tag.value())))
}

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let request = call.clients.iam.list_roles().path_prefix(names::iam_path(call.cluster));
    let pages = request.into_paginator().items().send();
    let mut observed = Vec::new();
    for listed in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(iam)? {
        // The list has no tags, and no description.
        let reply = call.clients.iam.get_role().role_name(&listed.role_name).send().await.map_err(iam);
        let Some(role) = present(reply)?.and_then(|reply| reply.role) else { continue };
        let tags = read_tags(role.tags());
        let Some(key) = tags::owned(call.cluster, &tags) else { continue };
        let Some(actual) = present(read(call, &role).await)? else { continue };
        let ids = named(&role.role_name, Some(&role.arn));
        let (kind, state, actual) = (Kind::Role, State::Available, Some(Resource::Role(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: Some(role.create_date) }.into());
    }
    Ok(observed)
}

async fn read(call: Call<'_>, role: &Sdk) -> Result<Role> {
    let name = &role.role_name;
    let mut inline_policies = BTreeMap::new();
    for policy in inline(call, name).await? {
        let request = call.clients.iam.get_role_policy().role_name(name).policy_name(&policy);
        let text = request.send().await.map_err(iam)?.policy_document;
        inline_policies.insert(policy, document(&text)?);
    }
    Ok(Role {
        name: name.clone(),
        path: role.path.clone(),
        description: role.description.clone().unwrap_or_default(),
        trust: document(role.assume_role_policy_document.as_deref().unwrap_or_default())?,
        inline_policies,
        managed_policy_arns: attached(call, name).await?,
    })
}

/// IAM gives documents percent-encoded.
fn document(text: &str) -> Result<Policy> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    serde_json::from_str(&text).map(Policy).map_err(|error| invalid(format!("a policy is no JSON: {error}")))
}

async fn inline(call: Call<'_>, role: &str) -> Result<Vec<String>> {
    let pages = call.clients.iam.list_role_policies().role_name(role).into_paginator().items().send();
    pages.collect::<std::result::Result<_, _>>().await.map_err(iam)
}

async fn attached(call: Call<'_>, role: &str) -> Result<BTreeSet<String>> {
    let pages = call.clients.iam.list_attached_role_policies().role_name(role).into_paginator().items().send();
    let all = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(iam)?;
    Ok(all.into_iter().filter_map(|policy| policy.policy_arn).collect())
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, role: &Role) -> Result<Ids> {
    let arn = call.begun(wanted, make(call, wanted, role)).await?;
    for (name, policy) in &role.inline_policies {
        put(call, &role.name, name, policy).await?;
    }
    for policy in &role.managed_policy_arns {
        attach(call, &role.name, policy).await?;
    }
    Ok(named(&role.name, Some(&arn)))
}

async fn make(call: Call<'_>, wanted: &Wanted, role: &Role) -> Result<String> {
    let request = call.clients.iam.create_role().role_name(&role.name).path(&role.path);
    let request = request.description(&role.description).assume_role_policy_document(role.trust.0.to_string());
    let request = request.set_tags(Some(tags::iam(&wanted.tags)?));
    let made = request.send().await.map_err(iam)?.role;
    made.map(|role| role.arn).ok_or_else(|| missing("ARN of the role"))
}

async fn put(call: Call<'_>, role: &str, name: &str, policy: &Policy) -> Result<()> {
    let request = call.clients.iam.put_role_policy().role_name(role).policy_name(name);
    request.policy_document(policy.0.to_string()).send().await.map(drop).map_err(iam)
}

async fn attach(call: Call<'_>, role: &str, policy: &str) -> Result<()> {
    call.clients.iam.attach_role_policy().role_name(role).policy_arn(policy).send().await.map(drop).map_err(iam)
}

async fn remove(call: Call<'_>, role: &str, name: &str) -> Result<()> {
    let request = call.clients.iam.delete_role_policy().role_name(role).policy_name(name);
    gone(request.send().await.map(drop).map_err(iam))
}

async fn detach(call: Call<'_>, role: &str, policy: &str) -> Result<()> {
    let request = call.clients.iam.detach_role_policy().role_name(role).policy_arn(policy);
    gone(request.send().await.map(drop).map_err(iam))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    role: &Role,
    changes: &[Change],
) -> Result<()> {
    let can = ["description", "trust", "inline_policies", "managed_policy_arns"];
    let fields = Fields::of(Kind::Role, changes, &can)?;
    let name = current.ids.id.as_str();
    if fields.has("description") {
        let request = call.clients.iam.update_role().role_name(name).description(&role.description);
        request.send().await.map_err(iam)?;
    }
    if fields.has("trust") {
        let request = call.clients.iam.update_assume_role_policy().role_name(name);
        request.policy_document(role.trust.0.to_string()).send().await.map_err(iam)?;
    }
    if fields.has("inline_policies") {
        for (policy, document) in &role.inline_policies {
            put(call, name, policy, document).await?;
        }
        for policy in inline(call, name).await?.iter().filter(|policy| !role.inline_policies.contains_key(*policy)) {
            remove(call, name, policy).await?;
        }
    }
    if fields.has("managed_policy_arns") {
        let now = attached(call, name).await?;
        for policy in role.managed_policy_arns.difference(&now) {
            attach(call, name, policy).await?;
        }
        for policy in now.difference(&role.managed_policy_arns) {
            detach(call, name, policy).await?;
        }
    }
    update_tags(call, name, wanted, changes).await
}

async fn update_tags(call: Call<'_>, role: &str, wanted: &Wanted, changes: &[Change]) -> Result<()> {
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if !set.is_empty() {
        let request = call.clients.iam.tag_role().role_name(role).set_tags(Some(tags::iam(&set)?));
        request.send().await.map_err(iam)?;
    }
    if !remove.is_empty() {
        call.clients.iam.untag_role().role_name(role).set_tag_keys(Some(remove)).send().await.map_err(iam)?;
    }
    Ok(())
}

/// With its policies, and out of whatever profile it is in.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let name = &what.ids.id;
    let Some(attached) = present(attached(call, name).await)? else { return Ok(()) };
    for policy in attached {
        detach(call, name, &policy).await?;
    }
    for policy in present(inline(call, name).await)?.unwrap_or_default() {
        remove(call, name, &policy).await?;
    }
    let pages = call.clients.iam.list_instance_profiles_for_role().role_name(name).into_paginator().items().send();
    let profiles = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(iam);
    for profile in present(profiles)?.unwrap_or_default() {
        let request = call.clients.iam.remove_role_from_instance_profile();
        let request = request.instance_profile_name(&profile.instance_profile_name).role_name(name);
        gone(request.send().await.map(drop).map_err(iam))?;
    }
    gone(call.clients.iam.delete_role().role_name(name).send().await.map(drop).map_err(iam))
}
