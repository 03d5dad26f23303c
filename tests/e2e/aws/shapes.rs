//! Clusters of several shapes, and an account looked at from outside.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{
    emulator::{Call, Emulator, Inventory, python},
    faults,
    project::repository,
};

/// Private nodes with one way out; APIs for two networks, the operator for a third.
pub const PRIVATE: &str = "
cluster_name: demo
region: us-east-1
vpc_cidr: 10.20.0.0/16
subnet_visibility: private
nat_gateway: single
api_load_balancer_cidr_white_list: [203.0.113.0/24, 198.51.100.7/32]
operator_load_balancer_cidr_white_list: [192.0.2.0/28]
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
";

/// No zone needs another one.
pub const HIGHLY_AVAILABLE: &str = "
cluster_name: demo
region: us-east-1
availability_zones: [us-east-1a, us-east-1b, us-east-1c]
vpc_cidr: 10.20.0.0/16
subnet_visibility: private
nat_gateway: highly_available
control_plane: {instances: 2}
api_load_balancer_cidr_white_list: [203.0.113.0/24, 198.51.100.7/32]
operator_load_balancer_cidr_white_list: [192.0.2.0/28]
tags: {team: research}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 3}
  - {name: cheap, instance_type: m5.large, min_instances: 1, max_instances: 4, spot: true}
";

/// APIs for the VPC only, the operator for an office: one load balancer each.
pub const INTERNAL_APIS: &str = "
cluster_name: demo
region: us-east-1
vpc_cidr: 10.20.0.0/16
subnet_visibility: private
api_load_balancer_scheme: internal
operator_load_balancer_scheme: internet-facing
api_load_balancer_cidr_white_list: [10.0.0.0/8]
operator_load_balancer_cidr_white_list: [192.0.2.0/28]
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
";

/// Nothing faces the internet, and still there are two load balancers.
pub const INTERNAL: &str = "
cluster_name: demo
region: us-east-1
vpc_cidr: 10.20.0.0/16
subnet_visibility: private
load_balancer: dedicated
api_load_balancer_scheme: internal
operator_load_balancer_scheme: internal
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
";

/// What the account itself says of the cluster `demo`; see `topology.py`.
pub fn topology(emulator: &Emulator) -> Value {
    let program = repository("tests/e2e/aws/topology.py");
    let picture = sdk(emulator, &[program.to_str().expect("UTF-8"), "demo"]);
    serde_json::from_str(&picture).unwrap_or_else(|error| panic!("{error}: {picture}"))
}

/// Runs Python, which has AWS's own SDK, as the account's administrator; returns what it prints.
pub fn sdk(emulator: &Emulator, arguments: &[&str]) -> String {
    let mut command = Command::new(python());
    command.args(arguments).envs(emulator.environment()).env("AWS_DEFAULT_REGION", &emulator.region);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The second as it was at the time of the first, but for what AWS itself keeps for ever.
#[track_caller]
pub fn same(before: &Inventory, after: &Inventory) {
    let kinds = before.kinds.keys().chain(after.kinds.keys()).filter(|kind| *kind != "service_linked_role");
    for kind in kinds {
        let (before, after) = (&before.kinds[kind], &after.kinds[kind]);
        assert!(before == after, "{kind} before: {before:#?}\nand after: {after:#?}");
    }
}

/// How many there were of each, the most frequent first.
pub fn by_kind(calls: &[Call]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{}:{}", call.service, call.action)).or_insert(0_usize) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    counts.iter().map(|(name, count)| format!("{count:>4} {name}\n")).collect()
}

/// The actions without repetition, as `service:Action`.
pub fn actions(calls: &[Call]) -> Vec<String> {
    let mut actions: Vec<String> = calls.iter().map(|call| format!("{}:{}", call.service, call.action)).collect();
    actions.sort();
    actions.dedup();
    actions
}

/// The arguments of a `cluster up` that takes no time: nothing boots, so anything will do for what would.
pub fn making<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = ["cluster", "up", "--yes", "--no-wait", "--node-binary", "/bin/true", "--onnxruntime", "/bin/true"];
    [small.as_slice(), more].concat()
}

/// Whether a call can have an effect.
pub fn changes(call: &faults::Call) -> bool {
    let asking = ["Describe", "Get", "List", "Simulate"].iter().any(|verb| call.action.starts_with(verb));
    let reading = call.service == "s3" && ["GET", "HEAD"].contains(&call.method.as_str());
    !asking && !reading
}

/// Actions to take out of a policy: all with `CORTEX_TEST_FULL=1`, else so many, other ones with another `CORTEX_TEST_SEED`.
pub fn sample(actions: &[String], count: usize) -> Vec<String> {
    if std::env::var_os("CORTEX_TEST_FULL").is_some() {
        return actions.to_vec();
    }
    let seed = std::env::var("CORTEX_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7_usize);
    println!("CORTEX_TEST_SEED={seed}");
    // One of each part of the list, which is sorted by service.
    let part = actions.len() / count;
    (0..count).map(|number| actions[number * part + (seed * (number + 1) * 31) % part].clone()).collect()
}

/// A certificate that ACM calls issued.
pub const IMPORTED: &str = "
import boto3, datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, 'models.example.test')])
names = [x509.DNSName(each) for each in ('models.example.test', '*.example.test')]
made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
made = made.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=365))
made = made.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
print(boto3.client('acm').import_certificate(Certificate=made.public_bytes(pem),
    PrivateKey=key.private_bytes(pem, private, serialization.NoEncryption()))['CertificateArn'])
";

/// A role that may do everything, for sessions.
pub fn administrator(emulator: &Emulator) -> String {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": emulator.admin.arn },
    }] });
    let all = json!({ "all": { "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "*", "Resource": "*",
    }] } });
    emulator.create_role("administrator", &trust, &all)
}
