//! What clients of APIs are shown: a certificate of the cluster's authority, one in ACM, or the user's own files.

use std::path::Path;

use api::cluster::ApiCertificate;
use aws_infra::{Clients, certificate_names};
use provision::cloud::ErrorKind;
use spec::cluster::Certificate;
use time::OffsetDateTime;

use super::account;
pub use crate::certificate::Chosen;
use crate::{
    certificate::{Source, of_files},
    report::Failure,
};

/// Judges the user's files, if there are some, before AWS is asked anything. `directory`: what their paths are relative to.
pub fn files(certificate: &Certificate, directory: &Path) -> Result<Option<Chosen>, Failure> {
    let Certificate::Files { certificate_path, private_key_path } = certificate else { return Ok(None) };
    let (chain, key) = (directory.join(certificate_path), directory.join(private_key_path));
    let chain = Source { field: "ssl_certificate_path", file: &chain };
    let key = Source { field: "ssl_private_key_path", file: &key };
    of_files(chain, key, OffsetDateTime::now_utc()).map(|(chosen, _)| Some(chosen))
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_keys_are_where_the_plan_expects_them() {
        assert_eq!(crate::certificate::CERTIFICATES, provision::names::CERTIFICATES);
    }
}
