//! The commands around `up` and `down`: plan, update, info, health, export; and what of a cluster can be kept.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use testkit::{
    emulator::{Delays, Mode},
    eventually,
};

use super::{
    ground::{Account, PUBLIC},
    shapes::{making, same, sdk},
};

const PLAN: [&str; 8] =
    ["cluster", "plan", "-c", "cluster.yaml", "--node-binary", "/bin/true", "--onnxruntime", "/bin/true"];
const INFO: [&str; 4] = ["cluster", "info", "-c", "cluster.yaml"];

fn account() -> Account {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    account
}

#[test]
fn a_plan_is_shown_with_its_costs_and_changes_nothing() {
    let account = account();
    let before = account.emulator.inventory();
    let plan = account.run(&PLAN).ok().prints("+ vpc").prints("network load balancers").prints("not in it: ");
    // One t3.small, 10 GB gp3, one load balancer, three public addresses: by the day's table in the product.
    plan.prints("total            without workers").prints("43.36");
    let dry = account.run(
        &making(&["-c", "cluster.yaml"])
            .iter()
            .filter(|a| !["--yes", "--no-wait"].contains(*a))
            .copied()
            .chain(["--dry-run", "-o", "json"])
            .collect::<Vec<_>>(),
    );
    let dry: Value = serde_json::from_str(&dry.ok().stdout).expect("JSON");
    assert_eq!(dry["changes"], true);
    assert!(dry["plan"]["entries"].as_array().is_some_and(|entries| entries.len() > 30), "{dry:#}");
    assert!(
        dry["cost"]["per_month"]["min"].as_f64().is_some_and(|usd| (100.0..150.0).contains(&usd)),
        "{:#}",
        dry["cost"]
    );
    assert!(dry["checks"].as_array().is_some_and(|checks| checks.iter().all(|check| check["verdict"] != "refused")));
    same(&before, &account.emulator.inventory());
    account.make().ok();
    account.run(&PLAN).ok().prints("demo in us-east-1: nothing to do");
}

/// What AWS says counts, price by price, and is asked for once a week.
#[test]
fn prices_are_asked_for_and_kept() {
    let account = account();
    let attributes = json!({ "productFamily": "Load Balancer-Network", "regionCode": "us-east-1", "usagetype": "LoadBalancerUsage" });
    account.emulator.ask("prices", &json!({ "service": "AWSELB", "attributes": attributes, "usd": "1.25" }));
    let today = || account.run(&PLAN).ok().stdout;
    let shown = today();
    let row =
        |shown: &str| shown.lines().find(|line| line.contains("network load balancers")).unwrap_or_default().to_owned();
    assert!(row(&shown).contains("1.25 / hour") && row(&shown).contains("(AWS)"), "{shown}");
    assert!(shown.contains("0.0208 / hour") && shown.contains("(built in)"), "{shown}");
    let mark = account.emulator.mark();
    assert_eq!(row(&today()), row(&shown));
    let asked = account.emulator.calls_since(mark);
    let prices = asked.iter().filter(|call| call.action == "GetProducts").count();
    // Not for the load balancer, again for what nobody knew.
    assert_eq!(prices, 4, "{asked:#?}");
}

#[test]
fn a_plan_can_be_exported_as_terraform_has_it() {
    let account = account();
    let exported = account.run(&[PLAN.as_slice(), &["--export", "terraform-json"]].concat()).ok().stdout;
    let exported: Value = serde_json::from_str(&exported).expect("JSON");
    let resources = exported["resource"].as_object().expect("resources");
    for kind in
        ["aws_vpc", "aws_lb", "aws_lb_listener", "aws_launch_template", "aws_autoscaling_group", "aws_s3_bucket"]
    {
        assert!(resources.contains_key(kind), "{kind} is missing: {:?}", resources.keys());
    }
}

#[test]
fn update_is_for_clusters_that_are_there() {
    let account = account();
    let update = |more: &[&str]| {
        let arguments: Vec<&str> =
            making(more).into_iter().map(|word| if word == "up" { "update" } else { word }).collect();
        account.run(&arguments)
    };
    let before = account.emulator.inventory();
    update(&[]).exits(5).says("there is no cluster demo in us-east-1").says("`cortex cluster up` makes it");
    same(&before, &account.emulator.inventory());
    account.make().ok();
    account.configure(&PUBLIC.replace("max_instances: 2", "max_instances: 7"));
    update(&[]).ok().says("max: 2 -> 7").prints("cluster demo is up");
    update(&[]).ok().prints("nothing was changed");
    let alias = making(&[]).into_iter().map(|word| if word == "up" { "configure" } else { word }).collect::<Vec<_>>();
    account.run(&alias).ok().prints("nothing was changed");
}

