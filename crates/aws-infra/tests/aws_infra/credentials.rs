//! What the environment says, and what is told when it says nothing useful.

use std::{env, fs, process::Command};

use aws_infra::{Clients, load};
use testkit::emulator::{Delays, Emulator, Mode};

/// Runs in a process of its own, with the environment that a test gives it.
#[tokio::test]
#[ignore = "only by the tests below"]
async fn child() {
    let region = env::var("TEST_REGION").ok();
    match load(region.as_deref(), None).await {
        Err(error) => println!("ANSWER {error} | {}", error.hint()),
        Ok(config) => match Clients::new(&config).caller().await {
            Ok(caller) => println!("ANSWER {} in {}", caller.arn, config.region().unwrap()),
            Err(error) => println!("ANSWER {error} | {}", error.hint()),
        },
    }
}

fn answer(variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "--nocapture", "credentials::child"]);
    child.env_clear().env("HOME", "/nonexistent").env("AWS_EC2_METADATA_DISABLED", "true");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = text.lines().find_map(|line| line.split_once("ANSWER ").map(|(_, answer)| answer.to_owned()));
    answer.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let told = answer(&[("TEST_REGION", "us-east-1")]);
    assert!(told.starts_with("there are no AWS credentials | set AWS_ACCESS_KEY_ID"), "{told}");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let told = answer(&keys);
    assert!(told.starts_with("no AWS region is set | "), "{told}");
    let told = answer(&[("TEST_REGION", "us-east-1"), ("AWS_PROFILE", "nobody")]);
    assert!(told.contains("nobody"), "{told}");
    let told = answer(&[("TEST_REGION", "us-east-1"), ("AWS_CA_BUNDLE", "/nonexistent/ca.pem")]);
    assert!(told.contains("`/nonexistent/ca.pem`"), "{told}");
}

#[test]
fn standard_settings_are_followed() {
    let emulator = Emulator::start(Mode::Strict, &Delays::none());
    let url = ("AWS_ENDPOINT_URL", emulator.endpoint.as_str());
    let (id, secret) = (emulator.admin.access_key_id.as_str(), emulator.admin.secret_access_key.as_str());
    let keys = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
    let told = answer(&[url, keys[0], keys[1], ("AWS_REGION", "us-west-2")]);
    assert_eq!(told, format!("{} in us-west-2", emulator.admin.arn));
    // What is written in cluster.yaml comes first.
    let told = answer(&[url, keys[0], keys[1], ("AWS_REGION", "us-west-2"), ("TEST_REGION", "us-east-1")]);
    assert_eq!(told, format!("{} in us-east-1", emulator.admin.arn));

    let directory = tempfile::tempdir().unwrap();
    let (config, credentials) = (directory.path().join("config"), directory.path().join("credentials"));
    fs::write(&config, format!("[profile work]\nregion = eu-west-1\nendpoint_url = {}\n", emulator.endpoint)).unwrap();
    fs::write(&credentials, format!("[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")).unwrap();
    let files = [
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_PROFILE", "work"),
    ];
    assert_eq!(answer(&files), format!("{} in eu-west-1", emulator.admin.arn));

    let told = answer(&[url, keys[0], ("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_REGION", "us-east-1")]);
    assert!(told.starts_with("AWS does not accept the credentials | "), "{told}");
}
