//! Certificates for APIs that are not of the cluster's authority.

use std::{net::SocketAddr, path::Path};

use insta::assert_snapshot;
use serde_json::json;
use testkit::{
    Cortex, Https, Load, Outcome, Version,
    emulator::Mode,
    eventually,
    pki::{self, Issued, Pki},
    project,
};

use super::{
    ground::{Account, PUBLIC},
    shapes::{IMPORTED, sdk},
};

const NAME: &str = "models.example.test";
const FILES: &str = "ssl_certificate_path: tls/chain.pem\nssl_private_key_path: tls/key.pem\n";

/// The files lie beside `cluster.yaml`, which is not in the working directory.
fn write(cortex: &Cortex, issued: &Issued) {
    cortex.write("conf/tls/chain.pem", issued.chain());
    cortex.write("conf/tls/key.pem", &issued.key);
}

fn up(account: &Account) -> Outcome {
    account.run(&["cluster", "up", "-c", "conf/cluster.yaml", "--yes"])
}

/// Where port 443 of the load balancer is reached.
fn address(account: &Account) -> SocketAddr {
    account.reached("443").replace("https://localhost", "127.0.0.1").parse().expect("an address")
}

async fn is_shown(account: &Account, leaf: &str) {
    let address = address(account).to_string();
    eventually("the gateway shows it", async || match pki::shown(&address, NAME).await {
        shown if shown == pki::fingerprint(leaf) => Ok(()),
        other => Err(other),
    })
    .await;
}

/// In its object and nowhere else: not in what AWS stores, not in logs, not on the nodes' disks.
fn only_in_its_object(account: &Account, issued: &Issued) {
    let found = account.emulator.search(&[issued.needle()]);
    let elsewhere = found.iter().filter(|path| !path.contains("private/certificate/")).count();
    assert!(!found.is_empty() && elsewhere == 0, "{found:#?}");
    nowhere_on_nodes(account, issued);
}

