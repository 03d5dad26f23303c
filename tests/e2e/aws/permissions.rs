//! The policies of `docs/iam`: with exactly these a cluster comes, changes and goes; without any one of their actions the step
//! that needs it says so; and none of them is for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};
use testkit::{
    Outcome,
    emulator::{Auth, Credentials, Mode},
    project::repository,
};

use super::{
    ground::{Account, PUBLIC},
    shapes::{HIGHLY_AVAILABLE, IMPORTED, INTERNAL, making, sample, sdk},
};

const DOCUMENTS: [&str; 3] = ["create-network", "create-storage", "create-nodes"];

/// Somebody who may make clusters, and nothing else.
struct Maker {
    account: Account,
    keys: Credentials,
    /// Everything, by the name of the document.
    documents: BTreeMap<&'static str, Value>,
}

impl Maker {
    /// Who may do nothing yet.
    fn of(account: Account) -> Self {
        let keys = account.emulator.create_user("maker", &json!({}));
        account.emulator.set_auth(Auth::Full);
        let documents = DOCUMENTS.map(|name| (name, document(&account, name))).into();
        Self { account, keys, documents }
    }

    /// May do what the documents say, as far as it is among these actions.
    fn allow(&self, allowed: impl Fn(&str) -> bool) {
        let mut policies = self.documents.clone();
        for document in policies.values_mut() {
            let statements = document["Statement"].as_array_mut().expect("statements are a list");
            for statement in statements.iter_mut() {
                statement["Action"] =
                    texts(&statement["Action"]).into_iter().filter(|action| allowed(action)).collect();
            }
            statements.retain(|statement| !texts(&statement["Action"]).is_empty());
        }
        policies.retain(|_, document| document["Statement"] != json!([]));
        self.account.emulator.set_policies("maker", &json!(policies));
    }

    fn actions(&self) -> BTreeSet<String> {
        let statements =
            self.documents.values().flat_map(|document| document["Statement"].as_array().into_iter().flatten());
        statements.flat_map(|statement| texts(&statement["Action"])).collect()
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.account.run_of(&self.keys, arguments)
    }

    fn mark(&self) -> u64 {
        self.account.emulator.asked_since(0).last().map_or(0, |asked| asked.number)
    }

    /// The actions that were asked for after a mark, and whether they were allowed, with one of the resources.
    fn asked(&self, mark: u64, allowed: bool) -> BTreeMap<String, String> {
        let asked = self.account.emulator.asked_since(mark).into_iter();
        let mine = asked.filter(|asked| asked.principal == self.keys.arn && asked.allowed == allowed);
        mine.map(|asked| (asked.action, asked.resource)).collect()
    }
}

