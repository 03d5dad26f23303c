//! A cluster of this machine with a certificate of the user's, and one without TLS.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use testkit::{
    Cluster, Config, Cortex, Https, Version, eventually,
    pki::{self, Issued, Pki},
    project, raw,
};

const NAME: &str = "models.example.test";
const FIELDS: &str = "certificate_path: tls/site.pem\n";

/// Everything in one file, for nobody else.
fn write(cortex: &Cortex, issued: &Issued) {
    write_text(cortex, &format!("{}{}", issued.chain(), issued.key));
}

fn write_text(cortex: &Cortex, text: &str) {
    let file = cortex.write("tls/site.pem", text);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

fn address(cluster: &Cluster) -> SocketAddr {
    cluster.api_endpoint.replace("https://localhost", "127.0.0.1").parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_verify_the_users_certificate_and_its_successor_cuts_no_connection() {
    let (pki, cortex) = (Pki::new(), Cortex::new());
    let first = pki.issue(&[NAME], 90);
    write(&cortex, &first);
    let cluster = Cluster::up_as(&cortex, Config { fields: FIELDS.to_owned(), ..Config::default() });
    let project = project::python(&cortex, "echo", &project::echo("one"), "");
    cluster.deploy(&project);
    let address = address(&cluster);
    for version in [Version::Http1, Version::Http2] {
        let client = Https::at(NAME, address, &pki.root, &cluster.key, version);
        assert_eq!(client.predict("/echo", &json!("hello")).await["echo"], "hello");
    }
    // Our own command knows the cluster by its own name and authority, as do those who were set up before.
    cortex.write("hello.json", "\"hello\"");
    cluster.run(&["predict", "echo", "hello.json"]).ok().prints("hello");
    assert_eq!(cluster.client().predict("/echo", &json!("hello")).await["echo"], "hello");
    let info = cortex.run(&["cluster", "info", "--name", &cluster.name]).ok();
    info.prints(&format!("certificate for {NAME}, valid until"));
    cluster.up_again().ok().prints("nothing was changed");

    // On a connection that stays open across the change.
    let staying = raw(&cluster.ca, Version::Http1);
    let healthy = async || {
        let answer = staying.get(format!("{}/healthz", cluster.api_endpoint)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    };
    healthy().await;
    let second = pki.issue(&[NAME], 20);
    write(&cortex, &second);
    let again = cluster.up_again().ok();
    again.says("warning: ").says("expires on").prints("is up again");
    eventually("the gateway shows it", async || {
        healthy().await;
        match pki::shown(&address.to_string(), NAME).await {
            shown if shown == pki::fingerprint(&second.leaf) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(!holds(&cluster.directory, first.needle()), "the old key is still there");

    cortex.write(&cluster.config, cortex.read(&cortex.working_directory().join(&cluster.config)).replace(FIELDS, ""));
    cluster.up_again().ok();
    eventually("the cluster's own is shown", async || match pki::shown(&address.to_string(), NAME).await {
        shown if shown == pki::fingerprint(&second.leaf) => Err(shown),
        _ => Ok(()),
    })
    .await;
    healthy().await;
}

/// Whether any file of the cluster has that in it. What was deleted from the database does not count.
fn holds(directory: &Path, needle: &str) -> bool {
    let mut grep = std::process::Command::new("grep");
    let output = grep.args(["-rlaF", "--exclude-dir=state", needle]).arg(directory).output().expect("grep runs");
    !output.stdout.is_empty()
}

#[test]
fn a_file_that_cannot_be_used_is_refused_before_anything_is_made() {
    let (pki, cortex) = (Pki::new(), Cortex::new());
    let (good, other) = (pki.issue(&[NAME], 90), pki.issue(&[NAME], 90));
    let lone = pki::self_signed(NAME);
    let yaml = "cluster_name: mine\nprovider: local\nlb_port: 0\noperator_port: 0\n";
    let all = |issued: &Issued| format!("{}{}", issued.chain(), issued.key);
    let expired = pki.issue_with(&[NAME], |params| {
        params.not_before = pki::at(-9);
        params.not_after = pki::at(-2);
    });
    for (text, fields, says) in [
        (String::new(), FIELDS, "there is no certificate in PEM form in it"),
        ("\u{30}\u{82}\u{1}".to_owned(), FIELDS, "there is no certificate in PEM form in it"),
        (good.chain(), FIELDS, "there is no private key in PEM form in it"),
        (format!("{}{}", good.chain(), other.key), FIELDS, "is not that of the first certificate"),
        (all(&expired), FIELDS, "has expired"),
        (format!("{}{}{}", good.intermediate, good.leaf, good.key), FIELDS, "but the next one is"),
        (all(&good), "certificate_path: tls/site.pem\nhost_names: [models.example.test]\n", "which is in `host_names`"),
        (lone.clone(), FIELDS, "set `certificate_is_self_signed: true`"),
        (all(&good), "certificate_path: tls/site.pem\ncertificate_is_self_signed: true\n", "is not signed by itself"),
        (all(&good), "certificate_path: tls/sight.pem\n", "tls/sight.pem cannot be read"),
    ] {
        write_text(&cortex, &text);
        cortex.write("cluster.yaml", format!("{yaml}{fields}"));
        let outcome = cortex.run(&["cluster", "up"]);
        assert_eq!(outcome.code, 3, "{says}: {outcome}");
        outcome.says(says);
        assert!(!cortex.home().join("clusters").exists(), "{says}: something was made");
    }

    // One that clients are given, in a file that others can read.
    let file = cortex.write("tls/site.pem", &lone);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    cortex.write("cluster.yaml", format!("{yaml}{FIELDS}certificate_is_self_signed: true\n"));
    let made = cortex.run(&["cluster", "up"]).ok();
    made.says("others can read the private key").says("chmod 600").prints(NAME);
    cortex.run(&["cluster", "down", "--yes", "--name", "mine"]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_tls_by_choice_only_and_with_a_warning_where_others_listen() {
    let cortex = Cortex::new();
    let cluster = Cluster::up_as(&cortex, Config { fields: "use_ssl: false\n".to_owned(), ..Config::default() });
    let plain = cluster.api_endpoint.replace("https", "http");
    let project = project::python(&cortex, "echo", &project::echo("one"), "");
    cluster.deploy(&project).prints(&format!("{plain}/echo"));
    cortex.write("hello.json", "\"hello\"");
    cluster.run(&["predict", "echo", "hello.json"]).ok().prints("hello");
    let client = raw(&cluster.ca, Version::Http1);
    let answer = client.post(format!("{plain}/echo")).body("1").send().await.expect("an answer");
    assert_eq!(answer.status(), 401, "a key is needed all the same");
    // The operator has TLS whatever is chosen.
    let operator = cluster.operator_endpoint.replace("https", "http");
    assert!(client.get(operator).send().await.is_err());

    assert!(!cluster.up_again().ok().stderr.contains("warning"), "nobody else listens");
    let config = cortex.read(&cortex.working_directory().join(&cluster.config));
    cortex.write(&cluster.config, format!("{config}listen_address: 0.0.0.0\n"));
    cluster.up_again().ok().says("warning: `use_ssl: false` sends API keys and data in the clear");
}
