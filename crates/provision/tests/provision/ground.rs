//! Clusters to try things with.

use std::{collections::BTreeMap, time::Duration};

use provision::{
    cloud::{ClusterId, Observed},
    desired::{Artifact, BroughtNetwork, Facts, Graph, Upload, desired, image_parameters, kept},
    diff::diff,
    execute::{Event, Report, Settings, execute},
    observe::observe,
    plan::{Choice, Plan, Refused},
    resource::Kind,
    sim::SimCloud,
};
use spec::cluster::{Aws, Provider};
use tokio_util::sync::CancellationToken;

pub const PUBLIC: &str = "
cluster_name: demo
region: us-east-1
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

pub const PRIVATE: &str = "
cluster_name: demo
region: us-east-1
subnet_visibility: private
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

pub const HIGHLY_AVAILABLE: &str = "
cluster_name: demo
region: us-east-1
subnet_visibility: private
nat_gateway: highly_available
availability_zones: [us-east-1a, us-east-1b, us-east-1c]
control_plane: {instances: 2}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 2, max_instances: 5}
  - {name: gpu, instance_type: g5.xlarge, min_instances: 0, max_instances: 2}
";

pub const INTERNAL: &str = "
cluster_name: demo
region: us-east-1
subnet_visibility: private
api_load_balancer_scheme: internal
operator_load_balancer_scheme: internal
api_load_balancer_cidr_white_list: [10.0.0.0/8, 172.16.0.0/12]
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

pub const DEDICATED: &str = "
cluster_name: demo
region: us-east-1
operator_load_balancer_scheme: internal
ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

pub const BROUGHT: &str = "
cluster_name: demo
region: us-east-1
subnet_visibility: private
subnets:
  - {availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef0}
  - {availability_zone: us-east-1b, subnet_id: subnet-0123456789abcdef1}
load_balancer_subnets:
  - {availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef2}
  - {availability_zone: us-east-1b, subnet_id: subnet-0123456789abcdef3}
security_group: sg-0123456789abcdef0
api_load_balancer_cidr_white_list: [0.0.0.0/0]
operator_load_balancer_cidr_white_list: [0.0.0.0/0]
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

pub const SPOT: &str = "
cluster_name: demo
region: us-east-1
node_groups:
  - name: spot
    instance_type: m5.large
    min_instances: 1
    max_instances: 5
    spot: true
    spot_config: {instance_distribution: [m5.large, m5a.large], max_price: 0.096, instance_pools: 2}
";

/// What the user of [`BROUGHT`] has.
pub const FOREIGN: &[&str] = &[
    "vpc-0123456789abcdef0",
    "subnet-0123456789abcdef0",
    "subnet-0123456789abcdef1",
    "subnet-0123456789abcdef2",
    "subnet-0123456789abcdef3",
    "subnet-0123456789abcdef4",
    "subnet-0123456789abcdef5",
    "sg-0123456789abcdef0",
];

pub struct Spec {
    pub name: String,
    pub aws: Aws,
}

pub fn spec(yaml: &str) -> Spec {
    let cluster = spec::cluster::parse("cluster.yaml", yaml).unwrap_or_else(|invalid| panic!("{invalid:?}\n{yaml}"));
    let Provider::Aws(aws) = cluster.provider else { panic!("not for AWS") };
    Spec { name: cluster.name, aws: *aws }
}

impl Spec {
    pub fn id(&self) -> ClusterId {
        let (name, region) = (self.name.clone(), self.aws.region.clone());
        ClusterId { name, region, account_id: "123456789012".to_owned() }
    }

    /// What AWS would tell, `images` being of this week.
    pub fn facts(&self, observed: &[Observed], images: &str) -> Facts {
        let image = |(key, parameter): (_, &str)| {
            let flavour = if parameter.contains("gpu") { "gpu-" } else { "" };
            (key, format!("ami-{flavour}{images}"))
        };
        Facts {
            account_id: "123456789012".to_owned(),
            partition: "aws".to_owned(),
            availability_zones: ["a", "b", "c"].map(|zone| format!("{}{zone}", self.aws.region)).into(),
            images: image_parameters(&self.aws).into_iter().map(image).collect::<BTreeMap<_, _>>(),
            node_binary: Artifact { name: "cortex".to_owned(), sha256: "ab".repeat(32) },
            onnxruntime: Artifact { name: "libonnxruntime.so".to_owned(), sha256: "cd".repeat(32) },
            uploads: vec![
                Upload {
                    object_key: "config/cluster.json".to_owned(),
                    sha256: Some("ef".repeat(32)),
                    source: "configuration".to_owned(),
                    endpoints: true,
                },
                Upload {
                    object_key: "private/authority.pem".to_owned(),
                    sha256: None,
                    source: "authority".to_owned(),
                    endpoints: false,
                },
            ],
            brought_network: Some(BroughtNetwork {
                vpc_id: "vpc-0123456789abcdef0".to_owned(),
                cidrs: vec!["10.0.0.0/16".parse().unwrap()],
            }),
            existing_security_group: None,
            runtime_identity: None,
            kept: kept(observed),
        }
    }

    pub fn graph(&self, observed: &[Observed], images: &str) -> Graph {
        desired(&self.name, &self.aws, &self.facts(observed, images)).unwrap_or_else(|why| panic!("{why:?}"))
    }

    pub async fn observe(&self, cloud: &SimCloud) -> Vec<Observed> {
        observe(cloud, &self.id(), Kind::WANTED, &Settings::new(1)).await.expect("the simulation answers")
    }

    pub async fn plan(&self, cloud: &SimCloud, images: &str) -> Result<Plan, Refused> {
        self.plan_of(&self.observe(cloud).await, images)
    }

    pub fn plan_of(&self, observed: &[Observed], images: &str) -> Result<Plan, Refused> {
        diff(&self.graph(observed, images), observed)
    }

    pub async fn up(&self, cloud: &SimCloud) -> Report {
        let plan = self.plan(cloud, "1").await.unwrap();
        run(&plan, cloud).await
    }
}

pub async fn run(plan: &Plan, cloud: &SimCloud) -> Report {
    let never = CancellationToken::new();
    execute(plan, cloud, &Settings::new(7), &|_: Event| {}, &never).await
}

/// Longer than anything stays unseen in the clouds that are tried here (`SimOptions::lag`, 2 s at most). On the paused
/// clock it takes no time.
pub async fn settle() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

/// What a plan touches: created, changed (with its fields), replaced, deleted.
pub fn touched(plan: &Plan) -> Vec<(&str, String)> {
    let told = |choice: &Choice| match choice {
        Choice::Create => "create".to_owned(),
        Choice::Update { changes } => {
            let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
            fields.join(" ")
        }
        Choice::Replace { .. } => "replace".to_owned(),
        Choice::Delete { .. } => "delete".to_owned(),
        Choice::Keep => String::new(),
    };
    let entries = plan.entries.iter().filter(|entry| entry.choice != Choice::Keep);
    entries.map(|entry| (entry.key.as_str(), told(&entry.choice))).collect()
}
