//! Whose something is, by its tags, and the services' own types of tags.

use std::collections::BTreeMap;

use aws_smithy_types::error::operation::BuildError;
use provision::{
    cloud::{Change, CloudError, ClusterId, ErrorKind, Wanted},
    names::{CLUSTER_TAG, RESOURCE_TAG},
    resource::Key,
};

pub(crate) type Tags = BTreeMap<String, String>;

/// The tags of a reply. Those of AWS's own (`aws:autoscaling:groupName`) are nobody's to set, and left out.
pub(crate) fn collect<T>(tags: &[T], pair: impl Fn(&T) -> (Option<&str>, Option<&str>)) -> Tags {
    let pairs = tags.iter().map(pair).filter_map(|(name, value)| Some((name?, value.unwrap_or_default())));
    pairs
        .filter(|(name, _)| !name.starts_with("aws:"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What a resource is called in this cluster, if its tags say that it is the cluster's.
pub(crate) fn owned(cluster: &ClusterId, tags: &Tags) -> Option<Key> {
    belongs(cluster, tags).then(|| tags.get(RESOURCE_TAG).map(Key::from_tag)).flatten()
}

/// Whether it was made in this cluster, by whomever.
pub(crate) fn belongs(cluster: &ClusterId, tags: &Tags) -> bool {
    tags.get(CLUSTER_TAG).is_some_and(|name| *name == cluster.name)
}

/// What has to be done about tags.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TagChanges {
    pub set: Tags,
    pub remove: Vec<String>,
}

impl TagChanges {
    pub(crate) fn of(changes: &[Change], wanted: &Wanted) -> Self {
        let mut result = Self::default();
        for change in changes.iter().filter(|change| change.top() == "tags") {
            // The name may have dots of its own.
            match change.field.strip_prefix("tags.") {
                None => result.set.clone_from(&wanted.tags),
                Some(name) => match wanted.tags.get(name) {
                    Some(value) => drop(result.set.insert(name.to_owned(), value.clone())),
                    None => result.remove.push(name.to_owned()),
                },
            }
        }
        result
    }
}

/// A required member was left out of a request: our mistake, told like one of AWS's refusals.
pub(crate) fn built<T>(built: Result<T, BuildError>) -> Result<T, CloudError> {
    built.map_err(|error| CloudError::new(ErrorKind::Invalid, error.to_string()))
}

pub(crate) fn ec2(tags: &Tags) -> Vec<aws_sdk_ec2::types::Tag> {
    tags.iter().map(|(name, value)| aws_sdk_ec2::types::Tag::builder().key(name).value(value).build()).collect()
}

/// For a creating call of EC2.
pub(crate) fn specification(of: aws_sdk_ec2::types::ResourceType, tags: &Tags) -> aws_sdk_ec2::types::TagSpecification {
    aws_sdk_ec2::types::TagSpecification::builder().resource_type(of).set_tags(Some(ec2(tags))).build()
}

pub(crate) fn elb(tags: &Tags) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    use aws_sdk_elasticloadbalancingv2::types::Tag;
    tags.iter().map(|(name, value)| Tag::builder().key(name).value(value).build()).collect()
}

pub(crate) fn iam(tags: &Tags) -> Result<Vec<aws_sdk_iam::types::Tag>, CloudError> {
    tags.iter().map(|(name, value)| built(aws_sdk_iam::types::Tag::builder().key(name).value(value).build())).collect()
}

pub(crate) fn ecs(tags: &Tags) -> Vec<aws_sdk_ecs::types::Tag> {
    tags.iter().map(|(name, value)| aws_sdk_ecs::types::Tag::builder().key(name).value(value).build()).collect()
}

pub(crate) fn s3(tags: &Tags) -> Result<Vec<aws_sdk_s3::types::Tag>, CloudError> {
    tags.iter().map(|(name, value)| built(aws_sdk_s3::types::Tag::builder().key(name).value(value).build())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_both_tags_make_something_ours() {
        let cluster = ClusterId { name: "a".into(), region: "r".into(), account_id: "1".into() };
        for (pairs, expected) in [
            (vec![(CLUSTER_TAG, "a"), (RESOURCE_TAG, "vpc")], Some("vpc")),
            (vec![(CLUSTER_TAG, "b"), (RESOURCE_TAG, "vpc")], None),
            (vec![(CLUSTER_TAG, "a")], None),
            (vec![(RESOURCE_TAG, "vpc")], None),
            (vec![], None),
        ] {
            assert_eq!(owned(&cluster, &tags(&pairs)).as_ref().map(Key::as_str), expected);
        }
    }

    #[test]
    fn tags_of_aws_are_not_seen() {
        let all = [("aws:x", "1"), ("Name", "n")];
        let seen = collect(&all, |(name, value)| (Some(*name), Some(*value)));
        assert_eq!(seen, tags(&[("Name", "n")]));
    }
}
