//! What AWS lets change in place, field by field.

use crate::{
    change::Change,
    plan::Order,
    resource::{Key, Kind},
};

pub(super) enum Rule {
    InPlace,
    /// Not compared: others decide it, or it cannot be read back.
    Ignore,
    Replace(Order),
    /// The VPC it is in. In another one of ours it is replaced; in somebody else's the whole cluster would have to move.
    Vpc(Order),
    Refuse {
        setting: &'static str,
        why: &'static str,
    },
}

pub(super) const NEW_CLUSTER: &str = "it is decided when a cluster is made; make a new one";

pub(super) fn rule(kind: Kind, key: &Key, change: &Change) -> Rule {
    use Order::{CreateFirst, DeleteFirst};
    match (kind, change.top()) {
        (_, "tags") => Rule::InPlace,

        (Kind::Vpc, "cidr") => refuse("vpc_cidr"),
        // Zones have slots of the VPC in their order; if the VPC itself stays, it is they who moved.
        (Kind::Subnet, "availability_zone" | "cidr") => refuse("availability_zones"),
        (Kind::LoadBalancer, "scheme") => match key.rest() {
            "operator" => refuse("operator_load_balancer_scheme"),
            _ => refuse("api_load_balancer_scheme"),
        },
        (Kind::LaunchTemplate, "public_ip") => refuse("subnet_visibility"),
        (Kind::Bucket, "name") => Rule::Refuse { setting: "bucket", why: "everything the cluster knows is in it" },

        // Two VPCs can have the same things in them; names of load balancing are the region's.
        (Kind::Subnet | Kind::RouteTable | Kind::VpcEndpoint | Kind::SecurityGroup, "vpc") => Rule::Vpc(CreateFirst),
        (Kind::TargetGroup | Kind::LoadBalancer, "vpc") => Rule::Vpc(DeleteFirst),

        (Kind::LoadBalancer | Kind::TargetGroup | Kind::Role | Kind::InstanceProfile | Kind::LogGroup, "name")
        | (Kind::LaunchTemplate | Kind::AutoScalingGroup | Kind::EcsCluster | Kind::CapacityProvider, "name")
        | (Kind::Role | Kind::InstanceProfile, "path")
        | (Kind::VpcEndpoint, "service")
        | (Kind::SecurityGroup, "name")
        | (Kind::Listener, "load_balancer") => Rule::Replace(CreateFirst),
        // An address has one gateway, a provider's name stays its own.
        (Kind::NatGateway, "subnet" | "elastic_ip") | (Kind::CapacityProvider, "auto_scaling_group") => {
            Rule::Replace(DeleteFirst)
        }
        (Kind::TargetGroup, "protocol" | "port") => Rule::Replace(DeleteFirst),

        (Kind::SecurityGroup, "description")
        | (Kind::AutoScalingGroup, "desired")
        | (Kind::Object, "bucket" | "object_key" | "source" | "inputs") => Rule::Ignore,
        (Kind::Object, "sha256") if change.new.is_null() => Rule::Ignore,
        _ => Rule::InPlace,
    }
}

fn refuse(setting: &'static str) -> Rule {
    Rule::Refuse { setting, why: NEW_CLUSTER }
}
