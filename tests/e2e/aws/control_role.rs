//! The policy of control nodes (`docs/iam/control-node.json`): what the operator and the gateway do with it, they do with all of
//! it and nothing more, and without any one of its actions they say which.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{
    emulator::{Auth, Mode},
    process, project,
};

use super::{
    ground::{Account, PUBLIC},
    shapes::sample,
    survival::pid,
};

/// Not tried by anything that succeeds: what is left of an upload that broke off.
const NOT_CALLED: [&str; 1] = ["s3:AbortMultipartUpload"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_role_may_do_what_it_does_and_no_more() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    account.emulator.set_auth(Auth::Full);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    account.deploy("digits").ok().prints("digits is live");
    account.deploy("digits-python").ok().prints("digits-python is live");
    account.run(&["logs", "digits-python"]).ok();
    account.run(&["get"]).ok();
    account.run(&["delete", "digits-python"]).ok();
    account.run(&["delete", "digits"]).ok();
    // What is of no use any more goes in the operator's own time.
    let granted = granted(&account);
    testkit::eventually("everything is asked for", async || {
        let unused: Vec<_> = granted.difference(&asked(&account, true)).cloned().collect();
        let unused: Vec<_> = unused.into_iter().filter(|action| !NOT_CALLED.contains(&action.as_str())).collect();
        if unused.is_empty() { Ok(()) } else { Err(format!("{unused:?} are granted, and nothing calls them")) }
    })
    .await;
    assert_eq!(asked(&account, false), BTreeSet::new(), "was denied");
}

/// By the role of control nodes.
fn asked(account: &Account, allowed: bool) -> BTreeSet<String> {
    let role = |principal: &str| principal.contains(":assumed-role/cortex-demo-control-");
    let asked = account.emulator.asked_since(0).into_iter();
    asked.filter(|asked| role(&asked.principal) && asked.allowed == allowed).map(|asked| asked.action).collect()
}

/// The role's name and inline policies.
fn role(account: &Account) -> (String, Value) {
    let inventory = account.emulator.inventory();
    let (arn, facts) = inventory.of("role").find(|(name, _)| name.contains("demo-control")).expect("there is one");
    (arn.rsplit('/').next().unwrap_or(arn).to_owned(), facts["inline"].clone())
}

fn granted(account: &Account) -> BTreeSet<String> {
    let (_, policies) = role(account);
    let documents = policies.as_object().into_iter().flat_map(|documents| documents.values());
    let statements = documents.flat_map(|document| document["Statement"].as_array().into_iter().flatten());
    let actions = statements.flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
}

/// How many are taken out when not all are.
const SAMPLE: usize = 3;

fn without(policies: &Value, action: &str) -> Value {
    let mut policies = policies.clone();
    for document in policies.as_object_mut().into_iter().flat_map(|documents| documents.values_mut()) {
        let statements = document["Statement"].as_array_mut().expect("statements are a list");
        for statement in statements.iter_mut() {
            let actions = statement["Action"].as_array_mut().expect("actions are a list");
            actions.retain(|one| one != action);
        }
        statements.retain(|statement| statement["Action"] != json!([]));
    }
    policies
}

/// What an API goes through, whether or not it does: a version, another one, and its end. Returns all that was said to its
/// owner. What was there before under another name is of no use to it.
fn a_life(account: &Account, name: &str) -> String {
    let mut said = String::new();
    for version in ["one", "two"] {
        let file = project::python(&account.cortex, name, &project::echo(version), "");
        said += &account.run(&["deploy", &file, "--timeout", "20"]).stderr;
    }
    for command in ["logs", "delete"] {
        said += &account.run(&[command, name]).stderr;
    }
    said
}

/// Waits until the operator can be asked again; some actions it cannot even start without, and its log says so.
async fn reached_or_not(account: &Account) {
    for _ in 0..20 {
        // 6: it cannot be reached.
        if account.run(&["get"]).code != 6 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_of_its_actions_somebody_is_told_which() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    account.emulator.set_auth(Auth::Full);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    let (role, policies) = role(&account);
    let actions: Vec<String> =
        granted(&account).into_iter().filter(|action| !NOT_CALLED.contains(&action.as_str())).collect();
    for (number, action) in sample(&actions, SAMPLE).iter().enumerate() {
        let named = |text: &str| {
            let forms = [format!("needs {action}"), format!("need {action}")];
            let mut lines = text.lines();
            lines.find(|line| forms.iter().any(|form| line.contains(form))).map(str::to_owned)
        };
        let logged = || account.nodes().logs().into_values().collect::<String>();
        let before = logged();
        let before: BTreeSet<&str> = before.lines().collect();
        account.emulator.set_role_policies(&role, &without(&policies, action));
        // What the operator has been told before, it does not ask again.
        if let Some(operator) = pid(&account, "operator") {
            process::kill(operator);
        }
        reached_or_not(&account).await;
        let said = a_life(&account, &format!("echo-{number}"));
        // What is of no use any more goes in the operator's own time.
        let line = testkit::eventually(&format!("somebody is told that {action} is missing"), async || {
            let logged = logged();
            let new: Vec<&str> = logged.lines().filter(|line| !before.contains(line)).collect();
            let said = format!("{said}\n{}", new.join("\n"));
            named(&said).ok_or_else(|| said.lines().rev().take(5).collect::<Vec<_>>().join("\n"))
        })
        .await;
        println!("{action:<35} {line}");
        account.emulator.set_role_policies(&role, &policies);
        // With it everything goes on by itself.
        let file = project::python(&account.cortex, "echo", &project::echo(&number.to_string()), "");
        testkit::eventually("the cluster works again", async || {
            let outcome = account.run(&["deploy", &file, "--timeout", "30"]);
            if outcome.code == 0 { Ok(()) } else { Err(outcome.to_string()) }
        })
        .await;
    }
}
