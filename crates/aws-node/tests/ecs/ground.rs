//! What the engine stands on: an ECS cluster with two nodes on the emulator, made as `cortex cluster up` would.

use std::{collections::BTreeMap, time::Duration};

use api::wire::ReplicaPhase;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_node::{EcsEngine, ecs::Settings};
use aws_sdk_ecs::types::{
    Attribute, AutoScalingGroupProvider, CapacityProviderStrategyItem, ManagedScaling, ManagedScalingStatus, Service,
    ServiceField, TaskDefinitionStatus,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use operator::engine::{Engine as _, Replica, Workload};
use serde_json::json;
use spec::realtime::{Compute, Predictor, PredictorType, Program};
use testkit::emulator::{Call, Credentials, Delays, Emulator, Mode};

pub const CLUSTER: &str = "cortex-test";
pub const LOG_GROUP: &str = "/cortex/test";
/// Of every node: the emulated ones do not run what would say theirs.
pub const ADDRESS: &str = "10.0.0.9";

pub struct Ground {
    pub emulator: Emulator,
    pub settings: Settings,
    pub ecs: aws_sdk_ecs::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
}

/// Short, but long enough to be seen.
pub fn delays() -> Delays {
    let short = Duration::from_millis(300);
    Delays::none().with("task_start", short).with("task_healthy", short).with("task_stop", short)
}

impl Ground {
    pub async fn new(mode: Mode, delays: &Delays) -> Self {
        let ground = Self::without_nodes(mode, delays);
        ground.add_nodes().await;
        ground
    }

    /// Whose names and roles are those that `settings` says.
    pub fn with(emulator: Emulator, settings: Settings) -> Self {
        let config = config(&emulator, &emulator.endpoint, &emulator.admin);
        let (ecs, logs) = (aws_sdk_ecs::Client::new(&config), aws_sdk_cloudwatchlogs::Client::new(&config));
        Self { emulator, settings, ecs, logs }
    }

    pub fn without_nodes(mode: Mode, delays: &Delays) -> Self {
        let emulator = Emulator::start(mode, delays);
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "ecs-tasks.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        });
        let task_role_arn = emulator.create_role("task", &trust, &json!({}));
        Self::with(emulator, settings("test", CLUSTER, LOG_GROUP, task_role_arn))
    }

    pub async fn add_nodes(&self) {
        let config = config(&self.emulator, &self.emulator.endpoint, &self.emulator.admin);
        let group = scaling_group(&config).await;
        let cluster = &self.settings.ecs_cluster;
        self.ecs.create_cluster().cluster_name(cluster).send().await.expect("a cluster is made");
        let scaling = ManagedScaling::builder().status(ManagedScalingStatus::Disabled).build();
        let provider =
            AutoScalingGroupProvider::builder().auto_scaling_group_arn(group).managed_scaling(scaling).build();
        let provider = provider.expect("it has a group");
        let made = self.ecs.create_capacity_provider().name("nodes").auto_scaling_group_provider(provider);
        made.send().await.expect("a capacity provider is made");
        let strategy =
            CapacityProviderStrategyItem::builder().capacity_provider("nodes").build().expect("it has a name");
        let put = self.ecs.put_cluster_capacity_providers().cluster(cluster).capacity_providers("nodes");
        put.default_capacity_provider_strategy(strategy).send().await.expect("the cluster takes its provider");
        self.say_addresses().await;
    }

    /// What nodes do when they register.
    async fn say_addresses(&self) {
        let cluster = &self.settings.ecs_cluster;
        let nodes = self.ecs.list_container_instances().cluster(cluster).send().await.expect("nodes are listed");
        let nodes = nodes.container_instance_arns.unwrap_or_default();
        assert_eq!(nodes.len(), 2);
        for node in nodes {
            let attribute = Attribute::builder().name("cortex.address").value(ADDRESS).target_id(node).build();
            let put = self.ecs.put_attributes().cluster(cluster).attributes(attribute.expect("it has a name"));
            put.send().await.expect("attributes are taken");
        }
    }

    pub fn engine(&self) -> EcsEngine {
        self.engine_by_way_of(&self.emulator.endpoint)
    }

    pub fn engine_by_way_of(&self, url: &str) -> EcsEngine {
        EcsEngine::new(&config(&self.emulator, url, &self.emulator.admin), self.settings.clone())
    }

    pub fn engine_as(&self, credentials: &Credentials) -> EcsEngine {
        EcsEngine::new(&config(&self.emulator, &self.emulator.endpoint, credentials), self.settings.clone())
    }

    /// Services that are not deleted, with their tags.
    pub async fn services(&self) -> Vec<Service> {
        let cluster = &self.settings.ecs_cluster;
        let pages = self.ecs.list_services().cluster(cluster).into_paginator().items().send();
        let arns = pages.collect::<Result<Vec<_>, _>>().await.expect("services are listed");
        let mut services = Vec::new();
        for batch in arns.chunks(10) {
            let request = self.ecs.describe_services().cluster(cluster).set_services(Some(batch.to_vec()));
            let reply = request.include(ServiceField::Tags).send().await.expect("services are described");
            services.extend(reply.services.unwrap_or_default());
        }
        services.retain(|service| service.status() == Some("ACTIVE"));
        services
    }

    /// Revisions of all families, not counting those that are deleted.
    pub async fn definitions(&self) -> Vec<String> {
        let mut arns = Vec::new();
        for status in [TaskDefinitionStatus::Active, TaskDefinitionStatus::Inactive] {
            let pages = self.ecs.list_task_definitions().status(status).into_paginator().items().send();
            arns.extend(pages.collect::<Result<Vec<_>, _>>().await.expect("definitions are listed"));
        }
        arns
    }

    pub fn changes_since(&self, mark: u64) -> Vec<Call> {
        let calls = self.emulator.calls_since(mark);
        calls.into_iter().filter(|call| call.service == "ecs" && call.mutating).collect()
    }
}

pub fn config(emulator: &Emulator, url: &str, who: &Credentials) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let (id, secret) = (who.access_key_id.clone(), who.secret_access_key.clone());
    let credentials = aws_credential_types::Credentials::new(id, secret, who.session_token.clone(), None, "emulator");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(emulator.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .endpoint_url(url)
        .build()
}

pub fn settings(cluster: &str, ecs_cluster: &str, log_group: &str, task_role_arn: String) -> Settings {
    Settings {
        cluster_name: cluster.to_owned(),
        ecs_cluster: ecs_cluster.to_owned(),
        region: "us-east-1".to_owned(),
        bucket: "bucket".to_owned(),
        log_group: log_group.to_owned(),
        task_role_arn,
        image: "python:3.12-slim".to_owned(),
        poll: Duration::from_millis(50),
    }
}

/// The ARN of a group of two, in two zones.
async fn scaling_group(config: &SdkConfig) -> String {
    let ec2 = aws_sdk_ec2::Client::new(config);
    let vpc = ec2.create_vpc().cidr_block("10.0.0.0/16").send().await.expect("a VPC is made");
    let vpc = vpc.vpc.and_then(|vpc| vpc.vpc_id).expect("it has an id");
    let mut subnets = Vec::new();
    for (number, zone) in [(0, "us-east-1a"), (1, "us-east-1b")] {
        let made = ec2.create_subnet().vpc_id(&vpc).cidr_block(format!("10.0.{number}.0/24")).availability_zone(zone);
        let made = made.send().await.expect("a subnet is made");
        subnets.push(made.subnet.and_then(|subnet| subnet.subnet_id).expect("it has an id"));
    }
    let image = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id";
    let image = aws_sdk_ssm::Client::new(config).get_parameter().name(image).send().await.expect("it is public");
    let image = image.parameter.and_then(|parameter| parameter.value).expect("it has a value");
    let data = aws_sdk_ec2::types::RequestLaunchTemplateData::builder()
        .image_id(image)
        .instance_type(aws_sdk_ec2::types::InstanceType::M5Large);
    let template = ec2.create_launch_template().launch_template_name("nodes").launch_template_data(data.build());
    let template = template.send().await.expect("a launch template is made");
    let template = template.launch_template.and_then(|template| template.launch_template_id).expect("it has an id");
    let groups = aws_sdk_autoscaling::Client::new(config);
    let template = aws_sdk_autoscaling::types::LaunchTemplateSpecification::builder().launch_template_id(template);
    let made = groups
        .create_auto_scaling_group()
        .auto_scaling_group_name("nodes")
        .launch_template(template.version("$Latest").build())
        .min_size(0)
        .max_size(4)
        .desired_capacity(2)
        .vpc_zone_identifier(subnets.join(","));
    made.send().await.expect("a group is made");
    let found = groups.describe_auto_scaling_groups().auto_scaling_group_names("nodes").send().await;
    let found = found.expect("it is found").auto_scaling_groups.unwrap_or_default();
    found[0].auto_scaling_group_arn().expect("it has an ARN").to_owned()
}

pub fn workload(api: &str, version: &str) -> Workload {
    let predictor = Predictor {
        r#type: PredictorType::Python,
        path: "predictor.py".to_owned(),
        config: serde_json::Map::new(),
        env: BTreeMap::from([("MODE".to_owned(), "fast".to_owned())]),
        python_path: None,
        processes_per_replica: 1,
        threads_per_process: 1,
        server_side_batching: None,
        request_timeout: None,
    };
    let compute = Compute { cpu_millis: 50, mem_bytes: Some(64 * 1024 * 1024) };
    let (api, version) = (api.to_owned(), version.to_owned());
    Workload {
        api,
        version,
        program: Program::Predictor(predictor),
        compute,
        max_replica_concurrency: None,
        request_timeout: Duration::from_secs(60),
        bundle: "cccc".to_owned(),
    }
}

/// How many replicas of a version are in each phase.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub starting: usize,
    pub ready: usize,
    pub draining: usize,
    pub backing_off: usize,
}

pub fn count(replicas: &[Replica], api: &str, version: &str) -> Count {
    let mut count = Count::default();
    for replica in replicas.iter().filter(|replica| replica.api == api && replica.version == version) {
        *match replica.phase {
            ReplicaPhase::Starting => &mut count.starting,
            ReplicaPhase::Ready => &mut count.ready,
            ReplicaPhase::Draining => &mut count.draining,
            ReplicaPhase::BackingOff => &mut count.backing_off,
        } += 1;
    }
    count
}

/// Waits until so many replicas are ready and there are no others.
pub async fn becomes(engine: &EcsEngine, api: &str, version: &str, ready: usize) -> Vec<Replica> {
    testkit::eventually("all replicas are ready", async || {
        let replicas = engine.observe().await.map_err(|error| error.to_string())?;
        let now = count(&replicas, api, version);
        if now == (Count { ready, ..Count::default() }) { Ok(replicas) } else { Err(format!("{now:?}: {replicas:?}")) }
    })
    .await
}