#[test]
fn drift_is_what_somebody_else_has_changed() {
    let account = account();
    account.make().ok();
    let drift = [INFO.as_slice(), &["--drift"]].concat();
    account.run(&drift).ok().prints("drift: none").prints("US dollars an hour");
    let open = "
import boto3
ec2 = boto3.client('ec2')
group = ec2.describe_security_groups(Filters=[{'Name': 'tag:cortex.dev/resource', 'Values': ['security-group/workers']}])
ec2.authorize_security_group_ingress(GroupId=group['SecurityGroups'][0]['GroupId'],
    IpPermissions=[{'IpProtocol': 'tcp', 'FromPort': 22, 'ToPort': 22, 'IpRanges': [{'CidrIp': '0.0.0.0/0'}]}])
";
    sdk(&account.emulator, &["-c", open]);
    let shown = account.run(&drift).exits(8).prints("~ security-group/workers").prints("22");
    shown.says("the cluster is not as its last `up` left it").says("`cortex cluster up` with its file brings it back");
    // By name as well as by file, for what was wanted is kept in the bucket.
    let by_name = ["cluster", "info", "--name", "demo", "--region", "us-east-1", "--drift", "-o", "json"];
    let report: Value = serde_json::from_str(&account.run(&by_name).exits(8).stdout).expect("JSON");
    assert!(report["drift"]["plan"]["entries"].is_array(), "{report:#}");
    account.make().ok().prints("cluster demo is up");
    account.run(&drift).ok().prints("drift: none");
}

#[test]
fn bucket_and_logs_can_be_kept_and_gone_on_with() {
    let account = account();
    let before = account.emulator.inventory();
    account.make().ok();
    let down = ["cluster", "down", "-c", "cluster.yaml", "--yes", "--keep-aws-resources"];
    let kept = account.run(&down).ok().prints("kept: bucket cortex-demo-").stdout;
    assert!(kept.contains("log-group /cortex/demo"), "{kept}");
    let left = account.emulator.inventory().added_since(&before);
    let kinds: Vec<&str> = left.iter().filter_map(|one| one.split(' ').next()).collect();
    assert!(kinds.iter().all(|kind| ["bucket", "object", "log_group"].contains(kind)), "{left:#?}");
    assert!(kinds.contains(&"bucket") && kinds.contains(&"log_group"), "{left:#?}");
    account.make().ok().prints("cluster demo is up");
    account.down().ok().prints("nothing left");
    same(&before, &account.emulator.inventory());
}

#[test]
fn health_says_which_part_is_ill_and_the_exit_code_does_too() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    account.up().ok();
    let healthy = account.run(&["cluster", "health", "-c", "cluster.yaml"]).ok();
    for part in ["resources", "authority", "api port", "operator port", "control", "node/cpu"] {
        assert!(healthy.stdout.lines().any(|line| line.starts_with(part) && line.contains("healthy")), "{healthy}");
    }
    let instance = "
import boto3
ec2 = boto3.client('ec2')
found = ec2.describe_instances(Filters=[{'Name': 'tag:cortex.dev/resource', 'Values': ['instance/node/cpu']},
    {'Name': 'instance-state-name', 'Values': ['running']}])
ec2.terminate_instances(InstanceIds=[found['Reservations'][0]['Instances'][0]['InstanceId']])
";
    // Another one is started, and takes its time.
    account.emulator.set_delays(&Delays::none().with("instance_start", Duration::from_secs(3600)));
    sdk(&account.emulator, &["-c", instance]);
    let ill = account.run(&["cluster", "health", "-c", "cluster.yaml"]).exits(8);
    assert!(ill.stdout.lines().any(|line| line.starts_with("node/cpu") && line.contains("ILL")), "{ill}");
    ill.says("is not healthy: ").says("node/cpu");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deployed_can_be_exported_and_survives_a_down_that_keeps_it() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    account.deploy("digits").ok();
    account.run(&["cluster", "export", "-c", "cluster.yaml", "--to", "exported"]).ok().prints("digits");
    let exported = account.cortex.working_directory().join("exported/digits");
    let original = testkit::project::repository("examples/digits");
    let read = |path: std::path::PathBuf| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(read(exported.join("model.onnx")), read(original.join("model.onnx")));
    let file = exported.join("cortex.yaml");
    let file = file.to_str().expect("UTF-8");
    account.run(&["deploy", file]).ok().says("digits is deployed as it is");
    let again = account.run(&["cluster", "export", "-c", "cluster.yaml", "--to", "exported"]).exits(7);
    again.says("exported exists already: nothing was written");
    let unknown = account.run(&["cluster", "export", "-c", "cluster.yaml", "--to", "other", "nothing"]).exits(5);
    unknown.says("there is no API `nothing`");

    let fingerprint = |outcome: &testkit::Outcome| {
        let line = outcome.stdout.lines().find(|line| line.contains("ca sha256")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no fingerprint\n{outcome}"))
    };
    account.run(&["cluster", "down", "-c", "cluster.yaml", "--yes", "--keep-aws-resources"]).ok();
    let again = account.up().ok();
    assert_eq!(fingerprint(&again), fingerprint(&up), "its authority was kept");
    // Nobody deploys anything: what was wanted is still wanted.
    let services = "import boto3; print(boto3.client('ecs').list_services(cluster='cortex-demo')['serviceArns'])";
    eventually("the operator has digits run again", async || {
        let services = sdk(&account.emulator, &["-c", services]);
        services.contains("digits").then_some(()).ok_or(services)
    })
    .await;
}
