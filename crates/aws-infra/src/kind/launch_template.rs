//! Launch templates. A change is a new version with everything in it, and becomes the default; the groups use the latest.

mod data;

use aws_sdk_ec2::types::{LaunchTemplate as Sdk, ResourceType};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, LaunchTemplate, Resource},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, missing, named},
    classify::{ec2, gone, present},
    tags,
};

const LATEST: &str = "$Latest";
const FIELDS: &[&str] = &[
    "image_id",
    "instance_type",
    "instance_profile",
    "security_groups",
    "public_ip",
    "user_data",
    "volume",
    "metadata",
    "instance_tags",
];

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_launch_templates().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    for template in pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)? {
        let tags = ec2_tags::read(template.tags.as_deref());
        let (Some(key), Some(id)) = (tags::owned(call.cluster, &tags), template.launch_template_id()) else { continue };
        let Some(actual) = present(latest(call, &template, id).await)? else { continue };
        let name = template.launch_template_name().unwrap_or_default();
        let ids = Ids { id: id.to_owned(), ..named(name, None) };
        let (kind, state, actual) = (Kind::LaunchTemplate, State::Available, Some(Resource::LaunchTemplate(actual)));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: template.create_time }.into());
    }
    Ok(observed)
}

async fn latest(call: Call<'_>, template: &Sdk, id: &str) -> Result<LaunchTemplate<String>> {
    let request = call.clients.ec2.describe_launch_template_versions().launch_template_id(id).versions(LATEST);
    let versions = request.send().await.map_err(ec2)?.launch_template_versions.unwrap_or_default();
    let data = versions.into_iter().find_map(|version| version.launch_template_data);
    let data = data.ok_or_else(|| missing("latest version of a launch template"))?;
    Ok(data::read(template.launch_template_name().unwrap_or_default(), &data))
}

/// The name is unique: a second one is refused, so it needs no token.
pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, template: &LaunchTemplate<String>) -> Result<Ids> {
    let request = call.clients.ec2.create_launch_template().launch_template_name(&template.name);
    let request = request.launch_template_data(data::write(template));
    let request = request.tag_specifications(tags::specification(ResourceType::LaunchTemplate, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.launch_template.and_then(|made| made.launch_template_id);
    let id = made.ok_or_else(|| missing("id of the launch template"))?;
    Ok(Ids { id, ..named(&template.name, None) })
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    template: &LaunchTemplate<String>,
    changes: &[Change],
) -> Result<()> {
    let id = &current.ids.id;
    if Fields::of(Kind::LaunchTemplate, changes, FIELDS)?.has_any(FIELDS) {
        let request = call.clients.ec2.create_launch_template_version().launch_template_id(id);
        let made = request.launch_template_data(data::write(template)).send().await.map_err(ec2)?;
        let number = made.launch_template_version.and_then(|version| version.version_number);
        let number = number.ok_or_else(|| missing("number of the version"))?;
        let request = call.clients.ec2.modify_launch_template().launch_template_id(id);
        request.default_version(number.to_string()).send().await.map_err(ec2)?;
    }
    ec2_tags::update(call, id, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let request = call.clients.ec2.delete_launch_template().launch_template_id(&what.ids.id);
    gone(request.send().await.map(drop).map_err(ec2))
}
