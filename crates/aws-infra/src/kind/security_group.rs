//! Security groups. Their rules are in `security_group/rules.rs`.

mod rules;

use aws_sdk_ec2::types::{ResourceType, SecurityGroup as Sdk};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, Resource, SecurityGroup},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, missing, named},
    classify::{ec2, gone, present},
    tags,
};
use rules::Direction;

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_security_groups().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for group in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(group.tags.as_deref());
        let (Some(key), Some(id)) = (tags::owned(call.cluster, &tags), group.group_id()) else { continue };
        let mut ids = named(group.group_name().unwrap_or_default(), group.security_group_arn());
        ids.id = id.to_owned();
        let actual = SecurityGroup {
            vpc: group.vpc_id().unwrap_or_default().to_owned(),
            name: group.group_name().unwrap_or_default().to_owned(),
            description: group.description().unwrap_or_default().to_owned(),
            ingress: rules::read(group.ip_permissions()),
            egress: rules::read(group.ip_permissions_egress()),
        };
        let (kind, state, actual) = (Kind::SecurityGroup, State::Available, Some(Resource::SecurityGroup(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, group: &SecurityGroup<String>) -> Result<Ids> {
    let id = call.begun(wanted, make(call, wanted, group)).await?;
    apply(call, &id, group).await?;
    Ok(Ids { id, ..named(&group.name, None) })
}

async fn make(call: Call<'_>, wanted: &Wanted, group: &SecurityGroup<String>) -> Result<String> {
    let request = call.clients.ec2.create_security_group().vpc_id(&group.vpc);
    let request = request.group_name(&group.name).description(&group.description);
    let request = request.tag_specifications(tags::specification(ResourceType::SecurityGroup, &wanted.tags));
    request.send().await.map_err(ec2)?.group_id.ok_or_else(|| missing("id of the security group"))
}

async fn find(call: Call<'_>, id: &str) -> Result<Sdk> {
    let reply = call.clients.ec2.describe_security_groups().group_ids(id).send().await.map_err(ec2)?;
    reply.security_groups.and_then(|groups| groups.into_iter().next()).ok_or_else(|| missing("security group"))
}

/// Makes both lists of rules be these, whatever they are: a new group lets everything out.
async fn apply(call: Call<'_>, id: &str, group: &SecurityGroup<String>) -> Result<()> {
    let now = find(call, id).await?;
    rules::apply(call, id, Direction::Ingress, now.ip_permissions(), &group.ingress).await?;
    rules::apply(call, id, Direction::Egress, now.ip_permissions_egress(), &group.egress).await
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    group: &SecurityGroup<String>,
    changes: &[Change],
) -> Result<()> {
    let id = &current.ids.id;
    if Fields::of(Kind::SecurityGroup, changes, &["ingress", "egress"])?.has_any(&["ingress", "egress"]) {
        apply(call, id, group).await?;
    }
    ec2_tags::update(call, id, wanted, changes).await
}

/// Its rules go first: as long as two groups name each other neither can go.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let id = &what.ids.id;
    let Some(now) = present(find(call, id).await)? else { return Ok(()) };
    rules::revoke_references(call, id, &now).await?;
    gone(call.clients.ec2.delete_security_group().group_id(id).send().await.map(drop).map_err(ec2))
}
