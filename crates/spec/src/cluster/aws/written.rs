//! `cluster.yaml` for AWS as users write it. The documentation of each field is what editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Nat, Role, Scheme, Sharing, Visibility, VolumeType};
use crate::{cluster::telemetry, de::At};

type Text = Option<At<String>>;
type Number = Option<At<i64>>;
type Texts = Option<At<Vec<At<String>>>>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// Name of the cluster: lower-case letters, digits and single dashes.
    #[schemars(length(min = 3, max = 54), extend("default" = "cortex"))]
    pub(super) cluster_name: Text,
    /// Where the cluster runs.
    #[expect(dead_code, reason = "decides that this type is read at all; here so that it is a known field")]
    #[schemars(extend("default" = "aws"))]
    pub(super) provider: Option<At<AwsProvider>>,
    /// AWS region. Required.
    pub(super) region: Text,
    /// Zones of the region to use, at least two. Default: the first that offer the instance types. Not with `subnets`.
    pub(super) availability_zones: Texts,

    /// Groups of nodes that replicas run on, 1 to 100. Required, unless the one group is described by `instance_type`
    /// and its neighbours at the top level.
    #[schemars(length(min = 1, max = 100))]
    pub(super) node_groups: Option<At<Vec<At<NodeGroup>>>>,
    /// Instance type of the only node group, `default`; instead of `node_groups`.
    pub(super) instance_type: Text,
    /// Fewest instances of the only node group.
    #[schemars(range(min = 0), extend("default" = 1))]
    pub(super) min_instances: Number,
    /// Most instances of the only node group.
    #[schemars(range(min = 1), extend("default" = 5))]
    pub(super) max_instances: Number,
    /// Size of a node's boot volume in GiB.
    #[schemars(range(min = 30, max = 16384), extend("default" = 50))]
    pub(super) instance_volume_size: Number,
    /// Type of a node's boot volume.
    #[schemars(extend("default" = "gp3"))]
    pub(super) instance_volume_type: Option<At<VolumeType>>,
    /// I/O operations per second of a gp3 (3000 to 16000) or io1 (100 to 64000) volume.
    pub(super) instance_volume_iops: Number,
    /// Throughput of a gp3 volume in MiB/s.
    #[schemars(range(min = 125, max = 1000), extend("default" = 125))]
    pub(super) instance_volume_throughput: Number,
    /// Whether nodes are spot instances.
    #[schemars(extend("default" = false))]
    pub(super) spot: Option<At<bool>>,
    /// How spot instances are chosen; only with `spot: true`.
    pub(super) spot_config: Option<At<SpotConfig>>,

    /// Instances that run operator and gateway.
    pub(super) control_plane: Option<At<ControlPlane>>,

    /// IPv4 range of the cluster's own VPC, /16 to /24. Not with `subnets`.
    #[schemars(extend("default" = "192.168.0.0/16"))]
    pub(super) vpc_cidr: Text,
    /// Subnets of yours that nodes run in, one per zone, at least two; instead of a VPC of the cluster's own.
    #[schemars(length(min = 2))]
    pub(super) subnets: Option<At<Vec<At<Subnet>>>>,
    /// Subnets of yours for the load balancers. Default: `subnets`.
    #[schemars(length(min = 2))]
    pub(super) load_balancer_subnets: Option<At<Vec<At<Subnet>>>>,
    /// Whether nodes have public addresses.
    #[schemars(extend("default" = "public"))]
    pub(super) subnet_visibility: Option<At<Visibility>>,
    /// The way out for private nodes. Default: `none` for public nodes and with `subnets`, else `single`.
    pub(super) nat_gateway: Option<At<Nat>>,

    /// Whether APIs and operator share one load balancer. Default: `shared` if both have the same scheme.
    pub(super) load_balancer: Option<At<Sharing>>,
    /// Who can reach the APIs: the internet, or only the VPC and what is connected to it.
    #[schemars(extend("default" = "internet-facing"))]
    pub(super) api_load_balancer_scheme: Option<At<Scheme>>,
    /// Who can reach the operator.
    #[schemars(extend("default" = "internet-facing"))]
    pub(super) operator_load_balancer_scheme: Option<At<Scheme>>,
    /// IPv4 ranges that may call the APIs.
    #[schemars(length(min = 1), extend("default" = ["0.0.0.0/0"]))]
    pub(super) api_load_balancer_cidr_white_list: Texts,
    /// IPv4 ranges that may call the operator.
    #[schemars(length(min = 1), extend("default" = ["0.0.0.0/0"]))]
    pub(super) operator_load_balancer_cidr_white_list: Texts,
    /// Security group of the load balancers: an id, or a name, made if it does not exist. Needs both white lists.
    pub(super) security_group: Text,
    /// ACM certificate for the load balancers. Default: a certificate of the cluster's own authority.
    pub(super) ssl_certificate_arn: Text,
    /// PEM file with your certificate chain; together with `ssl_private_key_path`.
    pub(super) ssl_certificate_path: Text,
    /// PEM file with the certificate's private key.
    pub(super) ssl_private_key_path: Text,
    /// Serve APIs over plain HTTP too. Default: port 80 redirects to HTTPS.
    #[schemars(extend("default" = false))]
    pub(super) api_http: Option<At<bool>>,

    /// Who may use the operator, and as what. Default: every IAM user and role of the account is `admin`.
    #[schemars(length(min = 1))]
    pub(super) operator_access: Option<At<Vec<At<AccessRule>>>>,
    /// IAM policies for replicas, besides the cluster's own.
    #[schemars(length(max = 10), extend("default" = []))]
    pub(super) iam_policy_arns: Texts,
    /// Tags of every resource, besides the cluster's own.
    #[schemars(extend("default" = {}))]
    pub(super) tags: Option<At<BTreeMap<String, At<String>>>>,
    /// Bucket of the cluster. Default: named after cluster, account and region.
    #[schemars(length(min = 3, max = 63))]
    pub(super) bucket: Text,
    /// Days that CloudWatch keeps logs.
    #[schemars(extend("default" = 30))]
    pub(super) log_retention_days: Number,
    /// Where gateways and replicas send traces. Default: nowhere.
    pub(super) telemetry: Option<At<telemetry::Written>>,

    /// Access key that creates the cluster. Default: the standard AWS settings, which are safer than a file.
    pub(super) aws_access_key_id: Text,
    /// Secret of `aws_access_key_id`.
    pub(super) aws_secret_access_key: Text,
    /// Access key that the cluster runs with. Default: an instance role, which is safer.
    pub(super) cortex_aws_access_key_id: Text,
    /// Secret of `cortex_aws_access_key_id`.
    pub(super) cortex_aws_secret_access_key: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AwsProvider {
    Aws,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeGroup {
    /// Letters, digits and dashes; unique. Required.
    #[schemars(length(min = 1, max = 26))]
    pub(super) name: Text,
    /// EC2 instance type (x86). Required.
    pub(super) instance_type: Text,
    /// Fewest instances.
    #[schemars(range(min = 0), extend("default" = 1))]
    pub(super) min_instances: Number,
    /// Most instances.
    #[schemars(range(min = 1), extend("default" = 5))]
    pub(super) max_instances: Number,
    /// Size of the boot volume in GiB.
    #[schemars(range(min = 30, max = 16384), extend("default" = 50))]
    pub(super) instance_volume_size: Number,
    /// Type of the boot volume.
    #[schemars(extend("default" = "gp3"))]
    pub(super) instance_volume_type: Option<At<VolumeType>>,
    /// I/O operations per second of a gp3 (3000 to 16000) or io1 (100 to 64000) volume.
    pub(super) instance_volume_iops: Number,
    /// Throughput of a gp3 volume in MiB/s.
    #[schemars(range(min = 125, max = 1000), extend("default" = 125))]
    pub(super) instance_volume_throughput: Number,
    /// Whether the instances are spot instances.
    #[schemars(extend("default" = false))]
    pub(super) spot: Option<At<bool>>,
    /// How spot instances are chosen; only with `spot: true`.
    pub(super) spot_config: Option<At<SpotConfig>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpotConfig {
    /// Instance types to choose from. Default: the group's own, which is always among them.
    #[schemars(length(min = 1))]
    pub(super) instance_distribution: Texts,
    /// On-demand instances before the first spot instance.
    #[schemars(range(min = 0), extend("default" = 0))]
    pub(super) on_demand_base_capacity: Number,
    /// Share of on-demand instances above the base, in percent.
    #[schemars(range(min = 0, max = 100), extend("default" = 0))]
    pub(super) on_demand_percentage_above_base_capacity: Number,
    /// Highest price of a spot instance in US dollars per hour. Default: the on-demand price.
    pub(super) max_price: Option<At<f64>>,
    /// Number of spot pools to spread over. Default: as many as there are instance types.
    #[schemars(range(min = 1, max = 20))]
    pub(super) instance_pools: Number,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlPlane {
    /// Number of instances; with two or more the loss of one is covered.
    #[schemars(range(min = 1, max = 5), extend("default" = 1))]
    pub(super) instances: Number,
    /// EC2 instance type (x86).
    #[schemars(extend("default" = "t3.small"))]
    pub(super) instance_type: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subnet {
    /// Zone of the subnet. Required.
    pub(super) availability_zone: Text,
    /// Id of the subnet. Required.
    pub(super) subnet_id: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessRule {
    /// ARN of an IAM user or role; may end with `*`. Required.
    pub(super) principal: Text,
    /// What the principal may do. Required.
    pub(super) role: Option<At<Role>>,
}
