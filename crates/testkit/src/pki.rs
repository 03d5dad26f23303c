//! A certificate authority of the test's own, as a company would have one: a root that clients know, and an intermediate
//! one that issues.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
pub use rcgen::ExtendedKeyUsagePurpose;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use transport::{Address, Authority, Limits, Listener, Server, ServerTls};

const DAY: u64 = 24 * 3600;

pub struct Pki {
    /// PEM: what clients know.
    pub root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// PEM texts.
#[derive(Clone)]
pub struct Issued {
    pub leaf: String,
    pub intermediate: String,
    pub key: String,
}

impl Issued {
    pub fn chain(&self) -> String {
        format!("{}{}", self.leaf, self.intermediate)
    }

    /// Some characters of the key, as they stand wherever the key does.
    pub fn needle(&self) -> &str {
        self.key.lines().nth(1).expect("a key has lines")
    }
}

impl Pki {
    #[expect(clippy::new_without_default, reason = "it makes keys")]
    pub fn new() -> Self {
        let (root_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let (root, intermediate) = (authority("the test's root"), authority("the test's issuer"));
        let signed = root.self_signed(&root_key).expect("signed");
        let by_root = Issuer::new(root, root_key);
        let between = intermediate.signed_by(&key, &by_root).expect("signed");
        Self { root: signed.pem(), intermediate: between.pem(), issuer: Issuer::new(intermediate, key) }
    }

    /// For servers of these names, from yesterday on for so many days.
    pub fn issue(&self, names: &[&str], days: u64) -> Issued {
        self.issue_with(names, |params| params.not_after = at(days as i64))
    }

    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "a server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = at(-1);
        params.not_after = at(90);
        change(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).expect("signed");
        Issued { leaf: leaf.pem(), intermediate: self.intermediate.clone(), key: key.serialize_pem() }
    }
}

/// A certificate that nobody else has issued, with its key, in one PEM text.
pub fn self_signed(name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("names");
    params.not_before = at(-1);
    params.not_after = at(90);
    let certificate = params.self_signed(&key).expect("signed");
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

/// So many days from now.
pub fn at<T: From<SystemTime>>(days: i64) -> T {
    let time = Duration::from_secs(days.unsigned_abs() * DAY);
    let now = SystemTime::now();
    if days < 0 { (now - time).into() } else { (now + time).into() }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = at(-1);
    params.not_after = at(365);
    params
}

/// SHA-256 of the first certificate that a server shows to who asks for that name.
pub async fn shown(address: &str, name: &str) -> String {
    let shown = transport::presented(address, name).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    fingerprint(&shown[0])
}

/// SHA-256 of a certificate.
pub fn fingerprint(pem: &str) -> String {
    transport::fingerprint(pem).expect("a certificate")
}

/// A server that ends TLS for that name and answers everything with `body`: its authority (PEM) and address. It lives as
/// long as the test's runtime.
pub async fn server(name: &str, body: &'static str) -> (String, SocketAddr) {
    let authority = Authority::generate("elsewhere", at(0)).expect("an authority");
    let pem = authority.certificate_pem().to_owned();
    let tls = ServerTls::new(Arc::new(authority), &[name.to_owned()]).expect("a certificate");
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr()).expect("a port");
    let listener = Listener::bind(&Address::Tcp(port.to_string())).await.expect("it is free");
    let server = Server { listener, tls: Some(tls), limits: Limits::default() };
    let answer = move |_, _| async move { Response::new(Full::new(Bytes::from_static(body.as_bytes()))) };
    tokio::spawn(server.run(answer, std::future::pending::<()>()));
    (pem, port)
}
