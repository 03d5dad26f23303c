//! Whole clusters on the emulator: made, found to be as wanted, removed without a trace.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use aws_infra::{Clients, gather};
use provision::{
    desired::{Artifact, Facts, Graph, Upload, desired, kept},
    destroy::{Destroyed, destroy},
    diff::diff,
    execute::{Event, Report, Settings, execute},
    observe::observe,
    plan::Plan,
    resource::Kind,
};
use sha2::{Digest as _, Sha256};
use spec::cluster::{Aws, Provider};
use testkit::emulator::{Delays, Emulator, Mode};
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;

const PUBLIC: &str = "
cluster_name: graph-public
region: us-east-1
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
";

const PRIVATE: &str = "
cluster_name: graph-private
region: us-east-1
subnet_visibility: private
operator_load_balancer_scheme: internal
bucket: graph-private-of-mine
tags: {team: ml}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 5}
  - name: spot
    instance_type: m5.large
    min_instances: 0
    max_instances: 5
    spot: true
    spot_config: {instance_distribution: [m5.large, m5a.large], max_price: 0.096, instance_pools: 2}
";

const HIGHLY_AVAILABLE: &str = "
cluster_name: graph-ha
region: us-east-1
subnet_visibility: private
nat_gateway: highly_available
availability_zones: [us-east-1a, us-east-1b, us-east-1c]
control_plane: {instances: 2}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 2, max_instances: 5}
  - {name: gpu, instance_type: g5.xlarge, min_instances: 0, max_instances: 2}
";

struct Ground {
    bench: Bench,
    name: String,
    aws: Aws,
    settings: Settings,
}

impl Ground {
    async fn new(yaml: &str, mode: Mode) -> Self {
        let cluster = spec::cluster::parse("cluster.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:?}"));
        let Provider::Aws(aws) = cluster.provider else { panic!("not for AWS") };
        let bucket = aws.bucket.clone().map_or(aws_infra::BucketName::Standard, aws_infra::BucketName::Given);
        let settings = Settings { tick: Duration::from_secs(1), ..Settings::new(1) };
        let emulator = Emulator::start(mode, &Delays::none());
        Self { bench: Bench::on(emulator, &cluster.name, bucket).await, name: cluster.name, aws: *aws, settings }
    }

    async fn facts(&self, found: &[provision::cloud::Observed]) -> Facts {
        let clients = Clients::new(&self.bench.config);
        let caller = clients.caller().await.unwrap();
        let known = gather(&clients, caller, &self.name, &self.aws, kept(found)).await.unwrap();
        let artifact = |name: &str| Artifact { name: name.to_owned(), sha256: hex::encode(Sha256::digest(name)) };
        let upload = |object_key: &str, sha256: Option<String>, endpoints| Upload {
            object_key: object_key.to_owned(),
            sha256,
            source: "upload".to_owned(),
            endpoints,
        };
        let uploads = vec![
            upload("config/cluster.json", Some(hex::encode(Sha256::digest("upload"))), false),
            upload("private/ca.json", None, true),
        ];
        known.into_facts(artifact("cortex"), artifact("libonnxruntime.so"), uploads)
    }

    async fn plan(&self) -> (Graph, Plan) {
        let found = observe(&self.bench.cloud, &self.bench.cluster, Kind::WANTED, &self.settings).await.unwrap();
        let graph = desired(&self.name, &self.aws, &self.facts(&found).await).unwrap();
        let plan = diff(&graph, &found).unwrap();
        (graph, plan)
    }

    async fn execute(&self, plan: &Plan) -> Report {
        let retries: Mutex<Vec<String>> = Mutex::default();
        let events = |event: Event| {
            if let Event::Retrying { key, error, .. } = event {
                retries.lock().unwrap().push(format!("{key}: {error}"));
            }
        };
        let report = execute(plan, &self.bench.cloud, &self.settings, &events, &CancellationToken::new()).await;
        println!("{report}\nretried: {:#?}", retries.lock().unwrap());
        report
    }

    async fn destroy(&self) -> Destroyed {
        let never = CancellationToken::new();
        let keep = BTreeSet::new();
        let started = Instant::now();
        let events = |event: Event| {
            if let Event::Retrying { key, error, .. } | Event::Failed { key, error, .. } = event {
                println!("{:?} {key}: {error}", started.elapsed());
            }
        };
        destroy(&self.bench.cloud, &self.bench.cluster, &keep, &self.settings, &events, &never).await
    }
}

async fn life(yaml: &str, mode: Mode) {
    let ground = Ground::new(yaml, mode).await;
    let emulator = &ground.bench.emulator;
    let before = emulator.inventory();

    let (_, plan) = ground.plan().await;
    let report = ground.execute(&plan).await;
    assert!(report.is_complete(), "{report}");

    let calls = emulator.mark();
    let (graph, second) = ground.plan().await;
    assert!(second.is_empty(), "{second}");
    let calls = emulator.calls_since(calls);
    println!("{} resources are looked at with {} calls", graph.nodes.len(), calls.len());
    let writes: Vec<_> = calls.iter().filter(|call| call.mutating).collect();
    assert!(writes.is_empty(), "{writes:#?}");

    let destroyed = ground.destroy().await;
    assert!(destroyed.is_complete(), "{destroyed}");
    assert_eq!(emulator.inventory().added_since(&before), BTreeSet::new());
}

#[tokio::test]
async fn a_public_cluster() {
    Box::pin(life(PUBLIC, Mode::Plain)).await;
}

#[tokio::test]
async fn a_private_cluster() {
    Box::pin(life(PRIVATE, Mode::Plain)).await;
}

#[tokio::test]
async fn a_highly_available_cluster() {
    Box::pin(life(HIGHLY_AVAILABLE, Mode::Plain)).await;
}

#[tokio::test]
async fn a_public_cluster_where_aws_is_strict() {
    Box::pin(life(PUBLIC, Mode::Strict)).await;
}

#[tokio::test]
async fn a_private_cluster_where_aws_is_strict() {
    Box::pin(life(PRIVATE, Mode::Strict)).await;
}

#[tokio::test]
async fn a_highly_available_cluster_where_aws_is_strict() {
    Box::pin(life(HIGHLY_AVAILABLE, Mode::Strict)).await;
}
