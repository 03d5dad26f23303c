//! A certificate of ACM: there, issued, valid, in the region of the load balancer, of a kind that it takes.

use std::time::{Duration, SystemTime};

use aws_sdk_acm::types::{CertificateDetail, CertificateType, KeyAlgorithm};
use provision::cloud::CloudError;
use spec::cluster::Certificate;

use super::{Finding, Subject};
use crate::{
    Clients,
    classify::{acm, present},
};

const CHECK: &str = "certificate";
/// An imported one is renewed by nobody.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let Certificate::Acm { arn } = &subject.aws.certificate else { return Ok(Vec::new()) };
    let region = &subject.plan.cluster.region;
    let of = arn.split(':').nth(3).unwrap_or_default();
    if of != region {
        let message = format!("{arn} is in {of}, and the load balancer in {region}");
        return Ok(vec![Finding::refused(CHECK, message).hint("name a certificate of the cluster's own region")]);
    }
    let reply = clients.acm.describe_certificate().certificate_arn(arn).send().await.map_err(acm);
    let certificate = present(reply)?.and_then(|reply| reply.certificate);
    Ok(vec![match certificate {
        None => Finding::refused(CHECK, format!("there is no certificate {arn}"))
            .hint("correct `ssl_certificate_arn`; `aws acm list-certificates` shows what there is"),
        Some(certificate) => judge(&certificate, SystemTime::now()),
    }])
}

fn judge(certificate: &CertificateDetail, now: SystemTime) -> Finding {
    let name = certificate.domain_name().unwrap_or("?");
    let status = certificate.status().map_or("unknown", |status| status.as_str());
    if status != "ISSUED" {
        let hint = match status {
            "PENDING_VALIDATION" => {
                "put the records that ACM asks for into the domain's DNS, and wait until it is issued"
            }
            _ => "request or import another one, and name it in `ssl_certificate_arn`",
        };
        return Finding::refused(CHECK, format!("the status of the certificate of {name} is {status}")).hint(hint);
    }
    if let Some(algorithm) = certificate.key_algorithm().filter(|algorithm| !taken(algorithm)) {
        let message = format!("network load balancers take no certificate with a key of {}", algorithm.as_str());
        return Finding::refused(CHECK, message).hint("use one with RSA of 2048 to 4096 bits, or ECDSA P-256 to P-521");
    }
    let imported = certificate.r#type() == Some(&CertificateType::Imported);
    let ends = certificate.not_after().and_then(|at| SystemTime::try_from(*at).ok());
    match ends.map(|end| end.duration_since(now)) {
        Some(Err(_)) => Finding::refused(CHECK, format!("the certificate of {name} has expired"))
            .hint("renew it, or name another one in `ssl_certificate_arn`"),
        Some(Ok(left)) if imported && left < SOON => {
            let days = left.as_secs() / (24 * 3600);
            Finding::warning(CHECK, format!("the certificate of {name} expires in {days} days, and was imported"))
                .hint("ACM does not renew what was imported: import its successor under the same ARN in time")
        }
        _ => Finding::passed(CHECK, format!("of {name}, issued")),
    }
}

/// "Server certificates for your Network Load Balancer", Elastic Load Balancing user guide.
fn taken(algorithm: &KeyAlgorithm) -> bool {
    !matches!(algorithm, KeyAlgorithm::Rsa1024)
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::types::CertificateStatus;
    use aws_smithy_types::DateTime;

    use super::{super::Verdict, *};

    fn certificate(status: CertificateStatus, days: i64) -> CertificateDetail {
        CertificateDetail::builder()
            .domain_name("models.example.com")
            .status(status)
            .r#type(CertificateType::Imported)
            .key_algorithm(KeyAlgorithm::Rsa2048)
            .not_after(DateTime::from_secs(days * 24 * 3600))
            .build()
    }

    #[test]
    fn only_what_works_passes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100 * 24 * 3600);
        for (status, days, verdict, says) in [
            (CertificateStatus::Issued, 200, Verdict::Passed, "issued"),
            (CertificateStatus::Issued, 110, Verdict::Warning, "in 10 days"),
            (CertificateStatus::Issued, 99, Verdict::Refused, "has expired"),
            (CertificateStatus::PendingValidation, 200, Verdict::Refused, "PENDING_VALIDATION"),
            (CertificateStatus::Revoked, 200, Verdict::Refused, "REVOKED"),
        ] {
            let finding = judge(&certificate(status, days), now);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.message.contains(says), "{finding:?}");
            assert!(verdict == Verdict::Passed || finding.hint.is_some(), "{finding:?}");
        }
        let mut weak = certificate(CertificateStatus::Issued, 200);
        weak.key_algorithm = Some(KeyAlgorithm::Rsa1024);
        assert_eq!(judge(&weak, now).verdict, Verdict::Refused);
        let mut managed = certificate(CertificateStatus::Issued, 110);
        managed.r#type = Some(CertificateType::AmazonIssued);
        assert_eq!(judge(&managed, now).verdict, Verdict::Passed, "ACM renews it");
    }
}
