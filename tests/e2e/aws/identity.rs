//! Who may talk to the operator of a cluster on AWS, over the wire and through its load balancer.

use serde_json::json;
use testkit::{
    Answer, Version,
    emulator::{Credentials, Mode},
    raw,
};

use super::ground::{Account, PUBLIC};

const SECRETS: [&str; 3] = ["private/authority.json", "private/api-keys/default.json", "private/session.json"];

/// A cluster with an environment of its administrator's.
fn cluster() -> Account {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    account
}

fn trust() -> serde_json::Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] })
}

/// Tries what every user may try.
fn get(account: &Account, who: &Credentials) -> testkit::Outcome {
    account.run_of(who, &["get", "-o", "json"])
}

#[track_caller]
fn is_refused(account: &Account, who: &Credentials, words: &str) {
    let outcome = get(account, who).exits(4);
    let error = outcome.error_json();
    let message = error["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(words), "{words:?} is not in {message:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_roles_of_the_account_and_nobody_else() {
    let account = cluster();
    let emulator = &account.emulator;
    // Without a single permission in IAM: what counts is who they are.
    let alice = emulator.create_user("alice", &json!({}));
    emulator.create_role("dev", &trust(), &json!({}));
    let dev = emulator.assume("dev", "session");
    for who in [&alice, &dev] {
        get(&account, who).ok();
    }
    let file = testkit::project::repository("examples/digits/cortex.yaml");
    account.run_of(&alice, &["deploy", file.to_str().expect("UTF-8")]).ok().prints("digits is live");

    is_refused(&account, &emulator.create_stranger("alice", "210987654321"), "not of this cluster's AWS account");
    is_refused(&account, &emulator.root_credentials(), "root of the account");
    is_refused(&account, &emulator.federated_credentials("bob"), "federated user");
    let wrong = Credentials { secret_access_key: "x".repeat(40), ..alice.clone() };
    is_refused(&account, &wrong, "signature is wrong");
    emulator.expire_credentials(&dev);
    is_refused(&account, &dev, "has expired");
    emulator.deactivate_key(&alice);
    is_refused(&account, &alice, "does not know this access key");
    emulator.delete_key(&alice);
    is_refused(&account, &alice, "does not know this access key");
}

/// Whoever gets code to run on a node, or in a replica, does not own the control plane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clusters_own_machines_and_tasks_are_refused() {
    let account = cluster();
    account.deploy("digits").ok();
    let emulator = &account.emulator;
    let nodes = account.nodes().status().nodes;
    assert_eq!(nodes.len(), 2);
    let bucket = bucket(&account);
    let gets_no_secret = |who: &Credentials| {
        for key in SECRETS {
            let (status, _) = object(&account, who, &bucket, key);
            assert_eq!(status, 403, "{who:?}: {key}");
        }
    };
    for node in nodes {
        let credentials = emulator.instance_credentials(&node.instance);
        is_refused(&account, &credentials, "the cluster's own machines");
        // A worker; control nodes keep the secrets.
        if node.container_instance.is_some() {
            gets_no_secret(&credentials);
        }
    }
    let roles = emulator.inventory();
    let (task, _) = roles.of("role").find(|(name, _)| name.contains("demo-task")).expect("tasks have a role");
    let hour = std::time::Duration::from_secs(3600);
    let task = emulator.assume_as_service(task, "task", "ecs-tasks.amazonaws.com", hour);
    is_refused(&account, &task, "the cluster's own machines");
    gets_no_secret(&task);
}

/// Users of the account with all rights to read, and even to administer, get none of the cluster's secrets from its
/// bucket; what is not secret they do get.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_in_the_bucket_are_for_control_nodes_only() {
    let account = cluster();
    let bucket = bucket(&account);
    let all = json!({ "all": { "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*" }] } });
    let reader = account.emulator.create_user("reader", &all);
    for who in [&reader, &account.emulator.admin] {
        for key in SECRETS {
            let (status, body) = object(&account, who, &bucket, key);
            assert_eq!(status, 403, "{key}: {body}");
        }
        let (status, body) = object(&account, who, &bucket, "ca.json");
        assert_eq!(status, 200, "{body}");
    }
    // What the cluster believes is nobody else's to write, either.
    for key in [
        "private/authority.json",
        "keys.json",
        "key-usage.json",
        "private/session.json",
        "routes.json",
        "ca.json",
        "apis/x/head.json",
        "bundles/x",
        "audit/x",
    ] {
        let (status, body) = put_object(&account, &account.emulator.admin, &bucket, key);
        assert_eq!(status, 403, "{key}: {body}");
    }
}

