//! A certificate that the user brings, with its key: read from PEM, and judged before anybody is shown it.
//!
//! [`OwnCertificate::read`] takes what can be presented at all. [`OwnCertificate::judged`] asks what a client would:
//! whether each certificate is valid now and was issued by the next one. Whether a client knows the last one's issuer
//! is the client's business.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, UnixTime,
    pem::{PemObject as _, SectionKind},
};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer as _, ParsedExtension},
};

use crate::tls::provider;

/// A chain, leaf first, and the leaf's key.
pub struct OwnCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    presented: Arc<CertifiedKey>,
    names: Vec<String>,
    not_after: OffsetDateTime,
    self_signed: bool,
}

/// Of the two PEM texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Chain,
    Key,
}

/// Why a certificate cannot be used. Certificates are counted from 1, the leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    #[error("there is no certificate in PEM form in it")]
    NoCertificate,
    #[error("certificate {number} in it is damaged")]
    Damaged { number: usize },
    #[error("certificate {number} in it ({subject}) was issued by {issuer}, but the next one is {next}")]
    Order { number: usize, subject: String, issuer: String, next: String },
    #[error("its first certificate ({subject}) is an authority's, not a server's")]
    Authority { subject: String },
    #[error("its first certificate ({subject}) has no DNS name among its subject alternative names")]
    NoNames { subject: String },
    #[error("certificate {number} in it ({subject}) is not valid before {from}")]
    NotYetValid { number: usize, subject: String, from: String },
    #[error("certificate {number} in it ({subject}) has expired: it was valid until {until}")]
    Expired { number: usize, subject: String, until: String },
    #[error("clients would refuse it: {0}")]
    Refused(String),
    #[error("there is no private key in PEM form in it")]
    NoKey,
    #[error("the private key in it is encrypted")]
    EncryptedKey,
    #[error("the private key in it is of a kind that is not supported")]
    UnsupportedKey,
    #[error("the private key in it is not that of the first certificate")]
    OtherKey,
}

impl BadCertificate {
    /// Which of the texts it is about.
    pub fn part(&self) -> Part {
        match self {
            Self::NoKey | Self::EncryptedKey | Self::UnsupportedKey | Self::OtherKey => Part::Key,
            _ => Part::Chain,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "it takes -----BEGIN CERTIFICATE----- lines; DER: `openssl x509 -inform der -in FILE`"
            }
            Self::Damaged { .. } => "get the file again from whoever issued the certificate",
            Self::Order { .. } => {
                "the server's certificate comes first, then that of its issuer, then that one's; the root may be left out"
            }
            Self::Authority { .. } => {
                "the server's certificate comes first, and it must not have CA:TRUE among its basic constraints"
            }
            Self::NoNames { .. } => "clients look for the name there and nowhere else: get a certificate that has one",
            Self::NotYetValid { .. } => "wait until then, or check this machine's clock",
            Self::Expired { .. } => "renew it, or check this machine's clock",
            Self::Refused(_) => {
                "it has to be for servers (extended key usage serverAuth), and signed by the next one's key"
            }
            Self::NoKey => "it takes -----BEGIN PRIVATE KEY----- lines, or BEGIN EC or RSA PRIVATE KEY",
            Self::EncryptedKey => "decrypt it into a file of its own: `openssl pkey -in FILE -out PLAIN`",
            Self::UnsupportedKey => "ECDSA (P-256, P-384), Ed25519 and RSA (2048 to 8192 bits) are supported",
            Self::OtherKey => "name the key that the certificate was requested with",
        }
    }
}

impl OwnCertificate {
    /// [`OwnCertificate::read`], if clients would take it at that time.
    pub fn judged(chain: &str, key: &str, now: OffsetDateTime) -> Result<Self, BadCertificate> {
        // What is wrong with the chain comes first: another certificate in front has another key, too.
        judge(&certificates(chain)?, now)?;
        Self::read(chain, key)
    }

