//! Roles with their policies.

use serde_json::json;

use super::{Address, Block};
use crate::resource::Role;

pub(super) fn role(of: &Role, own: &Address) -> Vec<Block> {
    let body = json!({
        "name": of.name,
        "path": of.path,
        "description": of.description,
        "assume_role_policy": of.trust.0.to_string(),
    });
    let inline = of.inline_policies.iter().map(|(name, policy)| {
        let body = json!({ "role": own.attribute("id"), "name": name, "policy": policy.0.to_string() });
        Block::named("aws_iam_role_policy", own, name, body)
    });
    let managed = of.managed_policy_arns.iter().map(|arn| {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        let body = json!({ "role": own.attribute("name"), "policy_arn": arn });
        Block::named("aws_iam_role_policy_attachment", own, name, body)
    });
    [Block::of(own, body)].into_iter().chain(inline).chain(managed).collect()
}
