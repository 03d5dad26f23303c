//! What a service's refusal means for us.
//!
//! One table per service (`classify/tables.rs`): error code, a word of the message where the code alone is
//! not enough, and the kind. What no table knows is judged by the HTTP status: 5xx may pass, anything else will not.

mod tables;

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use provision::cloud::{CloudError, ErrorKind};

pub(crate) use tables::Table;

macro_rules! services {
    ($($name:ident: $prefix:literal, $table:ident;)*) => {$(
        pub(crate) fn $name<E>(error: SdkError<E, HttpResponse>) -> CloudError
        where
            E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        {
            classify($prefix, tables::$table, error)
        }
    )*};
}

// Prefixes are those of IAM actions.
services! {
    acm: "acm", ACM;
    auto_scaling: "autoscaling", AUTO_SCALING;
    ec2: "ec2", EC2;
    ecs: "ecs", ECS;
    elb: "elasticloadbalancing", ELB;
    iam: "iam", IAM;
    logs: "logs", LOGS;
    s3: "s3", S3;
    quotas: "servicequotas", QUOTAS;
    pricing: "pricing", PRICING;
    ssm: "ssm", SSM;
    sts: "sts", STS;
}

/// One item of a batch that EC2 refused, in a reply that is a success as a whole.
pub(crate) fn ec2_item(code: &str, message: &str, action: &str) -> CloudError {
    refused(tables::EC2, &Refusal { code, message, status: 400, action: action.to_owned() })
}

/// The same of S3.
pub(crate) fn s3_item(code: &str, message: &str, action: &str) -> CloudError {
    refused(tables::S3, &Refusal { code, message, status: 400, action: action.to_owned() })
}

/// The same of ECS.
pub(crate) fn ecs_item(code: &str, message: &str, action: &str) -> CloudError {
    refused(tables::ECS, &Refusal { code, message, status: 400, action: action.to_owned() })
}

/// Of a delete: what is not there needs none.
pub(crate) fn gone(result: Result<(), CloudError>) -> Result<(), CloudError> {
    result.or_else(|error| if error.kind == ErrorKind::NotFoundYet { Ok(()) } else { Err(error) })
}

