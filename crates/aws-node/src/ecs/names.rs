//! Names and tags of what the engine makes on ECS.
//!
//! Nothing is random, so a crash between a call and its reply leaves nothing that is not found again. The tags are those
//! of `provision::names` and `provision::resource::Key`, by which `cluster down` finds what is left; that package is none
//! of a node's, so they are here once more.

use aws_sdk_ecs::types::Tag;
use sha2::{Digest as _, Sha256};

use super::Settings;

pub(super) const CLUSTER_TAG: &str = "cortex.dev/cluster-name";
const RESOURCE_TAG: &str = "cortex.dev/resource";
pub(super) const API_TAG: &str = "cortex.dev/api";
pub(super) const VERSION_TAG: &str = "cortex.dev/version";
/// Hash of all that is in a task definition.
pub(super) const DEFINITION_TAG: &str = "cortex.dev/definition";
/// Of a container instance: where the containers of a node are reached. Set when the node registers.
pub(super) const ADDRESS_ATTRIBUTE: &str = "cortex.address";

/// Hexadecimal digits of a version in a service's name: enough to tell versions of one API apart.
const DIGITS: usize = 16;

/// Of the service with the replicas of one version of an API. Names of APIs are short labels, so it is far below the 255
/// characters that ECS allows ("CreateService", ECS API reference).
pub(super) fn service(api: &str, version: &str) -> String {
    format!("{api}-{}", hash(&[version], DIGITS))
}

/// How all families of the cluster begin; other clusters' may begin so too.
pub(super) fn families(settings: &Settings) -> String {
    format!("{}-", settings.ecs_cluster)
}

pub(super) fn family(settings: &Settings, api: &str) -> String {
    families(settings) + api
}

/// At most 36 characters ("CreateService", ECS API reference). `generation` is another for each time that a service of
/// that name is made, or the reply of the time before would be all that AWS gives.
pub(super) fn client_token(settings: &Settings, service: &str, generation: &[&str]) -> String {
    let parts: Vec<&str> = [settings.cluster_name.as_str(), &settings.ecs_cluster, service]
        .into_iter()
        .chain(generation.iter().copied())
        .collect();
    hash(&parts, 32)
}

pub(super) fn service_tags(settings: &Settings, service: &str, api: &str, version: &str) -> Vec<Tag> {
    tags(settings, &format!("ecs-service/{service}"), api, version).into()
}

pub(super) fn definition_tags(settings: &Settings, api: &str, version: &str, content: &str) -> Vec<Tag> {
    let resource = format!("task-definition/{}", family(settings, api));
    let mut all = Vec::from(tags(settings, &resource, api, version));
    all.push(tag(DEFINITION_TAG, content));
    all
}

fn tags(settings: &Settings, resource: &str, api: &str, version: &str) -> [Tag; 4] {
    [
        tag(CLUSTER_TAG, &settings.cluster_name),
        tag(RESOURCE_TAG, resource),
        tag(API_TAG, api),
        tag(VERSION_TAG, version),
    ]
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

pub(super) fn tag_value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

/// Only what says so in a reply of AWS is ours.
pub(super) fn is_ours(settings: &Settings, tags: &[Tag]) -> bool {
    tag_value(tags, CLUSTER_TAG) == Some(&settings.cluster_name)
}

/// The last part of an ARN: a task's id, a service's name.
pub(super) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

pub(super) fn hash(parts: &[&str], digits: usize) -> String {
    let mut hex = hex::encode(Sha256::digest(parts.join("\n")));
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_within_the_limits_and_differ() {
        let api = "a".repeat(63);
        let version = "0123456789abcdef".repeat(4);
        assert!(service(&api, &version).len() <= 255);
        assert_ne!(service("iris", "1"), service("iris", "2"));
        let settings = super::super::tests::settings();
        assert_eq!(family(&settings, "iris"), "cortex-test-iris");
        let token = client_token(&settings, "iris-1", &["a"]);
        assert!(token.len() <= 36);
        assert_eq!(token, client_token(&settings, "iris-1", &["a"]));
        assert_ne!(token, client_token(&settings, "iris-1", &["b"]));
    }

    #[test]
    fn ids_are_the_last_part_of_arns() {
        assert_eq!(last_part("arn:aws:ecs:us-east-1:123456789012:task/c/0123"), "0123");
        assert_eq!(last_part("0123"), "0123");
    }
}