    /// From PEM texts, in which other things than certificates and the key are left alone.
    pub fn read(chain: &str, key: &str) -> Result<Self, BadCertificate> {
        let chain = certificates(chain)?;
        let key = private_key(key)?;
        let signing = provider().key_provider.load_private_key(key.clone_key());
        let signing = signing.map_err(|_| BadCertificate::UnsupportedKey)?;
        let presented = CertifiedKey::new(chain.clone(), signing);
        match presented.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(BadCertificate::OtherKey),
            Err(error) => return Err(BadCertificate::Refused(error.to_string())),
        }
        let parsed = parsed(&chain)?;
        let names = names(&parsed[0]);
        let ends = parsed.iter().map(|certificate| certificate.validity().not_after.to_datetime());
        let not_after = ends.min().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let self_signed = parsed[0].issuer().as_raw() == parsed[0].subject().as_raw();
        Ok(Self { chain, key, presented: Arc::new(presented), names, not_after, self_signed })
    }

    /// DNS names, lower case, in the certificate's order; a `*` may stand for the first label.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Until when all of the chain is valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Whether the leaf names itself as its issuer.
    pub fn is_self_signed(&self) -> bool {
        self.self_signed
    }

    pub(crate) fn presented(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.presented)
    }

    /// The certificates and nothing else.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect()
    }

    /// Secret.
    pub fn key_pem(&self) -> String {
        let label = match &self.key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem(label, self.key.secret_der())
    }

    /// Tells this chain from every other one, and nothing of the key.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for certificate in &self.chain {
            hash.update(certificate);
        }
        hex::encode(hash.finalize())
    }
}

/// As a client would, at that time.
fn judge(chain: &[CertificateDer<'static>], now: OffsetDateTime) -> Result<(), BadCertificate> {
    let parsed = parsed(chain)?;
    let subject = |at: usize| parsed[at].subject().to_string();
    let in_order = |at: &usize| parsed[*at].issuer().as_raw() == parsed[at + 1].subject().as_raw();
    if let Some(at) = (0..parsed.len() - 1).find(|at| !in_order(at)) {
        let (issuer, next) = (parsed[at].issuer().to_string(), subject(at + 1));
        return Err(BadCertificate::Order { number: at + 1, subject: subject(at), issuer, next });
    }
    if parsed[0].is_ca() {
        return Err(BadCertificate::Authority { subject: subject(0) });
    }
    let Some(name) = names(&parsed[0]).into_iter().next() else {
        return Err(BadCertificate::NoNames { subject: subject(0) });
    };
    for (at, certificate) in parsed.iter().enumerate() {
        let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
        let (number, from, until) = (at + 1, from.to_datetime(), until.to_datetime());
        if now < from {
            return Err(BadCertificate::NotYetValid { number, subject: subject(at), from: shown(from) });
        }
        if now > until {
            return Err(BadCertificate::Expired { number, subject: subject(at), until: shown(until) });
        }
    }
    // Of a leaf alone, nobody here knows the issuer.
    if chain.len() > 1 { verify(chain, &name, now) } else { Ok(()) }
}

/// By the chain's last certificate, as if the client knew that.
fn verify(chain: &[CertificateDer<'static>], name: &str, now: OffsetDateTime) -> Result<(), BadCertificate> {
    let refused = |error: &dyn std::fmt::Display| BadCertificate::Refused(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(chain[chain.len() - 1].clone()).map_err(|error| refused(&error))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let verifier = verifier.build().map_err(|error| refused(&error))?;
    // Some name below a wildcard.
    let name = ServerName::try_from(name.replacen('*', "x", 1)).map_err(|error| refused(&error))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_timestamp().unsigned_abs()));
    let verdict = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
    verdict.map(drop).map_err(|error| refused(&error))
}

fn shown(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, BadCertificate> {
    let read: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    if read.is_empty() {
        return Err(BadCertificate::NoCertificate);
    }
    let numbered = read.into_iter().enumerate();
    numbered.map(|(at, one)| one.map_err(|_| BadCertificate::Damaged { number: at + 1 })).collect()
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, BadCertificate> {
    // In two forms: of PKCS #8, and of OpenSSL's older format.
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(BadCertificate::EncryptedKey);
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()).flatten();
    let keys = sections.filter_map(|(kind, der)| match kind {
        SectionKind::PrivateKey => Some(PrivateKeyDer::Pkcs8(der.into())),
        SectionKind::RsaPrivateKey => Some(PrivateKeyDer::Pkcs1(der.into())),
        SectionKind::EcPrivateKey => Some(PrivateKeyDer::Sec1(der.into())),
        _ => None,
    });
    keys.into_iter().next().ok_or(BadCertificate::NoKey)
}

fn parsed<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, BadCertificate> {
    let parse = |(at, certificate): (usize, &'a CertificateDer<'static>)| {
        let parsed = X509Certificate::from_der(certificate).map(|(_, parsed)| parsed);
        parsed.map_err(|_| BadCertificate::Damaged { number: at + 1 })
    };
    chain.iter().enumerate().map(parse).collect()
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let alternative = leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    alternative.into_iter().flatten().filter_map(name).collect()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
