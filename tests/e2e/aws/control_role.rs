//! The policy of control nodes (`docs/iam/control-node.json`): what the operator and the gateway do with it, they do with all of
//! it and nothing more.

use std::collections::BTreeSet;

use testkit::emulator::{Auth, Mode};

use super::ground::{Account, PUBLIC};

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

/// By the role's inline policies.
fn granted(account: &Account) -> BTreeSet<String> {
    let inventory = account.emulator.inventory();
    let (_, facts) = inventory.of("role").find(|(name, _)| name.contains("demo-control")).expect("there is one");
    let documents = facts["inline"].as_object().into_iter().flat_map(|documents| documents.values());
    let statements = documents.flat_map(|document| document["Statement"].as_array().into_iter().flatten());
    let actions = statements.flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
}