/// A page of `docs/iam` with what its README says to put in.
fn document(account: &Account, name: &str) -> Value {
    let path = repository(&format!("docs/iam/{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (number, region) = (&account.emulator.account, &account.emulator.region);
    let bucket = format!("cortex-demo-{number}-{region}-*");
    let values = [
        ("${PARTITION}", "aws"),
        ("${ACCOUNT_ID}", number),
        ("${REGION}", region),
        ("${CLUSTER}", "demo"),
        ("${BUCKET}", &bucket),
    ];
    let text = values.iter().fold(text, |text, (placeholder, value)| text.replace(placeholder, value));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn texts(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    value.as_array().map_or_else(|| one(value).into_iter().collect(), |all| all.iter().filter_map(one).collect())
}

/// Only for checks before anything is made: whoever lacks them goes without the check. They stay out here, for one of them
/// would say beforehand what is missing, and here each step has to.
const CHECKS: [&str; 7] = [
    "acm:DescribeCertificate",
    "ec2:DescribeInstanceTypes",
    "ecs:DescribeContainerInstances",
    "iam:GetPolicy",
    "iam:SimulatePrincipalPolicy",
    "pricing:GetProducts",
    "servicequotas:ListServiceQuotas",
];

/// For instances that ECS does not know to be gone yet; the emulator's knows at once.
const NOT_CALLED: [&str; 1] = ["ecs:DeregisterContainerInstance"];

/// How many are taken out of the policies when not all are.
const SAMPLE: usize = 6;

/// Who learns by being refused what a cluster takes.
struct Apprentice {
    maker: Maker,
    /// Left out of the policies until a denial has named them.
    missing: BTreeSet<String>,
    /// What was said of each.
    said: BTreeMap<String, String>,
}

impl Apprentice {
    fn allowed(&self, action: &str) -> bool {
        !CHECKS.contains(&action) && (!self.missing.contains(action) || self.said.contains_key(action))
    }

    fn unsaid(&self) -> Vec<&String> {
        self.missing.iter().filter(|action| !self.said.contains_key(*action)).collect()
    }

    /// Runs the command again and again, each time with what the last denials have named, until it succeeds.
    fn run(&mut self, arguments: &[&str]) -> Outcome {
        loop {
            self.maker.allow(|action| self.allowed(action));
            let mark = self.maker.mark();
            let outcome = self.maker.run(arguments);
            let mut denied = self.maker.asked(mark, false);
            denied.retain(|action, _| !CHECKS.contains(&action.as_str()));
            if outcome.code == 0 {
                for (action, resource) in denied {
                    let line = outcome.stderr.lines().find(|line| line.contains(&action));
                    let line = line.unwrap_or_else(|| panic!("{action} on {resource}: nobody was told\n{outcome}"));
                    assert!(
                        !self.allowed(&action),
                        "{action} on {resource} was denied, though it is allowed\n{outcome}"
                    );
                    self.said.insert(action, line.to_owned());
                }
                return outcome;
            }
            let before = self.said.len();
            for (action, resource) in denied {
                assert!(self.maker.actions().contains(&action), "{action} on {resource} is in no policy\n{outcome}");
                assert!(!self.allowed(&action), "{action} on {resource} was denied, though it is allowed\n{outcome}");
                // Several calls are made at once; where the first refusal ends the command, only that one is told of.
                if let Some(line) = said_of(&action, &outcome) {
                    self.said.insert(action, line);
                }
            }
            assert!(self.said.len() > before, "nobody was told what was denied\n{outcome}");
            assert!(outcome.stderr.contains("docs/iam"), "nobody was told where permissions are\n{outcome}");
        }
    }
}

/// The line that tells which step failed for want of this; of a command that ends at once, the error.
fn said_of(action: &str, outcome: &Outcome) -> Option<String> {
    let lines = || outcome.stderr.lines().filter(|line| line.contains(action));
    let step = lines().find(|line| line.starts_with("failed: ") || line.starts_with("left: "));
    // What lies in the bucket is no step: then it is the lease, or what the cluster says of itself.
    let forms = [format!("{action} (needed to "), format!("the credentials need {action}")];
    let named = lines().any(|line| line.starts_with("error: ") && forms.iter().any(|form| line.contains(form)));
    if named { step.or_else(|| lines().next()).map(str::to_owned) } else { None }
}

/// A whole life of a cluster: it is made, changed, repaired after others have been at it, and removed with what it grew. Every
/// action that is missing from the policies is named by the step that needs it, and with it the same command goes on; at the
/// end every action has been asked for.
#[test]
fn a_cluster_takes_these_permissions_and_says_which_are_missing() {
    let maker = Maker::of(Account::new(Mode::Strict));
    let left_out = |action: &str| CHECKS.contains(&action) || NOT_CALLED.contains(&action);
    let actions: Vec<_> = maker.actions().into_iter().filter(|action| !left_out(action)).collect();
    let missing = sample(&actions, SAMPLE).into_iter().collect();
    let anybody = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    maker.account.emulator.create_role("team", &anybody, &json!({}));
    let mut apprentice = Apprentice { maker, missing, said: BTreeMap::new() };
    // After a bucket was made halfway, the next `up` writes only what AWS has not set by itself: that takes another life.
    let mut left = usize::MAX;
    while apprentice.unsaid().len() < left {
        left = apprentice.unsaid().len();
        whole_life(&mut apprentice);
        if apprentice.unsaid().is_empty() {
            break;
        }
    }

    for (action, line) in &apprentice.said {
        println!("{action:<55} {line}");
    }
    let unsaid = apprentice.unsaid();
    assert!(unsaid.is_empty(), "{unsaid:?} were not missed");
    // What was refused was asked for as well; the next run may have found it settled.
    let mut called = apprentice.maker.asked(0, true);
    called.extend(apprentice.maker.asked(0, false));
    let unused: Vec<_> = actions.into_iter().filter(|action| !called.contains_key(action)).collect();
    assert!(unused.is_empty(), "{unused:?} are in the policies, and nothing calls them");
}

fn whole_life(apprentice: &mut Apprentice) {
    let configure = |apprentice: &Apprentice, yaml: &str| apprentice.maker.account.configure(yaml);
    let drift = repository("tests/e2e/aws/drift.py");
    let others = |apprentice: &Apprentice, step: &[&str]| {
        let arguments = [&[drift.to_str().expect("UTF-8"), "demo"], step].concat();
        sdk(&apprentice.maker.account.emulator, &arguments);
    };
    configure(apprentice, HIGHLY_AVAILABLE);
    apprentice.run(&making(&[])).prints("cluster demo ");
    apprentice.run(&making(&[])).prints("nothing was changed");

    let changed = HIGHLY_AVAILABLE.replace("203.0.113.0/24", "203.0.113.0/25").replace("research", "operations");
    let group = "  - {name: more, instance_type: m5.large, min_instances: 1, max_instances: 2}";
    let policy = "iam_policy_arns: ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']";
    let access = "operator_access:\n  - {principal: 'arn:aws:iam::123456789012:user/maker', role: admin}\n  \
                  - {principal: 'arn:aws:iam::123456789012:role/team', role: read}";
    configure(apprentice, &format!("{changed}{group}\nlog_retention_days: 30\n{policy}\n{access}\n"));
    apprentice.run(&making(&[])).prints("cluster demo ");

    others(apprentice, &[]);
    apprentice.run(&making(&[])).prints("cluster demo ");
    apprentice.run(&making(&[])).prints("nothing was changed");
    others(apprentice, &["clean"]);
    others(apprentice, &["grow"]);
    apprentice.run(&["cluster", "info", "-c", "cluster.yaml"]);
    let down = ["cluster", "down", "--name", "demo", "--region", "us-east-1", "--yes"];
    apprentice.run(&down).prints("nothing left");
    // Of what is not there the bucket could have any name.
    apprentice.run(&down).prints("there is no cluster demo");
}

/// By everything that the documents say, as it is written there.
fn comes_and_goes(account: Account, yaml: &str) {
    let maker = Maker::of(account);
    maker.account.configure(yaml);
    maker.allow(|_| true);
    maker.run(&making(&[])).ok().prints("cluster demo is up");
    maker.run(&making(&[])).ok().prints("nothing was changed");
    maker.run(&["cluster", "info", "-c", "cluster.yaml"]).ok();
    maker.run(&["cluster", "down", "-c", "cluster.yaml", "--yes"]).ok().prints("nothing left");
    assert_eq!(maker.asked(0, false), BTreeMap::new());
}

#[test]
fn they_are_enough_for_an_internal_cluster_with_two_load_balancers() {
    comes_and_goes(Account::new(Mode::Strict), INTERNAL);
}

#[test]
fn they_are_enough_in_a_network_that_is_there() {
    let account = Account::new(Mode::Strict);
    let made = sdk(&account.emulator, &["-c", BROUGHT]);
    let [one, two] = made.split_whitespace().collect::<Vec<_>>()[..] else { panic!("two subnets: {made}") };
    let subnets = format!(
        "subnets:\n  - {{availability_zone: us-east-1a, subnet_id: {one}}}\n  \
         - {{availability_zone: us-east-1b, subnet_id: {two}}}\n"
    );
    comes_and_goes(account, &format!("{PUBLIC}{subnets}"));
}

/// Two public subnets with a way out.
const BROUGHT: &str = r#"
import boto3
ec2 = boto3.client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
for number, zone in enumerate("ab"):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
    print(subnet["Subnet"]["SubnetId"])
"#;

#[test]
fn they_are_enough_with_a_certificate_of_acm() {
    let account = Account::new(Mode::Strict);
    let arn = sdk(&account.emulator, &["-c", IMPORTED]);
    comes_and_goes(account, &format!("{PUBLIC}ssl_certificate_arn: {}\n", arn.trim()));
}

#[test]
fn they_are_enough_with_keys_that_the_cluster_runs_with() {
    let account = Account::new(Mode::Strict);
    let keys = account.emulator.create_user("cluster", &json!({}));
    let keys = format!(
        "cortex_aws_access_key_id: {}\ncortex_aws_secret_access_key: {}\n",
        keys.access_key_id, keys.secret_access_key
    );
    comes_and_goes(account, &format!("{PUBLIC}{keys}"));
}

/// With nodes that boot: `up` waits for them, and `cert` has what the first of them made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_enough_until_the_cluster_works() {
    let maker = Maker::of(Account::with_nodes(Mode::Strict));
    maker.account.configure(PUBLIC);
    maker.allow(|_| true);
    maker.run(&["cluster", "up", "-c", "cluster.yaml", "--yes"]).ok().prints("next: cortex env configure");
    maker.run(&["cluster", "cert", "-c", "cluster.yaml"]).ok().prints("BEGIN CERTIFICATE");
    maker.run(&["cluster", "health", "-c", "cluster.yaml"]).prints("node/cpu");
    maker.run(&["cluster", "info", "-c", "cluster.yaml"]).ok();
    maker.run(&["cluster", "down", "-c", "cluster.yaml", "--yes"]).ok().prints("nothing left");
    assert_eq!(maker.asked(0, false), BTreeMap::new());
}
