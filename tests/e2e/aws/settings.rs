//! Whose account, by which settings; and what is refused before anything is made.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use insta::assert_snapshot;
use testkit::{
    Outcome,
    emulator::{Credentials, Mode},
};

use super::{
    ground::{Account, PUBLIC},
    shapes::{administrator, making, same},
};

/// What the endpoint of each service is called in settings.
const SERVICES: [&str; 9] =
    ["AUTO_SCALING", "CLOUDWATCH_LOGS", "EC2", "ECS", "ELASTIC_LOAD_BALANCING_V2", "IAM", "S3", "SSM", "STS"];

/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn a_profile_is_enough() {
    let account = account();
    let admin = &account.emulator.admin;
    let config = account.cortex.write("aws/config", "[profile work]\nregion = eu-west-1\n");
    let keys = format!("[work]\naws_access_key_id = {}\n", admin.access_key_id);
    let keys = format!("{keys}aws_secret_access_key = {}\n", admin.secret_access_key);
    let credentials = account.cortex.write("aws/credentials", keys);
    let mut command = without_credentials(&account, &making(&[]));
    command.env("AWS_CONFIG_FILE", config).env("AWS_SHARED_CREDENTIALS_FILE", credentials);
    account.cortex.run_command(with(command, &[("AWS_PROFILE", "work")])).ok().prints("cluster demo is up");
}

#[test]
fn a_session_of_a_role_is_enough() {
    let account = account();
    let session = account.emulator.assume(&administrator(&account.emulator), "ci");
    assert!(session.session_token.is_some());
    account.run_of(&session, &making(&[])).ok().prints("cluster demo is up");
    account.run_of(&session, &["cluster", "down", "-c", "cluster.yaml", "--yes"]).ok().prints("nothing left");
}

#[test]
fn each_service_may_have_an_endpoint_of_its_own() {
    let account = account();
    let mut command = with(account.command(&making(&[])), &[("AWS_ENDPOINT_URL", NOBODY)]);
    for service in SERVICES {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), &account.emulator.endpoint);
    }
    account.cortex.run_command(command).ok().prints("cluster demo is up");
}

#[test]
fn the_region_of_the_file_counts_and_not_the_one_of_the_environment() {
    let account = account();
    let command = with(account.command(&making(&[])), &[("AWS_REGION", "eu-west-1")]);
    account.cortex.run_command(command).ok().prints("(us-east-1)").prints("elb.us-east-1.amazonaws.com");
    let inventory = account.emulator.inventory();
    let regions: Vec<_> =
        inventory.of("load_balancer").map(|(arn, _)| arn.split(':').nth(3).unwrap_or_default()).collect();
    assert_eq!(regions, ["us-east-1"]);
}

#[test]
fn the_keys_of_the_file_count_and_not_those_of_the_environment() {
    let account = account();
    let owner = account.emulator.create_administrator("owner");
    account.configure(&format!(
        "{PUBLIC}aws_access_key_id: {}\naws_secret_access_key: {}\n",
        owner.access_key_id, owner.secret_access_key
    ));
    let nobody = account.emulator.create_user("nobody", &serde_json::json!({}));
    let mark = account.emulator.mark();
    let up = account.run_of(&nobody, &making(&[])).ok().prints("cluster demo is up");
    let others: Vec<_> = account.emulator.calls_since(mark);
    let others: Vec<_> = others.iter().filter(|call| call.principal != owner.arn).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(!format!("{up}").contains(&owner.secret_access_key), "the secret is shown");
}

