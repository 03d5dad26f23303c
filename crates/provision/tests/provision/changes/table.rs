//! What becomes of each field.

use super::{
    Becomes::{self, Refuses, Touches},
    Change,
};
use crate::ground::{BROUGHT, HIGHLY_AVAILABLE, PRIVATE, PUBLIC, SPOT};

const NOTHING: Becomes = Touches(&[]);

/// A line more.
const fn line(yaml: &'static str, fields: &'static [&'static str], new: &'static str, becomes: Becomes) -> Change {
    Change { yaml, fields, old: "region: us-east-1\n", new, becomes }
}

/// Other words.
const fn word(
    yaml: &'static str,
    fields: &'static [&'static str],
    old: &'static str,
    new: &'static str,
    becomes: Becomes,
) -> Change {
    Change { yaml, fields, old, new, becomes }
}

pub(super) const TABLE: &[Change] = &[
    // Decided once.
    line(PUBLIC, &["vpc_cidr"], "vpc_cidr: 10.0.0.0/16", Refuses(&["vpc_cidr"])),
    line(PUBLIC, &["subnet_visibility"], "subnet_visibility: private", Refuses(&["subnet_visibility"])),
    line(PUBLIC, &["bucket"], "bucket: another-bucket", Refuses(&["bucket"])),
    line(PUBLIC, &["load_balancer"], "load_balancer: dedicated", Refuses(&["load_balancer"])),
    line(PUBLIC, &["api_load_balancer_scheme"], "api_load_balancer_scheme: internal", Refuses(&["load_balancer"])),
    line(
        PUBLIC,
        &["operator_load_balancer_scheme"],
        "operator_load_balancer_scheme: internal",
        Refuses(&["load_balancer"]),
    ),
    line(
        PUBLIC,
        &["availability_zones"],
        "availability_zones: [us-east-1b, us-east-1c]",
        Refuses(&["availability_zones"]),
    ),
    word(
        BROUGHT,
        &["subnets"],
        "subnets:\n  - {availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef0}",
        "subnets:\n  - {availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef4}",
        Touches(&["auto-scaling-group/control subnets", "auto-scaling-group/node/cpu subnets"]),
    ),
    word(
        BROUGHT,
        &["load_balancer_subnets"],
        "subnet-0123456789abcdef2",
        "subnet-0123456789abcdef4",
        Touches(&["load-balancer/shared subnets"]),
    ),
    line(
        PUBLIC,
        &["subnets"],
        "subnets: [{availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef0}, {availability_zone: us-east-1b, subnet_id: subnet-0123456789abcdef1}]",
        Refuses(&["subnets"]),
    ),
    // More zones, fewer zones.
    line(PUBLIC, &["availability_zones"], "availability_zones: [us-east-1a, us-east-1b]", NOTHING),
    line(
        PUBLIC,
        &["availability_zones"],
        "availability_zones: [us-east-1a, us-east-1b, us-east-1c]",
        Touches(&[
            "subnet/public/us-east-1c create",
            "route-table/public subnets",
            "load-balancer/shared subnets",
            "auto-scaling-group/control subnets",
            "auto-scaling-group/node/cpu subnets",
        ]),
    ),
    word(
        HIGHLY_AVAILABLE,
        &["availability_zones"],
        ", us-east-1c]",
        "]",
        Touches(&[
            "route-table/public subnets",
            "vpc-endpoint/s3 route_tables",
            "load-balancer/shared subnets",
            "auto-scaling-group/control subnets",
            "auto-scaling-group/node/cpu subnets",
            "auto-scaling-group/node/gpu subnets",
            "elastic-ip/nat/us-east-1c delete",
            "nat-gateway/us-east-1c delete",
            "route-table/private/us-east-1c delete",
            "subnet/private/us-east-1c delete",
            "subnet/public/us-east-1c delete",
        ]),
    ),
    word(HIGHLY_AVAILABLE, &["availability_zones"], "[us-east-1a, ", "[", Refuses(&["availability_zones"])),
    line(
        PRIVATE,
        &["nat_gateway"],
        "nat_gateway: highly_available",
        Touches(&[
            "elastic-ip/nat/us-east-1b create",
            "nat-gateway/us-east-1b create",
            "route-table/private/us-east-1b routes",
        ]),
    ),
    // Who is let in.
    line(
        PUBLIC,
        &["api_load_balancer_cidr_white_list"],
        "api_load_balancer_cidr_white_list: [10.0.0.0/8]",
        Touches(&["security-group/load-balancer ingress"]),
    ),
    line(
        PUBLIC,
        &["operator_load_balancer_cidr_white_list"],
        "operator_load_balancer_cidr_white_list: [10.0.0.0/8]",
        Touches(&["security-group/load-balancer ingress"]),
    ),
    line(
        PUBLIC,
        &["security_group"],
        "security_group: clients\napi_load_balancer_cidr_white_list: [0.0.0.0/0]\noperator_load_balancer_cidr_white_list: [0.0.0.0/0]",
        Touches(&[
            "security-group/load-balancer replace",
            "security-group/control ingress",
            "load-balancer/shared security_groups",
        ]),
    ),
    word(
        BROUGHT,
        &["security_group"],
        "security_group: sg-0123456789abcdef0\napi",
        "api",
        Touches(&[
            "security-group/load-balancer create",
            "security-group/control ingress",
            "load-balancer/shared security_groups",
        ]),
    ),
    line(
        PUBLIC,
        &["ssl_certificate_arn"],
        "ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef",
        Touches(&[
            "target-group/api-tls create",
            "listener/api target_group tls",
            "auto-scaling-group/control target_groups",
            "target-group/api delete",
        ]),
    ),
    line(
        PUBLIC,
        &["ssl_certificate_path", "ssl_private_key_path"],
        "ssl_certificate_path: chain.pem\nssl_private_key_path: key.pem",
        NOTHING,
    ),
    line(PUBLIC, &["api_http"], "api_http: true", NOTHING),
    line(
        PUBLIC,
        &["operator_access"],
        "operator_access: [{principal: \"arn:aws:iam::123456789012:user/anna\", role: admin}]",
        NOTHING,
    ),
    line(PUBLIC, &["telemetry"], "telemetry: {otlp_endpoint: \"http://10.0.0.5:4318\"}", NOTHING),
    // What it carries.
    line(
        PUBLIC,
        &["iam_policy_arns"],
        "iam_policy_arns: [\"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess\"]",
        Touches(&["role/task managed_policy_arns"]),
    ),
    line(PUBLIC, &["log_retention_days"], "log_retention_days: 7", Touches(&["log-group retention_days"])),
    line(
        PUBLIC,
        &["aws_access_key_id", "aws_secret_access_key"],
        "aws_access_key_id: AKIAIOSFODNN7EXAMPLE\naws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        NOTHING,
    ),
    // Nodes.
    line(
        PUBLIC,
        &["control_plane.instances"],
        "control_plane: {instances: 2}",
        Touches(&["auto-scaling-group/control max min"]),
    ),
    line(
        PUBLIC,
        &["control_plane", "control_plane.instance_type"],
        "control_plane: {instance_type: m5.large}",
        Touches(&["launch-template/control instance_type"]),
    ),
    word(PUBLIC, &["instance_type"], "m5.large", "c5.large", Touches(&["launch-template/node/cpu instance_type"])),
    word(
        PUBLIC,
        &["min_instances"],
        "min_instances: 1",
        "min_instances: 2",
        Touches(&["auto-scaling-group/node/cpu min"]),
    ),
    word(
        PUBLIC,
        &["max_instances"],
        "max_instances: 5",
        "max_instances: 1",
        Touches(&["auto-scaling-group/node/cpu max"]),
    ),
    word(
        PUBLIC,
        &["instance_volume_size"],
        "max_instances: 5",
        "max_instances: 5, instance_volume_size: 100",
        Touches(&["launch-template/node/cpu volume.size_gib"]),
    ),
    word(
        PUBLIC,
        &["instance_volume_type"],
        "max_instances: 5",
        "max_instances: 5, instance_volume_type: gp2",
        Touches(&["launch-template/node/cpu volume.iops volume.throughput volume.type"]),
    ),
    word(
        PUBLIC,
        &["instance_volume_iops"],
        "max_instances: 5",
        "max_instances: 5, instance_volume_iops: 4000",
        Touches(&["launch-template/node/cpu volume.iops"]),
    ),
    word(
        PUBLIC,
        &["instance_volume_throughput"],
        "max_instances: 5",
        "max_instances: 5, instance_volume_throughput: 250",
        Touches(&["launch-template/node/cpu volume.throughput"]),
    ),
    word(
        PUBLIC,
        &["spot"],
        "max_instances: 5",
        "max_instances: 5, spot: true",
        Touches(&["auto-scaling-group/node/cpu capacity_rebalance mixed"]),
    ),
    word(
        SPOT,
        &["spot_config.instance_distribution"],
        "[m5.large, m5a.large]",
        "[m5.large, m5d.large]",
        Touches(&["auto-scaling-group/node/spot mixed.instance_types"]),
    ),
    word(
        SPOT,
        &["spot_config", "spot_config.max_price"],
        "max_price: 0.096, ",
        "",
        Touches(&["auto-scaling-group/node/spot mixed.spot_max_price"]),
    ),
    word(
        SPOT,
        &["spot_config.instance_pools"],
        "instance_pools: 2",
        "instance_pools: 1",
        Touches(&["auto-scaling-group/node/spot mixed.spot_instance_pools"]),
    ),
    word(
        SPOT,
        &["spot_config.on_demand_base_capacity"],
        "instance_pools: 2",
        "instance_pools: 2, on_demand_base_capacity: 1",
        Touches(&["auto-scaling-group/node/spot mixed.on_demand_base_capacity"]),
    ),
    word(
        SPOT,
        &["spot_config.on_demand_percentage_above_base_capacity"],
        "instance_pools: 2",
        "instance_pools: 2, on_demand_percentage_above_base_capacity: 50",
        Touches(&["auto-scaling-group/node/spot mixed.on_demand_percentage_above_base_capacity"]),
    ),
    word(
        SPOT,
        &["spot"],
        "    spot: true\n    spot_config: {instance_distribution: [m5.large, m5a.large], max_price: 0.096, instance_pools: 2}",
        "",
        Touches(&["auto-scaling-group/node/spot capacity_rebalance mixed"]),
    ),
    word(
        PUBLIC,
        &["node_groups"],
        "{name: cpu,",
        "{name: more, instance_type: c5.large}\n  - {name: cpu,",
        Touches(&[
            "launch-template/node/more create",
            "auto-scaling-group/node/more create",
            "capacity-provider/more create",
            "cluster-capacity providers",
        ]),
    ),
    word(
        HIGHLY_AVAILABLE,
        &["node_groups"],
        "  - {name: gpu, instance_type: g5.xlarge, min_instances: 0, max_instances: 2}",
        "",
        Touches(&[
            "cluster-capacity providers",
            "auto-scaling-group/node/gpu delete",
            "capacity-provider/gpu delete",
            "launch-template/node/gpu delete",
        ]),
    ),
];
