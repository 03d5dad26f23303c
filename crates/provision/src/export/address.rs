//! What Terraform calls each resource, and how its settings point at others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    desired::{Graph, Node},
    resource::{Attribute, Key, Kind, Link},
};

/// Before a reference, until [`resolved`]: in no setting of a resource can this character occur.
const REFERENCE: char = '\0';

/// `aws_subnet.public_us-east-1a`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub r#type: &'static str,
    pub name: String,
}

impl Address {
    fn new(kind: Kind, key: &Key) -> Self {
        let name = if key.rest().is_empty() { key.as_str() } else { key.rest() };
        Self { r#type: terraform_type(kind), name: identifier(name) }
    }

    pub(super) fn attribute(&self, attribute: &str) -> String {
        format!("{REFERENCE}{}.{}.{attribute}", self.r#type, self.name)
    }
}

/// Of every resource of the graph.
pub(super) struct Addresses(BTreeMap<Key, Address>);

impl Addresses {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut taken = BTreeSet::new();
        let address = |node: &Node| {
            let mut address = Address::new(node.resource.kind(), &node.key);
            while !taken.insert(address.clone()) {
                address.name.push('_');
            }
            (node.key.clone(), address)
        };
        Self(graph.nodes.values().map(address).collect())
    }

    pub(super) fn of_key(&self, key: &Key) -> &Address {
        self.0.get(key).expect("a graph mentions nothing that it has not")
    }

    pub(super) fn reference(&self, link: &Link) -> String {
        match link {
            Link::Known(id) => id.clone(),
            Link::To(to) => {
                let address = self.of_key(&to.key);
                address.attribute(attribute(address.r#type, to.attribute))
            }
        }
    }
}

/// "Identifiers" of the Terraform language: letters, digits, `_` and `-`, not beginning with a digit or a dash.
pub(super) fn identifier(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    name
}

/// Without the settings that are absent; references as Terraform writes them, and all other text so that it means itself.
pub(super) fn resolved(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(match text.strip_prefix(REFERENCE) {
            Some(reference) => format!("${{{reference}}}"),
            None => text.replace("${", "$${").replace("%{", "%%{"),
        }),
        Value::Array(list) => list.into_iter().map(resolved).collect(),
        Value::Object(map) => {
            map.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, resolved(value))).collect()
        }
        other => other,
    }
}

fn attribute(r#type: &str, attribute: Attribute) -> &'static str {
    match (attribute, r#type) {
        // What we call the id of these is an ARN.
        (Attribute::Id, "aws_lb" | "aws_lb_target_group" | "aws_lb_listener") | (Attribute::Arn, _) => "arn",
        (Attribute::Id, _) => "id",
        (Attribute::Name, "aws_s3_bucket") => "bucket",
        (Attribute::Name, _) => "name",
        (Attribute::DnsName, _) => "dns_name",
    }
}

fn terraform_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Vpc => "aws_vpc",
        Kind::InternetGateway => "aws_internet_gateway",
        Kind::Subnet => "aws_subnet",
        Kind::ElasticIp => "aws_eip",
        Kind::NatGateway => "aws_nat_gateway",
        Kind::RouteTable => "aws_route_table",
        Kind::VpcEndpoint => "aws_vpc_endpoint",
        Kind::SecurityGroup => "aws_security_group",
        Kind::LoadBalancer => "aws_lb",
        Kind::TargetGroup => "aws_lb_target_group",
        Kind::Listener => "aws_lb_listener",
        Kind::Bucket => "aws_s3_bucket",
        Kind::Object => "aws_s3_object",
        Kind::LogGroup => "aws_cloudwatch_log_group",
        Kind::Role => "aws_iam_role",
        Kind::InstanceProfile => "aws_iam_instance_profile",
        Kind::LaunchTemplate => "aws_launch_template",
        Kind::AutoScalingGroup => "aws_autoscaling_group",
        Kind::EcsCluster => "aws_ecs_cluster",
        Kind::CapacityProvider => "aws_ecs_capacity_provider",
        Kind::ClusterCapacity => "aws_ecs_cluster_capacity_providers",
        // Never wanted, so in no graph.
        Kind::Instance => "aws_instance",
        Kind::EcsService => "aws_ecs_service",
        Kind::TaskDefinition => "aws_ecs_task_definition",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{REFERENCE, identifier, resolved};

    #[test]
    fn names_are_identifiers() {
        assert_eq!(identifier("public/us-east-1a"), "public_us-east-1a");
        assert_eq!(identifier("bin/0a/lib.so"), "bin_0a_lib_so");
        assert_eq!(identifier("2gpu"), "_2gpu");
    }

    #[test]
    fn only_references_are_references() {
        let body =
            json!({ "to": format!("{REFERENCE}aws_vpc.vpc.id"), "policy": "${aws:username} %{x}", "none": null });
        let expected = json!({ "to": "${aws_vpc.vpc.id}", "policy": "$${aws:username} %%{x}" });
        assert_eq!(resolved(body), expected);
    }
}
