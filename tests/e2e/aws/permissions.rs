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
    shapes::{HIGHLY_AVAILABLE, making, sdk},
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

/// Runs the command again and again, each time with what was denied and nothing more, until it succeeds. Adds what was
/// learnt, with what was said.
fn learn(maker: &Maker, arguments: &[&str], learnt: &mut BTreeMap<String, String>) {
    loop {
        maker.allow(|action| learnt.contains_key(action));
        let mark = maker.mark();
        let outcome = maker.run(arguments);
        let denied = maker.asked(mark, false);
        if outcome.code == 0 {
            assert!(denied.is_empty(), "{denied:?} was denied, and nobody was told\n{outcome}");
            return;
        }
        let mut told = 0;
        for (action, resource) in denied {
            assert!(maker.actions().contains(&action), "{action} on {resource} is in no policy\n{outcome}");
            let again = learnt.contains_key(&action);
            assert!(!again, "{action} on {resource} was denied, though it is allowed\n{outcome}");
            // Several calls are made at once, and only the first that is refused is told of.
            if let Some(line) = outcome.stderr.lines().find(|line| line.contains(&action)) {
                learnt.insert(action, line.to_owned());
                told += 1;
            }
        }
        assert!(told > 0, "nobody was told what was denied\n{outcome}");
    }
}

/// Nobody tries it: each with the reason.
const NEVER_CALLED: [(&str, &str); 0] = [];

/// What others did to the cluster is taken back, whatever it was; and what the cluster grew goes with it.
#[test]
fn with_exactly_these_permissions_a_cluster_comes_changes_and_goes_and_none_is_for_nothing() {
    let maker = Maker::of(Account::new(Mode::Strict));
    let account = &maker.account;
    account.configure(HIGHLY_AVAILABLE);
    maker.allow(|_| true);
    maker.run(&making(&[])).ok().prints("cluster demo is up");
    maker.run(&making(&[])).ok().prints("nothing was changed");

    let larger = "  - {name: more, instance_type: m5.large, min_instances: 1, max_instances: 2}\n";
    let changed = HIGHLY_AVAILABLE.replace("203.0.113.0/24", "203.0.113.0/25").replace("research", "operations");
    account.configure(&format!("{changed}{larger}log_retention_days: 30\n"));
    maker.run(&making(&[])).ok().prints("cluster demo is up");

    let drift = repository("tests/e2e/aws/drift.py");
    let drift = drift.to_str().expect("UTF-8");
    sdk(&account.emulator, &[drift, "demo"]);
    maker.run(&making(&[])).ok().prints("cluster demo is up");
    maker.run(&making(&[])).ok().prints("nothing was changed");
    maker.run(&["cluster", "info", "-c", "cluster.yaml"]).ok();
    sdk(&account.emulator, &[drift, "demo", "clean"]);
    maker.run(&["cluster", "down", "--name", "demo", "--region", "us-east-1", "--yes"]).ok().prints("nothing left");

    let called = maker.asked(0, true);
    let unused: Vec<_> = maker.actions().into_iter().filter(|action| !called.contains_key(action)).collect();
    assert_eq!(unused, NEVER_CALLED.map(|(action, _)| action), "are in the policies, and nothing calls them");
}

#[test]
fn whoever_may_nothing_is_told_action_by_action_what_a_cluster_takes() {
    let maker = Maker::of(Account::new(Mode::Strict));
    maker.account.configure(PUBLIC);
    let mut learnt = BTreeMap::new();
    learn(&maker, &making(&[]), &mut learnt);
    learn(&maker, &["cluster", "info", "-c", "cluster.yaml"], &mut learnt);
    learn(&maker, &["cluster", "down", "-c", "cluster.yaml", "--yes"], &mut learnt);
    for (action, said) in &learnt {
        println!("{action:<55} {said}");
    }
}