fn nowhere_on_nodes(account: &Account, issued: &Issued) {
    let mut grep = std::process::Command::new("grep");
    let output = grep.args(["-rlaF", issued.needle()]).arg(account.nodes().directory()).output().expect("grep runs");
    let files = String::from_utf8_lossy(&output.stdout);
    assert!(files.is_empty(), "on the nodes:\n{files}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_verify_the_users_certificate_and_its_successor_loses_no_request() {
    let pki = Pki::new();
    let account = Account::with_nodes(Mode::Strict);
    let before = account.emulator.inventory();
    let first = pki.issue(&[NAME, "*.models.example.test"], 90);
    write(&account.cortex, &first);
    account.cortex.write("conf/cluster.yaml", format!("{PUBLIC}{FILES}"));
    let made = up(&account).ok().prints(&format!("point {NAME} at ")).prints("valid until");
    assert!(!made.stderr.contains("expires"), "{made}");
    account.configure_environment(&made).ok();
    let project = project::python(&account.cortex, "echo", &project::echo("one"), "");
    account.run(&["deploy", &project]).ok().prints("echo is live");
    only_in_its_object(&account, &first);

    // Programs by the user's name and authority; our own command by the endpoint's name and the cluster's authority.
    let key = account.run(&["api-key", "get"]).ok().stdout;
    let clients: Vec<Https> = [Version::Http1, Version::Http2]
        .map(|version| Https::at(NAME, address(&account), &pki.root, key.trim(), version))
        .into();
    for client in &clients {
        assert_eq!(client.predict("/echo", &json!("hello")).await["echo"], "hello");
    }
    account.cortex.write("hello.json", "\"hello\"");
    account.run(&["predict", "echo", "hello.json"]).ok().prints("hello");
    let stranger = Https::at(NAME, address(&account), &Pki::new().root, key.trim(), Version::Http1);
    assert!(stranger.try_post("/echo", &json!(1)).await.is_err(), "another authority was believed");
    account.run(&["cluster", "info", "-c", "conf/cluster.yaml"]).ok().prints(&format!("point {NAME} at "));
    up(&account).ok().prints("nothing was changed");

    let load = Load::start(&clients, "/echo", &json!("hello"), 4, std::time::Duration::from_millis(10));
    let second = pki.issue(&[NAME], 20);
    write(&account.cortex, &second);
    up(&account).ok().says("warning: ").says("expires on").prints("is up");
    is_shown(&account, &second.leaf).await;
    load.more(20).await;
    load.stop().await.flawless();
    only_in_its_object(&account, &second);
    assert_eq!(account.emulator.search(&[first.needle()]), Vec::<String>::new(), "the old key is still there");

    // Back to the cluster's own.
    account.cortex.write("conf/cluster.yaml", PUBLIC);
    up(&account).ok();
    let address = address(&account).to_string();
    let cluster = account.run(&["cluster", "cert", "-c", "conf/cluster.yaml"]).ok().stdout;
    eventually("the cluster's own is shown", async || {
        let client = Https::at("localhost", address.parse().expect("an address"), &cluster, key.trim(), Version::Http1);
        let own = pki::shown(&address, NAME).await != pki::fingerprint(&second.leaf);
        let answers = client.try_post("/echo", &json!("hello")).await;
        if own && answers.is_ok() { Ok(()) } else { Err(format!("{answers:?}")) }
    })
    .await;
    assert_eq!(account.emulator.search(&[second.needle()]), Vec::<String>::new(), "the key is still there");
    account.run(&["cluster", "down", "-c", "conf/cluster.yaml", "--yes"]).ok().prints("nothing left");
    let left = account.emulator.inventory().added_since(&before);
    assert!(left.is_empty(), "{left:#?}");
}

/// With a file that cannot be used, AWS is not even asked.
#[test]
fn of_files_that_cannot_be_used_is_said_which_why_and_what_to_do() {
    let pki = Pki::new();
    let good = pki.issue(&[NAME], 90);
    let other = Pki::new().issue(&[NAME], 90);
    let expired = pki.issue(&[NAME], 0);
    let future = pki.issue_with(&[NAME], |params| params.not_before = pki::at(3));
    let nameless = pki.issue(&[], 90);
    let of_clients = pki.issue_with(&[NAME], |params| {
        params.extended_key_usages = vec![pki::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let base64 = "A".repeat(64);
    let block = |label: &str| format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n");
    let cases: Vec<(&str, Option<String>, Option<String>)> = vec![
        ("no chain", None, Some(good.key.clone())),
        ("no key", Some(good.chain()), None),
        ("no PEM", Some("\u{1}\u{2}".to_owned()), Some(good.key.clone())),
        ("the files the wrong way round", Some(good.key.clone()), Some(good.chain())),
        ("a damaged certificate", Some(block("CERTIFICATE")), Some(good.key.clone())),
        ("the issuer first", Some(format!("{}{}", good.intermediate, good.leaf)), Some(good.key.clone())),
        (
            "another issuer of the same name",
            Some(format!("{}{}", good.leaf, other.intermediate)),
            Some(good.key.clone()),
        ),
        ("the root between", Some(format!("{}{}", good.leaf, pki.root)), Some(good.key.clone())),
        ("an authority's certificate", Some(good.intermediate.clone()), Some(good.key.clone())),
        ("expired", Some(expired.chain()), Some(expired.key.clone())),
        ("not yet valid", Some(future.chain()), Some(future.key.clone())),
        ("no names", Some(nameless.chain()), Some(nameless.key.clone())),
        ("for clients", Some(of_clients.chain()), Some(of_clients.key.clone())),
        ("another key", Some(good.chain()), Some(other.key.clone())),
        ("an encrypted key", Some(good.chain()), Some(block("ENCRYPTED PRIVATE KEY"))),
        ("a key of an unknown kind", Some(good.chain()), Some(block("PRIVATE KEY"))),
        ("a file without a key", Some(good.chain()), Some(String::new())),
    ];
    let mut shown = Vec::new();
    for (what, chain, key) in cases {
        let cortex = Cortex::new();
        cortex.write("conf/cluster.yaml", format!("{PUBLIC}{FILES}"));
        for (name, content) in [("conf/tls/chain.pem", chain), ("conf/tls/key.pem", key)] {
            if let Some(content) = content {
                cortex.write(name, content);
            }
        }
        // There is no account at all.
        let mut command = cortex.command(&["cluster", "up", "-c", "conf/cluster.yaml", "--yes"]);
        command
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            .env("AWS_ACCESS_KEY_ID", "AKIA")
            .env("AWS_SECRET_ACCESS_KEY", "x");
        let refused = cortex.run_command(command).exits(3).says("conf/tls/").says("hint: ");
        shown.push(format!("{what}\n{}", dates(&refused.stderr)));
    }
    assert_snapshot!(shown.join("\n"));
}

/// Dates are of the day the test runs.
fn dates(text: &str) -> String {
    let is_date = |word: &str| word.len() >= 10 && word.bytes().filter(u8::is_ascii_digit).count() >= 8;
    let line = |line: &str| {
        let words = line.split(' ').map(|word| if is_date(word) { "[DATE]" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

/// The load balancer ends TLS with the certificate of ACM: its name and the public authorities are what counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_certificate_of_acm_is_verified_by_its_name_at_the_load_balancers_address() {
    let account = Account::with_nodes(Mode::Strict);
    let arn = sdk(&account.emulator, &["-c", IMPORTED]);
    account.configure(&format!("{PUBLIC}ssl_certificate_arn: {}\n", arn.trim()));
    let made = account.up().ok().prints(&format!("point {NAME} at "));
    let (root, balancer) = pki::server(NAME, "{\"status\":\"ok\",\"from\":\"acm\"}").await;
    let rules = account.nodes().connect_to();
    let (_, line) = made.stdout.split_once("next: cortex ").expect("the next step");
    let mut arguments: Vec<String> = line.trim().split(' ').map(str::to_owned).collect();
    for rule in &rules {
        // Emulated load balancers pass TLS through: this one ends it.
        let (from, _) = rule.split_once(":127.0.0.1:").expect("an address");
        let rule = if from.ends_with(":443") { format!("{from}:{balancer}") } else { rule.clone() };
        arguments.extend(["--connect-to".to_owned(), rule]);
    }
    account.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let project = project::python(&account.cortex, "echo", &project::echo("one"), "");
    account.run(&["deploy", &project, "--no-wait"]).ok();
    account.cortex.write("hello.json", "\"hello\"");

    let refused = account.run(&["predict", "echo", "hello.json"]).exits(6);
    refused.says("ssl_certificate_arn").says(NAME).says("SSL_CERT_FILE");
    let root = account.cortex.write("root.pem", root);
    let with = |root: &Path| {
        let mut command = account.command(&["predict", "echo", "hello.json"]);
        command.env("SSL_CERT_FILE", root);
        account.cortex.run_command(command)
    };
    with(&root).ok().prints("acm");
    let (other, _) = pki::server("other.example.test", "").await;
    with(&account.cortex.write("other.pem", other)).exits(6).says("ssl_certificate_arn");
    account.down().ok().prints("nothing left");
}
