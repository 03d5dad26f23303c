//! What clients of APIs are shown: a certificate of the cluster's authority, one in ACM, or the user's own files.
//!
//! Files are read and judged before anything is made. The key goes into the bucket, under `private/`, as an object named
//! after the chain: what is there cannot be read and compared, and another chain is another object. Which one is meant is
//! said by a second object, which is public within the account, and which the gateways follow.

use std::path::Path;

use api::cluster::{ApiCertificate, CertificatePem};
use aws_infra::{Clients, certificate_names};
use provision::{cloud::ErrorKind, names};
use spec::cluster::Certificate;
use time::{Duration, OffsetDateTime};
use transport::{OwnCertificate, Part};

use super::account;
use crate::{
    output::say,
    report::{Exit, Failure},
};

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::days(30);

/// As it will be, with what is secret of it.
pub struct Chosen {
    pub record: ApiCertificate,
    pub pem: Option<CertificatePem>,
}

/// Judges the user's files, if there are some, before AWS is asked anything. `directory`: what their paths are relative to.
pub fn files(certificate: &Certificate, directory: &Path) -> Result<Option<Chosen>, Failure> {
    let Certificate::Files { certificate_path, private_key_path } = certificate else { return Ok(None) };
    let (chain, key) = (directory.join(certificate_path), directory.join(private_key_path));
    let now = OffsetDateTime::now_utc();
    let chosen = of_files(&chain, &key, now)?;
    if let ApiCertificate::User { not_after, .. } = chosen.record
        && not_after - now < SOON
    {
        say!("warning: {}: the certificate expires on {}; renew it soon", chain.display(), not_after.date());
    }
    Ok(Some(chosen))
}

/// `files`: what [`files`] made of them.
pub async fn choose(certificate: &Certificate, files: Option<Chosen>, clients: &Clients) -> Result<Chosen, Failure> {
    if let Some(chosen) = files {
        return Ok(chosen);
    }
    let record = match certificate {
        Certificate::Acm { arn } => {
            let names = match certificate_names(clients, arn).await {
                // The cluster does not need them: only who looks at it from outside.
                Err(error) if matches!(error.kind, ErrorKind::Denied { .. }) => Vec::new(),
                names => names.map_err(|error| account::cloud(&error))?,
            };
            ApiCertificate::Acm { names }
        }
        Certificate::Cluster | Certificate::Files { .. } => ApiCertificate::Cluster,
    };
    Ok(Chosen { record, pem: None })
}

fn of_files(chain_file: &Path, key_file: &Path, now: OffsetDateTime) -> Result<Chosen, Failure> {
    let (chain, key) = (text("ssl_certificate_path", chain_file)?, text("ssl_private_key_path", key_file)?);
    let own = OwnCertificate::judged(&chain, &key, now).map_err(|bad| {
        let file = match bad.part() {
            Part::Chain => chain_file,
            Part::Key => key_file,
        };
        Failure::new(Exit::InvalidConfig, "cluster.certificate", format!("{}: {bad}", file.display())).hint(bad.hint())
    })?;
    let record = ApiCertificate::User {
        names: own.names().to_vec(),
        not_after: own.not_after(),
        object: format!("{}{}.json", names::CERTIFICATES, own.digest()),
    };
    Ok(Chosen { record, pem: Some(CertificatePem { chain: own.chain_pem(), key: own.key_pem() }) })
}

fn text(field: &str, file: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        let message = format!("`{field}`: {} cannot be read: {error}", file.display());
        Failure::new(Exit::InvalidConfig, "cluster.certificate", message)
            .hint("paths are relative to the directory of the cluster's configuration file")
    })?;
    // DER is no text, and has no PEM in it.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What to do so that clients find the cluster by the certificate's name; `None` if they need no other name.
pub fn pointer(certificate: &ApiCertificate, api_endpoint: &str) -> Option<String> {
    let (names, until) = match certificate {
        ApiCertificate::Cluster => return None,
        ApiCertificate::Acm { names } => (names, None),
        ApiCertificate::User { names, not_after, .. } => (names, Some(not_after.date())),
    };
    let host = api_endpoint.trim_start_matches("https://");
    let name = match names.first()? {
        name if name.starts_with("*.") => format!("a name for {name}"),
        name => name.clone(),
    };
    let until = until.map(|until| format!(", valid until {until}")).unwrap_or_default();
    Some(format!("for {}{until}; point {name} at {host} by a CNAME record", names.join(", ")))
}
