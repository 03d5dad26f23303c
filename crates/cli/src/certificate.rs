//! A certificate that the user brings, from files to where the gateways find it.
//!
//! Files are read and judged before anything is made. Certificate and key are kept under `private/`, as an object named
//! after the chain, since what is there cannot always be read and compared. Which one is meant is said by a second object,
//! which is no secret, and which the gateways follow.

use std::path::Path;

use api::cluster::{ApiCertificate, CertificatePem};
use time::{Duration, OffsetDateTime};
use transport::{OwnCertificate, Part};

use crate::{
    output::say,
    report::{Exit, Failure},
};

/// Where such objects lie.
pub const CERTIFICATES: &str = "private/certificate/";
/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::days(30);

/// As it will be, with what is secret of it.
pub struct Chosen {
    pub record: ApiCertificate,
    pub pem: Option<CertificatePem>,
}

/// A file, and the field that names it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub field: &'static str,
    pub file: &'a Path,
}

/// From the files of a chain and its key, which may be the same.
pub fn of_files(chain: Source<'_>, key: Source<'_>, now: OffsetDateTime) -> Result<(Chosen, OwnCertificate), Failure> {
    let own = OwnCertificate::judged(&chain.text()?, &key.text()?, now).map_err(|bad| {
        let file = match bad.part() {
            Part::Chain => chain.file,
            Part::Key => key.file,
        };
        refused(format!("{}: {bad}", file.display())).hint(bad.hint())
    })?;
    if own.not_after() - now < SOON {
        let until = own.not_after().date();
        say!("warning: {}: the certificate expires on {until}; renew it soon", chain.file.display());
    }
    let record = ApiCertificate::User {
        names: own.names().to_vec(),
        not_after: own.not_after(),
        object: format!("{CERTIFICATES}{}.json", own.digest()),
    };
    let pem = Some(CertificatePem { chain: own.chain_pem(), key: own.key_pem() });
    Ok((Chosen { record, pem }, own))
}

pub fn refused(message: String) -> Failure {
    Failure::new(Exit::InvalidConfig, "cluster.certificate", message)
}

impl Source<'_> {
    fn text(self) -> Result<String, Failure> {
        let bytes = std::fs::read(self.file).map_err(|error| {
            refused(format!("`{}`: {} cannot be read: {error}", self.field, self.file.display()))
                .hint("paths are relative to the directory of the cluster's configuration file")
        })?;
        // DER is no text, and has no PEM in it.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
