//! The emulator's runner, and the emulator's own tests.

use std::{process::Command, time::Duration};

use serde_json::json;
use testkit::{
    emulator::{Auth, Delays, Emulator, Mode},
    process,
    project::repository,
};

#[test]
fn an_emulator_has_an_empty_account() {
    let emulator = Emulator::start(Mode::Strict, &Delays::aws(0.01));
    let inventory = emulator.inventory();
    // The default VPC is there, as in every account.
    assert_eq!((inventory.count("vpc"), inventory.count("instance"), inventory.count("bucket")), (1, 0, 0));
    assert_eq!(inventory.added_since(&emulator.inventory()).len(), 0);
    assert!(emulator.calls().is_empty());
    let environment = emulator.environment();
    assert!(environment.contains(&("AWS_ENDPOINT_URL".to_owned(), emulator.endpoint.clone())));
    assert!(!format!("{emulator:?}").contains(&emulator.admin.secret_access_key));
    let pid = emulator.pid();
    drop(emulator);
    assert!(!process::is_alive(pid));
}

#[test]
fn identities_are_made_and_unmade() {
    let emulator = Emulator::start(Mode::Plain, &Delays::none());
    let alice = emulator.create_user("alice", &json!({}));
    assert_eq!(alice.arn, format!("arn:aws:iam::{}:user/alice", emulator.account));
    let trust = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    let role = emulator.create_role("node", &trust, &json!({}));
    let session = emulator.assume_as_service(&role, "session", "ec2.amazonaws.com", Duration::from_secs(900));
    assert!(session.session_token.is_some());
    emulator.expire_credentials(&session);
    emulator.deactivate_key(&alice);
    emulator.set_auth(Auth::Full);
    emulator.set_delays(&Delays::none().with("nat_create", Duration::from_secs(1)));
    emulator.advance(Duration::from_secs(2));
    assert_eq!(emulator.inventory().count("user"), 2);
    assert!(emulator.search(&["no such text anywhere"]).is_empty());
}

/// Each rule has a test there that fails without it.
#[test]
fn the_emulators_own_tests() {
    let directory = repository("crates/testkit/emulator/tests");
    let mut python = Command::new(testkit::emulator::python());
    let output = python.args(["-m", "unittest"]).current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = output.expect("the environment has a Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
