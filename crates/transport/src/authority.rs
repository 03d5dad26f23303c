//! The cluster's own certificate authority.
//!
//! One is made with every cluster. Clients pin it, so they verify the cluster instead of switching verification off,
//! and servers get short-lived leaf certificates from it without asking anybody. Only the operator and the gateways can
//! read its key.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Validity of the authority itself: as long as a cluster may reasonably live.
const AUTHORITY_YEARS: i64 = 10;
/// Validity of a server's certificate; it is replaced after two thirds of that.
pub const LEAF_DAYS: i64 = 90;
/// Certificates begin in the past, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A certificate authority that can sign.
pub struct Authority {
    certificate_pem: String,
    certificate_der: CertificateDer<'static>,
    key: KeyPair,
}

/// The form in which an authority is kept. The key signs for the whole cluster: this belongs under `private/`.
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthorityPem {
    pub certificate: String,
    pub key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the cluster's certificate authority is damaged")]
    Damaged(#[source] rcgen::Error),
    #[error("`{0}` is neither a DNS name nor an IP address, so no certificate can name it")]
    Name(String),
    #[error("a certificate could not be made")]
    Issue(#[source] rcgen::Error),
}

impl Authority {
    /// A new authority for the cluster of that name (ECDSA P-256).
    pub fn generate(cluster: &str, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Issue)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("cortex cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - CLOCK_SKEW;
        params.not_after = now + Duration::days(365 * AUTHORITY_YEARS);
        let certificate = params.self_signed(&key).map_err(AuthorityError::Issue)?;
        Ok(Self { certificate_pem: certificate.pem(), certificate_der: certificate.der().clone(), key })
    }

    pub fn from_pem(pem: &AuthorityPem) -> Result<Self, AuthorityError> {
        use rustls_pki_types::pem::PemObject as _;
        let key = KeyPair::from_pem(&pem.key).map_err(AuthorityError::Damaged)?;
        let certificate_der = CertificateDer::from_pem_slice(pem.certificate.as_bytes())
            .map_err(|_| AuthorityError::Damaged(rcgen::Error::CouldNotParseCertificate))?;
        Ok(Self { certificate_pem: pem.certificate.clone(), certificate_der, key })
    }

    pub fn to_pem(&self) -> AuthorityPem {
        AuthorityPem { certificate: self.certificate_pem.clone(), key: self.key.serialize_pem() }
    }

    /// What clients pin: public.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A server certificate for these DNS names and IP addresses, with a key of its own.
    pub(crate) fn issue(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate_der, &self.key).map_err(AuthorityError::Damaged)?;
        let mut params = CertificateParams::new(names.to_vec())
            .map_err(|_| AuthorityError::Name(names.iter().find(|n| !is_ascii_name(n)).cloned().unwrap_or_default()))?;
        params.distinguished_name = name(names.first().map_or("cortex", String::as_str));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = now - CLOCK_SKEW;
        params.not_after = now + Duration::days(LEAF_DAYS);
        let key = KeyPair::generate().map_err(AuthorityError::Issue)?;
        let certificate = params.signed_by(&key, &issuer).map_err(AuthorityError::Issue)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![certificate.der().clone(), self.certificate_der.clone()], key.into()))
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn is_ascii_name(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || name.is_ascii()
}