/// Each says in one sentence what is wrong, and then what to do.
#[test]
fn credentials_that_cannot_be_used_are_told_apart_and_nothing_is_made() {
    let account = account();
    let emulator = &account.emulator;
    let up = |who: &Credentials| account.run_of(who, &making(&[]));
    let before = emulator.inventory();

    let missing = account.cortex.run_command(without_credentials(&account, &making(&[])));
    let no_profile = with(without_credentials(&account, &making(&[])), &[("AWS_PROFILE", "work")]);
    let no_profile = account.cortex.run_command(no_profile);
    let wrong = up(&Credentials { secret_access_key: "wrong".repeat(8), ..emulator.admin.clone() });
    let unknown = up(&Credentials { access_key_id: "AKIAXXXXXXXXXXXXXXXX".to_owned(), ..emulator.admin.clone() });
    same(&before, &emulator.inventory());

    let user = emulator.create_administrator("left-the-company");
    emulator.deactivate_key(&user);
    let session = emulator.assume(&administrator(emulator), "yesterday");
    emulator.expire_credentials(&session);
    let nobody = emulator.create_user("nobody", &serde_json::json!({}));
    let before = emulator.inventory();
    let (inactive, expired, powerless) = (up(&user), up(&session), up(&nobody));
    same(&before, &emulator.inventory());

    let all = [
        ("missing", missing),
        ("of a profile that is not there", no_profile),
        ("with a wrong secret", wrong),
        ("of a key that nobody knows", unknown),
        ("of an inactive key", inactive),
        ("of a session that has ended", expired),
    ];
    let shown = all.map(|(what, outcome)| format!("credentials {what}\n{}", refusal(&account, outcome.exits(4))));
    assert_snapshot!(shown.join("\n"));
    // Several calls are made at once: which of them is refused first is not told beforehand.
    powerless.exits(4).says("error: these credentials may not do ").says("hint: ask the account's administrator");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_made_and_nothing_removed() {
    let account = account();
    let before = account.emulator.inventory();
    let without: Vec<_> = making(&[]).into_iter().filter(|word| *word != "--yes").collect();
    account.run(&without).exits(10).says("nobody can be asked").says("hint: --yes").says("+ vpc");
    same(&before, &account.emulator.inventory());

    account.make().ok();
    let before = account.emulator.inventory();
    account.run(&["cluster", "down", "-c", "cluster.yaml"]).exits(10).says("nobody can be asked").says("everything");
    same(&before, &account.emulator.inventory());
    // What changes nothing needs no answer.
    account.run(&without).ok().prints("nothing was changed");
}

#[test]
fn programs_get_one_document_whether_it_works_or_not() {
    let account = account();
    let json = ["-o", "json"];
    let up = account.run(&making(&json)).ok().json();
    assert_eq!((&up["cluster"], &up["region"], &up["changed"]), (&"demo".into(), &"us-east-1".into(), &true.into()));
    assert_eq!(account.run(&making(&json)).ok().json()["changed"], false);
    let info = account.run(&["cluster", "info", "-c", "cluster.yaml", "-o", "json"]).ok().json();
    assert_eq!((&info["api_endpoint"], &info["nodes"]["cpu"]), (&up["api_endpoint"], &info["nodes"]["cpu"]));

    let refused = account.cortex.run_command(without_credentials(&account, &making(&json))).exits(4);
    assert_eq!(refused.error_json()["error"]["kind"], "aws.no_credentials");
    assert!(refused.stdout.is_empty(), "{refused}");

    account.configure(&format!("{PUBLIC}vpc_cidr: 10.9.0.0/16\n"));
    let refused = account.run(&making(&json)).exits(7);
    assert_eq!(refused.error_json()["error"]["kind"], "cluster.change_refused");

    let down = ["cluster", "down", "-c", "cluster.yaml", "--yes", "-o", "json"];
    let down = account.run(&down).ok().json();
    assert!(down["removed"].as_u64() >= Some(30), "{down}");
    let gone = account.run(&["cluster", "info", "-c", "cluster.yaml", "-o", "json"]).exits(5);
    assert_eq!(gone.error_json()["error"]["kind"], "cluster.not_found");
}

#[test]
fn a_node_binary_that_nodes_cannot_run_is_refused_with_the_reason() {
    let account = account();
    let before = account.emulator.inventory();
    let script = account.cortex.write("cortex.sh", "#!/bin/sh\nexit 0\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let with_binary = |path: &str| {
        account.run(&["cluster", "up", "--yes", "--no-wait", "--onnxruntime", "/bin/true", "--node-binary", path])
    };
    with_binary("cortex.sh").exits(3).says("cortex.sh cannot run on the cluster's nodes").says("ELF").says("hint: ");
    let missing = with_binary("not-there");
    assert!(missing.code != 0 && missing.stderr.contains("not-there"), "{missing}");
    let missing = account.run(&["cluster", "up", "--yes", "--node-binary", "/bin/true", "--onnxruntime", "not-there"]);
    assert!(missing.code != 0 && missing.stderr.contains("not-there"), "{missing}");
    same(&before, &account.emulator.inventory());
}

#[test]
fn fields_that_do_nothing_yet_are_refused_and_not_left_out() {
    let account = account();
    let before = account.emulator.inventory();
    account.configure(&PUBLIC.replace("name: cpu,", "name: cpu, priority: 2,"));
    account.make().exits(3).says("priority").says("not supported yet").says("have the same priority");
    same(&before, &account.emulator.inventory());
}

/// Every one of them as a sentence that names what is written in the file.
#[test]
fn what_does_not_exist_in_the_account_is_named_and_nothing_is_made() {
    let account = account();
    let before = account.emulator.inventory();
    let subnets = "subnets:\n  - {availability_zone: us-east-1a, subnet_id: subnet-0123456789abcdef0}\n  \
                   - {availability_zone: us-east-1b, subnet_id: subnet-0123456789abcdef1}\n";
    let files = [
        ("instance type", PUBLIC.replace("m5.large", "m5.huge")),
        ("control plane", format!("{PUBLIC}control_plane: {{instance_type: t3.huge}}\n")),
        ("zone", format!("{PUBLIC}availability_zones: [us-east-1a, us-east-1z]\n")),
        ("zone without the instance type", format!("{PUBLIC}availability_zones: [us-east-1a, us-east-1e]\n")),
        ("subnets", format!("{PUBLIC}{subnets}")),
    ];
    let mut shown = Vec::new();
    for (what, yaml) in files {
        account.configure(&yaml);
        shown.push(format!("{what}\n{}", refusal(&account, account.make().exits(3))));
    }
    assert_snapshot!(shown.join("\n"));
    same(&before, &account.emulator.inventory());
}

fn account() -> Account {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    account
}

fn with(mut command: Command, variables: &[(&str, &str)]) -> Command {
    command.envs(variables.iter().copied());
    command
}

fn without_credentials(account: &Account, arguments: &[&str]) -> Command {
    let mut command = account.command(arguments);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command
}

/// What is said, without what differs from run to run.
fn refusal(account: &Account, outcome: Outcome) -> String {
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let address = account.emulator.endpoint.trim_start_matches("http://");
    outcome.snapshot().replace(address, "[EMULATOR]")
}
