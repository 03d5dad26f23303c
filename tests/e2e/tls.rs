//! What the servers speak, as somebody else's TLS library finds it.

use std::process::{Command, Stdio};

use testkit::Cluster;

/// Both servers' addresses, with the endpoint's name.
fn servers(cluster: &Cluster) -> [(&'static str, String); 2] {
    [("operator", &cluster.operator_endpoint), ("gateway", &cluster.api_endpoint)]
        .map(|(what, endpoint)| (what, endpoint.replace("https://localhost", "127.0.0.1")))
}

/// Whether a handshake with these options came about, and all that openssl says. It is told to offer whatever it knows,
/// so a refusal is the server's.
fn handshake(cluster: &Cluster, address: &str, options: &[&str]) -> (bool, String) {
    let ca = cluster.cortex.write("ca.pem", &cluster.ca);
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-brief",
            "-connect",
            address,
            "-servername",
            "localhost",
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(ca)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success() && said.contains("CONNECTION ESTABLISHED"), said)
}

#[test]
fn only_what_is_sound_is_spoken_and_the_certificate_is_the_clusters() {
    let cluster = Cluster::up();
    for (what, address) in servers(&cluster) {
        for (options, protocol) in [
            (&["-tls1_3"][..], "TLSv1.3"),
            (&["-tls1_2"], "TLSv1.2"),
            (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "TLSv1.2"),
            (&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "TLSv1.2"),
            (&[], "TLSv1.3"),
        ] {
            let (established, said) = handshake(&cluster, &address, options);
            let spoken = said.contains(&format!("Protocol version: {protocol}\n"));
            assert!(established && spoken && said.contains("Verification: OK"), "{what} {options:?}: {said}");
        }
        for options in [
            &["-tls1", "-cipher", "ALL:@SECLEVEL=0"][..],
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
            &["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
        ] {
            let (established, said) = handshake(&cluster, &address, options);
            assert!(!established && said.contains("alert"), "{what} {options:?}: {said}");
        }
        let (established, said) = handshake(&cluster, &address, &["-verify_hostname", "elsewhere.example"]);
        assert!(!established, "{what} has a certificate for another name: {said}");
    }
}
