//! `cluster up`, `env configure aws`, `deploy`, a prediction, `cluster down`.

use testkit::{Version, emulator::Mode};

use super::ground::{Account, PUBLIC};
use crate::digits::{agree, all_images, expected};

/// With every rule of AWS that we know of, and every permission checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_behind_a_private_endpoint_and_nothing_left_behind() {
    let account = Account::with_nodes(Mode::Strict);
    let before = account.emulator.inventory();
    account.configure(PUBLIC);
    let up = account.up().ok().prints("cluster demo is up").prints("ca sha256");

    let mark = account.emulator.mark();
    account.up().ok().prints("nothing was changed");
    // The nodes go on with their own work meanwhile.
    let admin = &account.emulator.admin.access_key_id;
    let changes: Vec<_> = account.changes_since(mark).into_iter().filter(|call| call.access_key_id == *admin).collect();
    assert!(changes.is_empty(), "{changes:#?}");

    account.configure_environment(&up).ok().prints("environment aws, the default: cluster demo");
    account.deploy("digits").ok().prints("digits is live");
    account.deploy("digits-python").ok().prints("digits-python is live");
    let expected = expected();
    agree(&all_images(&account.client(Version::Http2), "/digits").await, &expected);
    agree(&all_images(&account.client(Version::Http1), "/digits-python").await, &expected);
    account.run(&["logs", "digits"]).ok().prints("ready");

    account.run(&["cluster", "info", "-c", "cluster.yaml"]).ok().prints("configure: cortex env configure aws");
    account.down().ok().prints("nothing left").says("environment aws forgotten");
    let left = account.emulator.inventory().added_since(&before);
    assert!(left.is_empty(), "{left:#?}");
    account.down().ok().prints("there is no cluster demo");
}

/// Without the rules that are of our own making, and by name and region instead of a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_an_emulator_with_nothing_but_its_bugs_fixed() {
    let account = Account::with_nodes(Mode::Plain);
    let before = account.emulator.inventory();
    account.configure(PUBLIC);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    account.deploy("digits").ok();
    let sample = testkit::project::repository("examples/digits/sample.json");
    let sample = sample.to_str().expect("UTF-8");
    let answer = account.run(&["predict", "digits", sample]).ok().json();
    assert_eq!(answer["label"], serde_json::json!([8]));
    account.run(&["cluster", "down", "--name", "demo", "--region", "us-east-1", "--yes"]).ok().prints("nothing left");
    let left = account.emulator.inventory().added_since(&before);
    assert!(left.is_empty(), "{left:#?}");
}