fn bucket(account: &Account) -> String {
    let inventory = account.emulator.inventory();
    let (name, _) = inventory.of("bucket").next().expect("the cluster has a bucket");
    name.to_owned()
}

fn object(account: &Account, who: &Credentials, bucket: &str, key: &str) -> (u16, String) {
    by_curl(account, who, bucket, key, &[])
}

fn put_object(account: &Account, who: &Credentials, bucket: &str, key: &str) -> (u16, String) {
    by_curl(account, who, bucket, key, &["-X", "PUT", "--data-binary", "{}"])
}

/// As anybody could, by curl, which can sign.
fn by_curl(account: &Account, who: &Credentials, bucket: &str, key: &str, more: &[&str]) -> (u16, String) {
    let mut command = std::process::Command::new("curl");
    command
        .args(more)
        .args(["-s", "-w", "\n%{http_code}", "--aws-sigv4", "aws:amz:us-east-1:s3"])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(["-u", &format!("{}:{}", who.access_key_id, who.secret_access_key)]);
    if let Some(token) = &who.session_token {
        command.args(["-H", &format!("x-amz-security-token: {token}")]);
    }
    let output = command.arg(format!("{}/{bucket}/{key}", account.emulator.endpoint)).output().expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status comes last");
    (status.parse().expect("a status"), body.to_owned())
}

/// What refuses is JSON with a kind, whoever asks and however.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_json() {
    let account = cluster();
    let ca = account.run(&["cluster", "cert", "-c", "cluster.yaml"]).ok().stdout;
    let client = raw(&ca, Version::Http1);
    let operator = account.reached("8443");
    for authorization in
        [None, Some("Bearer x"), Some("Cortex-V1 x"), Some("Cortex-V1 e30"), Some("AWS4-HMAC-SHA256 x")]
    {
        let mut request = client.get(format!("{operator}/v1/info"));
        if let Some(authorization) = authorization {
            request = request.header(http::header::AUTHORIZATION, authorization);
        }
        let answer = Answer::of(request).await.expect("an answer");
        assert_eq!(answer.status, 401, "{authorization:?}: {answer:?}");
        let body = answer.json();
        assert!(body["kind"].is_string() && body["message"].is_string() && body["request_id"].is_string(), "{body}");
    }
    // Without TLS everybody is sent to where there is.
    let plain = account.reached("80").replace("https://localhost", "http://127.0.0.1");
    let anybody = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    let request =
        anybody.expect("a client").get(format!("{plain}/digits")).header(http::header::HOST, "models.example");
    let answer = Answer::of(request).await.expect("an answer");
    assert_eq!(answer.status, 308, "{answer:?}");
    assert_eq!(answer.headers["location"], "https://models.example/digits");
}

/// An operator that is not the one that was pinned gets no word out of the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_than_the_pinned_one_is_not_talked_to() {
    let account = cluster();
    let info = account.run(&["cluster", "info", "-c", "cluster.yaml", "-o", "json"]).ok().json();
    let endpoint = info["operator_endpoint"].as_str().expect("an endpoint").to_owned();
    let mut arguments = vec!["env", "configure", "aws", "--operator-endpoint", &endpoint, "--region", "us-east-1"];
    let rules = account.nodes().connect_to();
    for rule in &rules {
        arguments.extend(["--connect-to", rule]);
    }
    let wrong = "0".repeat(64);
    account
        .run(&[arguments.as_slice(), &["--ca-fingerprint", &wrong]].concat())
        .exits(4)
        .says("another certificate authority");
    // Nobody can be asked here, so nobody is trusted.
    account.run(&arguments).exits(10).says("--ca-fingerprint");
    let fingerprint = info["ca_fingerprint_sha256"].as_str().expect("a fingerprint").to_owned();
    account.run(&[arguments.as_slice(), &["--ca-fingerprint", &fingerprint]].concat()).ok();
    let ca = account.run(&["cluster", "cert", "-c", "cluster.yaml"]).ok().stdout;
    account.cortex.write("ca.pem", ca);
    account.run(&[arguments.as_slice(), &["--ca-file", "ca.pem"]].concat()).ok();
    // Somebody else's, well-formed.
    let local = testkit::Cluster::up();
    account.cortex.write("ca.pem", &local.ca);
    account.run(&[arguments.as_slice(), &["--ca-file", "ca.pem"]].concat()).ok().says("cannot be reached");
    account.run(&["get"]).exits(6);
}
