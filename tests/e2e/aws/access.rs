//! `operator_access`: who may do what, changed while the cluster runs; and what is written down of it.

use serde_json::json;
use testkit::emulator::{Credentials, Mode};

use super::ground::{Account, PUBLIC};

const IAM: &str = "arn:aws:iam::123456789012";

fn rules(account: &Account, rules: &[(&str, &str)]) {
    let rules = rules.iter().map(|(principal, role)| format!("  - {{principal: '{IAM}:{principal}', role: {role}}}\n"));
    account.configure(&format!("{PUBLIC}operator_access:\n{}", rules.collect::<String>()));
}

fn update(account: &Account) {
    account.run(&["cluster", "update", "-c", "cluster.yaml", "--yes"]).ok();
}

#[track_caller]
fn denied(account: &Account, who: &Credentials, arguments: &[&str], words: &str) {
    account.run_of(who, arguments).exits(4).says(words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_says_who_may_do_what_and_a_change_holds_at_once() {
    let account = Account::with_nodes(Mode::Strict);
    let emulator = &account.emulator;
    let [ann, dev, bob] = ["ann", "dev-1", "bob"].map(|name| emulator.create_user(name, &json!({})));
    rules(&account, &[("user/ann", "admin"), ("user/dev-*", "deploy"), ("user/emulator-admin", "read")]);
    let up = account.up().ok().says("you (arn:aws:iam::123456789012:user/emulator-admin) will have the role Read");
    account.configure_environment_of(&ann, &up).ok();

    let file = testkit::project::repository("examples/digits/cortex.yaml");
    let deploy = ["deploy", file.to_str().expect("UTF-8")];
    account.run_of(&dev, &deploy).ok().prints("digits is live");
    account.run(&["get"]).ok().prints("digits");
    account.run(&deploy).exits(4).says("has the role Read, and this needs Deploy");
    denied(&account, &dev, &["api-key", "get"], "has the role Deploy, and this needs Admin");
    denied(&account, &bob, &["get"], "no rule of `operator_access`");
    account.run_of(&ann, &["api-key", "get"]).ok();

    // Somebody else comes by the same name.
    emulator.delete_user("ann");
    let ann = emulator.create_user("ann", &json!({}));
    denied(&account, &ann, &["get"], "was made anew");

    // Writing the rules anew lets her in; nothing is restarted for it.
    rules(&account, &[("user/ann", "admin"), ("user/bob", "read"), ("user/emulator-admin", "admin")]);
    update(&account);
    account.run_of(&ann, &["get"]).ok();
    account.run_of(&bob, &["get"]).ok();
    denied(&account, &dev, &["get"], "no rule of `operator_access`");
    let mark = emulator.mark();
    update(&account);
    let by_us = |call: &testkit::emulator::Call| call.access_key_id == emulator.admin.access_key_id;
    let again: Vec<_> = account.changes_since(mark).into_iter().filter(by_us).collect();
    assert!(again.is_empty(), "{again:#?}");

    let audit = account.run_of(&ann, &["audit", "--since", "1h", "-o", "json"]).ok();
    let events: Vec<serde_json::Value> =
        audit.stdout.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let deployed = events.iter().find(|event| event["path"] == "/v1/deploy" && event["status"] == 200);
    let deployed = deployed.unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(deployed["principal"]["name"], format!("{IAM}:user/dev-1"));
    assert!(events.iter().any(|event| event["outcome"] == "denied" && event["method"] == "GET"), "{audit}");
    account.run_of(&ann, &["audit", "--refused"]).ok().prints("denied, 403");
    denied(&account, &bob, &["audit"], "needs Admin");
}

#[test]
fn a_rule_that_can_let_nobody_in_is_refused_before_anything_is_made() {
    let account = Account::new(Mode::Strict);
    let mark = account.emulator.mark();
    rules(&account, &[("user/nobody-of-this-name", "admin")]);
    account.make().exits(3).says("which does not exist");
    account.configure(&format!(
        "{PUBLIC}operator_access: [{{principal: 'arn:aws:iam::210987654321:role/dev', role: admin}}]"
    ));
    account.make().exits(3).says("the cluster is of account 123456789012");
    account.configure(&format!("{PUBLIC}operator_access: [{{principal: '{IAM}:role/team/*', role: admin}}]"));
    account.make().exits(3).says("wildcard after a role's path");
    // A role's path belongs to its ARN: another one is another role.
    let trust = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    account.emulator.create_role("dev", &trust, &json!({}));
    rules(&account, &[("role/team/dev", "admin")]);
    account.make().exits(3).says("which does not exist");
    assert!(account.changes_since(mark).is_empty());
}
