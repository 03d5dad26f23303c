//! What the cluster was made with is nowhere in it, and what it runs with is what it was told to.

use serde_json::{Value, json};
use testkit::emulator::{Credentials, Mode};

use super::ground::{Account, PUBLIC};

/// Everything: what AWS stores, what the nodes write, and the files on them.
fn is_nowhere(account: &Account, secrets: &[&str]) {
    let found = account.emulator.search(secrets);
    // The ids of keys are what IAM knows them by.
    let elsewhere: Vec<_> = found.iter().filter(|path| !path.starts_with("iam/")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    for (path, text) in account.nodes().logs() {
        for secret in secrets {
            assert!(!text.contains(secret), "{} has it", path.display());
        }
    }
    let mut command = std::process::Command::new("grep");
    command.args(["-rlaF"]);
    for secret in secrets {
        command.args(["-e", secret]);
    }
    let output = command.arg(account.nodes().directory()).output().expect("grep runs");
    let files = String::from_utf8_lossy(&output.stdout);
    assert!(files.is_empty(), "on the nodes:\n{files}");
}

/// After `up` the administrator who made the cluster can go, and the cluster goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_who_made_it_nothing_stays_in_the_cluster() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    let maker = account.emulator.create_administrator("maker");
    let up = account.run_of(&maker, &["cluster", "up", "--yes"]).ok();
    account.configure_environment_of(&maker, &up).ok();
    account.deploy("digits").ok();
    is_nowhere(&account, &[&maker.secret_access_key, &maker.access_key_id]);

    account.emulator.delete_key(&maker);
    account.deploy("digits-python").ok().prints("digits-python is live");
    account.run(&["delete", "digits"]).ok();
    account.down().ok().prints("nothing left");
}

/// `CORTEX_AWS_*`: the cluster runs with these keys, and its machines' own role is good for booting only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_keys_of_its_own_the_cluster_runs_with_those() {
    let account = Account::with_nodes(Mode::Strict);
    account.configure(PUBLIC);
    // What the control role would have, from a cluster without such keys: the documentation says to give that.
    account.make().ok();
    let policies = control_policies(&account);
    account.down().ok();
    let keys = account.emulator.create_user("cluster", &policies);

    let mut command = account.command(&["cluster", "up", "--yes"]);
    command.env("CORTEX_AWS_ACCESS_KEY_ID", &keys.access_key_id);
    command.env("CORTEX_AWS_SECRET_ACCESS_KEY", &keys.secret_access_key);
    let up = account.cortex.run_command(command).ok();
    let mark = account.emulator.mark();
    account.configure_environment(&up).ok();
    account.deploy("digits").ok().prints("digits is live");
    let role = |principal: &str| principal.contains(":assumed-role/cortex-demo-control-");
    let calls = account.emulator.calls_since(mark);
    let by_role: Vec<_> = calls.iter().filter(|call| role(&call.principal)).collect();
    assert!(by_role.is_empty(), "{by_role:#?}");
    let by_keys = calls.iter().filter(|call| call.access_key_id == keys.access_key_id);
    assert!(by_keys.filter(|call| call.service == "ecs" && call.mutating).count() > 0, "the keys made the service");
    only_in_their_object(&account, &keys);

    // One half of a pair is a mistake.
    let mut command = account.command(&["cluster", "up", "--yes"]);
    command.env("CORTEX_AWS_ACCESS_KEY_ID", &keys.access_key_id);
    account.cortex.run_command(command).exits(3).says("only one of");
    account.down().ok().prints("nothing left");
}

fn only_in_their_object(account: &Account, keys: &Credentials) {
    let found = account.emulator.search(&[&keys.secret_access_key]);
    let elsewhere: Vec<_> = found.iter().filter(|path| !path.contains("private/runtime/")).collect();
    assert!(!found.is_empty() && elsewhere.is_empty(), "{found:#?}");
}

/// The inline policies of the control role.
fn control_policies(account: &Account) -> Value {
    let inventory = account.emulator.inventory();
    let (_, facts) = inventory.of("role").find(|(name, _)| name.contains("demo-control")).expect("there is one");
    let policies = facts["inline"].clone();
    assert!(policies.is_object(), "{facts}");
    json!(policies)
}
