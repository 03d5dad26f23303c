//! The whole visible message for files with nearly everything wrong, as a user sees it.
#![expect(clippy::unwrap_used, reason = "a test")]

use miette::{GraphicalReportHandler, GraphicalTheme};
use spec::{Invalid, cluster, realtime};

const LOCAL: &str = "\
cluster_name: My_Cluster
provider: local
listen_adress: 0.0.0.0
lb_port: 8888
operator_port: 8888
operator_listen_address: localhost
host_names: [models.example.com, https://x.org, MODELS.example.com, 300.1.2.3]
python: python3 -u
data_dir: ~/cortex
onnxruntime_library: 17
region: us-east-1
use_ssl: yes
telemetry: false
python: python3.12
";

const AWS: &str = "\
cluster_name: cortex
region: us-east-1a
availability_zones: [us-east-1a]
node_groups:
  - name: cpu
    instance_type: m6g.large
    min_instances: 6
    priority: 3
    instance_volume_type: st1
  - name: cpu
    instance_type: t3.nano
    spot_config: {max_price: 0}
  - instance_type: m5.large
    instance_volume_iops: 3000
    instance_volume_throughput: 800
    spot: yes
subnet_visibility: private
nat_gateway: none
vpc_cidr: 10.0.0.1/8
api_load_balancer_cidr_white_list: [10.0.0.0/8, ::/0, 1.2.3.4]
load_balancer: shared
api_load_balancer_scheme: internal
security_group: sg-12
tags: {cortex.dev/x: y, ok: '', n: 5}
operator_access:
  - {principal: 'arn:aws:iam::*:role/x', role: admn}
ssl_certificate_path: tls.pem
cortex_aws_secret_access_key: hunter2hunter2hunter2
image_operator: cortexlabs/operator:0.42
lb_port: 443
log_retention_days: 31
";

const CORTEX: &str = "\
- name: Digits
  kind: BatchAPI
  predictor:
    type: onyx
    path: ../model.onnx
    env: {CORTEX_X: a, DEBUG: true, 1x: b}
    models: {dir: s3://bucket}
    image: my/image
    processes_per_replica: 200
  compute: {cpu: 5m, mem: 1 Gi, gpu: 1, cpus: 2}
  networking: {endpoint: digits, local_port: 8888}
  autoscaling: {min_replicas: 0, max_replicas: 10, window: 60s}
  update_strategy: {max_surge: 0, max_unavailable: 0%}
- name: iris
  kind: RealtimeAPI
  predictor: {type: onnx, path: predictor.py, python_path: src, processes_per_replica: 2, config: {a: 1}}
  networking: {endpoint: /shared/}
- name: iris
  kind: RealtimeAPI
  predictor: {type: python}
  networking: {endpoint: /shared}
- just text
";

fn rendered(invalid: &Invalid) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(110);
    invalid.render(&handler)
}

#[test]
fn local_cluster_with_everything_wrong() {
    let invalid = cluster::parse("cluster.yaml", LOCAL).unwrap_err();
    insta::assert_snapshot!("local_plain", invalid.to_string());
    insta::assert_snapshot!("local_rendered", rendered(&invalid));
}

#[test]
fn aws_cluster_with_everything_wrong() {
    let invalid = cluster::parse("cluster.yaml", AWS).unwrap_err();
    insta::assert_snapshot!("aws_plain", invalid.to_string());
    assert!(!rendered(&invalid).contains("hunter2"), "a secret is never shown");
}

#[test]
fn apis_with_everything_wrong() {
    let invalid = realtime::parse("cortex.yaml", CORTEX).unwrap_err();
    insta::assert_snapshot!("cortex_plain", invalid.to_string());
    insta::assert_snapshot!("cortex_rendered", rendered(&invalid));
}

#[test]
fn problems_as_json_for_scripts() {
    let invalid = cluster::parse("cluster.yaml", "provider: local\nlb_port: 70000\n").unwrap_err();
    insta::assert_snapshot!(serde_json::to_string_pretty(invalid.problems()).unwrap(), @r#"
    [
      {
        "kind": "clusterconfig.out_of_range",
        "path": "lb_port",
        "line": 2,
        "column": 10,
        "message": "lb_port: 70000 is out of range: it must be from 0 to 65535",
        "help": null
      }
    ]
    "#);
}
