//! TLS 1.2 and 1.3 on both sides, by rustls and ring.
//!
//! A server's certificate is replaced in place while it runs: a connection takes the configuration that is current when
//! it begins, so a renewal drops nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Authority, AuthorityError, LEAF_DAYS, OwnCertificate, own::pem};

/// How often it is asked whether a certificate is to be renewed.
const LOOK: Duration = Duration::from_secs(3600);
/// At what age it is: two thirds of its life.
const RENEWAL: time::Duration = time::Duration::days(LEAF_DAYS * 2 / 3);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the TLS library refused the certificate")]
    Rustls(#[from] rustls::Error),
    #[error("this is not a certificate in PEM form")]
    NotPem,
}

/// The TLS half of a server: its present certificate, and the way to the next.
///
/// With a certificate of the user's ([`ServerTls::present`]), everybody is shown that one, but for clients that ask for one
/// of the names here: what knows the cluster by its own name and authority goes on working.
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<ArcSwap<ServerConfig>>,
    /// Unix time at which the authority issued what is shown.
    issued: Arc<AtomicI64>,
    authority: Arc<Authority>,
    names: Arc<[String]>,
    own: Arc<ArcSwapOption<OwnCertificate>>,
}

impl ServerTls {
    /// Gets a first certificate for these names from the authority.
    pub fn new(authority: Arc<Authority>, names: &[String]) -> Result<Self, TlsError> {
        let now = OffsetDateTime::now_utc();
        let first = server_config(&authority, names, None, now)?;
        let current = Arc::new(ArcSwap::from_pointee(first));
        let issued = Arc::new(AtomicI64::new(now.unix_timestamp()));
        Ok(Self { current, issued, authority, names: names.into(), own: Arc::default() })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Takes a new certificate for every connection that begins from now on.
    pub fn renew(&self) -> Result<(), TlsError> {
        self.renew_at(OffsetDateTime::now_utc())
    }

    fn renew_at(&self, now: OffsetDateTime) -> Result<(), TlsError> {
        let own = self.own.load_full();
        self.current.store(Arc::new(server_config(&self.authority, &self.names, own.as_deref(), now)?));
        self.issued.store(now.unix_timestamp(), Ordering::Relaxed);
        Ok(())
    }

    /// When what clients are shown ends, in seconds since 1970.
    pub fn ends(&self) -> i64 {
        match &*self.own.load() {
            Some(own) => own.not_after().unix_timestamp(),
            None => self.issued.load(Ordering::Relaxed) + time::Duration::days(LEAF_DAYS).whole_seconds(),
        }
    }

    /// From now on, a certificate that the authority has not issued; `None`: no more.
    pub fn present(&self, own: Option<OwnCertificate>) -> Result<(), TlsError> {
        self.own.store(own.map(Arc::new));
        self.renew()
    }

    /// Renews after two thirds of each certificate's life, for as long as the future is polled.
    pub async fn keep_renewed(&self) {
        self.keep_renewed_by(OffsetDateTime::now_utc, LOOK).await;
    }

    /// The same by that clock, at which it looks so often: a certificate ends by the clock on the wall, which goes on
    /// while a machine sleeps, and what has failed is tried again at the next look.
    pub async fn keep_renewed_by(&self, now: impl Fn() -> OffsetDateTime, look: Duration) {
        loop {
            tokio::time::sleep(look).await;
            let now = now();
            if now.unix_timestamp() - self.issued.load(Ordering::Relaxed) < RENEWAL.whole_seconds() {
                continue;
            }
            match self.renew_at(now) {
                Ok(()) => tracing::info!("the server certificate was renewed"),
                Err(error) => tracing::error!(%error, "the server certificate could not be renewed"),
            }
        }
    }
}

fn server_config(
    authority: &Authority,
    names: &[String],
    own: Option<&OwnCertificate>,
    now: OffsetDateTime,
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = authority.issue(names, now)?;
    let issued = Arc::new(CertifiedKey::from_der(chain, key, &provider())?);
    let certificates = match own {
        None => ByName { usual: issued, exceptions: Vec::new(), issued: None },
        Some(own) => ByName { usual: own.presented(), exceptions: names.to_vec(), issued: Some(issued) },
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Which certificate a client is shown.
#[derive(Debug)]
struct ByName {
    usual: Arc<CertifiedKey>,
    /// Names for which it is the other one.
    exceptions: Vec<String>,
    issued: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let exception = |name: &str| self.exceptions.iter().any(|other| other.eq_ignore_ascii_case(name));
        let other = self.issued.as_ref().filter(|_| hello.server_name().is_some_and(exception));
        Some(Arc::clone(other.unwrap_or(&self.usual)))
    }
}

/// A client that trusts exactly the authorities in this PEM text, and no public one.
pub fn client_config(ca_pem: &str) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(|_| TlsError::NotPem)?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NotPem);
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Lower-case hex SHA-256 of the first certificate in the PEM text, as `openssl x509 -fingerprint -sha256` has it but
/// for case and colons.
pub fn fingerprint(pem: &str) -> Result<String, TlsError> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::NotPem)?;
    Ok(hex::encode(Sha256::digest(&certificate)))
}

/// Lower-case hex SHA-256 of the public key (SubjectPublicKeyInfo, DER) of the first certificate in the PEM text. Of a
/// cluster's authority, this tells the cluster from every other one, and stays when the certificate is renewed.
pub fn public_key_sha256(pem: &str) -> Result<String, TlsError> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::NotPem)?;
    let parsed = rustls::server::ParsedCertificate::try_from(&certificate)?;
    Ok(hex::encode(Sha256::digest(parsed.subject_public_key_info())))
}

/// The certificates that a server shows, PEM, the leaf first; not verified in any way. For asking a person whether they
/// are the right ones, or comparing them with a fingerprint.
///
/// # Errors
///
/// Nobody answers, or not with TLS.
pub async fn presented(address: &str, host: &str) -> std::io::Result<Vec<String>> {
    let invalid =
        |error: &dyn std::fmt::Display| std::io::Error::new(std::io::ErrorKind::InvalidInput, error.to_string());
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| invalid(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified(provider())))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| invalid(&error))?;
    let stream = TcpStream::connect(address).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(certificates.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect())
}

/// The first of these certificates with that fingerprint, as [`fingerprint`] has it.
pub fn with_fingerprint(certificates: &[String], wanted: &str) -> Option<String> {
    certificates.iter().find(|pem| fingerprint(pem).is_ok_and(|found| found == wanted)).cloned()
}

/// Takes whatever it is shown. The connection is closed without a byte of ours.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