/// Of a describe: what went away since it was listed is not there.
pub(crate) fn present<T>(result: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ErrorKind::NotFoundYet => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of a call whose effect may already be there.
pub(crate) fn done_before(result: Result<(), CloudError>) -> Result<(), CloudError> {
    result.or_else(|error| if error.kind == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

/// The error with everything that led to it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    words.join(": ")
}

/// As [`ErrorMetadata`](aws_smithy_types::error::ErrorMetadata) gives it.
struct Refusal<'a> {
    code: &'a str,
    message: &'a str,
    status: u16,
    /// IAM's name of what was asked for, as far as the SDK tells.
    action: String,
}

fn classify<E>(prefix: &str, table: Table, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(error) = credentials(&error) {
        return error;
    }
    let (Some(service), Some(raw)) = (error.as_service_error(), error.raw_response()) else {
        let kind = match &error {
            SdkError::ConstructionFailure(_) => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        return CloudError::new(kind, format!("{prefix}:{}: {}", operation::<E>(), chain(&error)));
    };
    refused(
        table,
        &Refusal {
            code: service.code().unwrap_or_default(),
            message: service.message().unwrap_or_default(),
            status: raw.status().as_u16(),
            action: format!("{prefix}:{}", operation::<E>()),
        },
    )
}

fn refused(table: Table, refusal: &Refusal<'_>) -> CloudError {
    let Refusal { code, message, status, action } = refusal;
    let kind = tables::COMMON.iter().chain(table).find(|row| row.matches(code, message)).map(|row| row.kind);
    let kind = match kind {
        Some(tables::Kind::Throttled) => ErrorKind::Throttled,
        Some(tables::Kind::NotFoundYet) => ErrorKind::NotFoundYet,
        Some(tables::Kind::Dependency) => ErrorKind::DependencyViolation,
        Some(tables::Kind::Exists) => ErrorKind::AlreadyExists,
        Some(tables::Kind::Denied) => ErrorKind::Denied { action: denied_action(message).unwrap_or(action).to_owned() },
        Some(tables::Kind::Expired) => ErrorKind::CredentialsExpired,
        Some(tables::Kind::Unavailable) => ErrorKind::Unavailable,
        Some(tables::Kind::Invalid) => ErrorKind::Invalid,
        None if *status == 429 => ErrorKind::Throttled,
        None if *status >= 500 => ErrorKind::Unavailable,
        // S3 answers HEAD without a body, hence without a code.
        None if code.is_empty() && *status == 403 => ErrorKind::Denied { action: action.clone() },
        None if *status == 404 => ErrorKind::NotFoundYet,
        None => ErrorKind::Invalid,
    };
    let code = if code.is_empty() { format!("HTTP {status}") } else { (*code).to_owned() };
    let separator = if message.is_empty() { "" } else { ": " };
    CloudError::new(kind, format!("{action}: {code}{separator}{message}"))
}

/// Trouble on the way to credentials, which no service has seen.
fn credentials<E>(error: &SdkError<E, HttpResponse>) -> Option<CloudError>
where
    E: Error + Send + Sync + 'static,
{
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(this) = next {
        if let Some(found) = this.downcast_ref::<CredentialsError>() {
            return Some(CloudError::new(ErrorKind::CredentialsExpired, chain(found)));
        }
        next = this.source();
    }
    None
}

/// `CreateVpc` of `aws_sdk_ec2::operation::create_vpc::CreateVPCError`.
fn operation<E>() -> &'static str {
    let name = std::any::type_name::<E>();
    let name = name.rsplit("::").next().unwrap_or(name);
    name.strip_suffix("Error").unwrap_or(name)
}

/// "User: ARN is not authorized to perform: ec2:CreateVpc on resource: ..."; the action may be another one than the one
/// called (`iam:PassRole`).
fn denied_action(message: &str) -> Option<&str> {
    let rest = message.split_once("to perform: ")?.1;
    let action = rest.split([' ', ',']).next()?.trim_end_matches('.');
    action.contains(':').then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(table: Table, code: &str, message: &str, status: u16) -> ErrorKind {
        refused(table, &Refusal { code, message, status, action: "x:Y".to_owned() }).kind
    }

    #[test]
    fn common_codes_mean_the_same_everywhere() {
        for (code, status, expected) in [
            ("RequestLimitExceeded", 503, ErrorKind::Throttled),
            ("Throttling", 400, ErrorKind::Throttled),
            ("ThrottlingException", 400, ErrorKind::Throttled),
            ("ExpiredToken", 403, ErrorKind::CredentialsExpired),
            ("ExpiredTokenException", 400, ErrorKind::CredentialsExpired),
            ("InternalError", 500, ErrorKind::Unavailable),
            ("", 502, ErrorKind::Unavailable),
            ("", 429, ErrorKind::Throttled),
            ("", 404, ErrorKind::NotFoundYet),
            ("NeverHeardOf", 400, ErrorKind::Invalid),
            ("NeverHeardOf", 503, ErrorKind::Unavailable),
        ] {
            for table in [tables::EC2, tables::ELB, tables::IAM, tables::S3, tables::ECS, tables::LOGS] {
                assert_eq!(kind(table, code, "", status), expected, "{code} {status}");
            }
        }
    }

    #[test]
    fn a_denial_names_the_missing_action() {
        let message =
            "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r";
        assert_eq!(
            kind(tables::EC2, "UnauthorizedOperation", message, 403),
            ErrorKind::Denied { action: "iam:PassRole".to_owned() }
        );
        assert_eq!(
            kind(tables::EC2, "UnauthorizedOperation", "no.", 403),
            ErrorKind::Denied { action: "x:Y".to_owned() }
        );
        assert_eq!(kind(tables::S3, "", "", 403), ErrorKind::Denied { action: "x:Y".to_owned() });
    }

    #[test]
    fn messages_decide_where_codes_do_not() {
        let propagating =
            "Value (cortex-a) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
        assert_eq!(kind(tables::EC2, "InvalidParameterValue", propagating, 400), ErrorKind::NotFoundYet);
        assert_eq!(kind(tables::EC2, "InvalidParameterValue", "bad port", 400), ErrorKind::Invalid);
        let gone = "AutoScalingGroup name not found - null";
        assert_eq!(kind(tables::AUTO_SCALING, "ValidationError", gone, 400), ErrorKind::NotFoundYet);
        assert_eq!(kind(tables::S3, "MalformedPolicy", "Invalid principal in policy", 400), ErrorKind::NotFoundYet);
        assert_eq!(kind(tables::S3, "MalformedPolicy", "Policy has invalid action", 400), ErrorKind::Invalid);
    }

    #[test]
    fn names_of_operations_come_from_their_errors() {
        assert_eq!(operation::<aws_sdk_ec2::operation::create_vpc::CreateVpcError>(), "CreateVpc");
    }
}
