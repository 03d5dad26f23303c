//! What ACM says of a certificate.

use provision::cloud::CloudError;

use crate::{
    Clients,
    classify::{acm, present},
};

/// The DNS names that a certificate of ACM is for, its main one first; none if there is no such certificate.
///
/// # Errors
///
/// AWS did not answer.
pub async fn certificate_names(clients: &Clients, arn: &str) -> Result<Vec<String>, CloudError> {
    let clients = clients.patient();
    let reply = clients.acm.describe_certificate().certificate_arn(arn).send().await.map_err(acm);
    let Some(certificate) = present(reply)?.and_then(|reply| reply.certificate) else { return Ok(Vec::new()) };
    let mut names: Vec<String> = certificate.domain_name.into_iter().collect();
    let others = certificate.subject_alternative_names.unwrap_or_default();
    names.extend(others.into_iter().filter(|other| Some(other) != names.first()).collect::<Vec<_>>());
    Ok(names)
}
