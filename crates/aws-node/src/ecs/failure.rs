//! What ECS or CloudWatch Logs refused, in one sentence.

use std::error::Error;

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use operator::engine::EngineError;

use crate::calls::chain;

/// Why a call has no result.
#[derive(Debug)]
pub(super) struct Failure {
    /// The service's own name for it; empty if it did not answer.
    pub(super) code: String,
    text: String,
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.text)
    }
}

/// `action` as IAM calls it, `ecs:CreateService`.
pub(super) fn failure<E>(action: &str) -> impl FnOnce(SdkError<E, Response>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    move |error| {
        let Some(status) = error.raw_response().map(|reply| reply.status().as_u16()) else {
            return Failure { code: String::new(), text: format!("{action}: {}", chain(&error)) };
        };
        let code = error.code().unwrap_or_default().to_owned();
        let text = tell(action, status, &code, error.message().unwrap_or_default());
        Failure { code, text }
    }
}

fn tell(action: &str, status: u16, code: &str, message: &str) -> String {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            let said = if message.is_empty() { String::new() } else { format!("; AWS says: {message}") };
            format!("{action}: {code}: the operator's role needs {}{said}", missing(message).unwrap_or(action))
        }
        "" => format!("{action}: status {status}"),
        _ if message.is_empty() => format!("{action}: {code}"),
        _ => format!("{action}: {code}: {message}"),
    }
}

/// "User: ARN is not authorized to perform: iam:PassRole on resource: ...": the action may be another one than the one called.
fn missing(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("to perform: ")?;
    rest.split([' ', ',']).next().filter(|action| action.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::tell;

    #[test]
    fn a_denial_names_the_permission() {
        let text = tell("ecs:CreateService", 400, "AccessDeniedException", "User is not authorized");
        assert!(text.contains("needs ecs:CreateService") && text.contains("User is not authorized"), "{text}");
        let message = "User: arn:aws:sts::1:assumed-role/r/i is not authorized to perform: iam:PassRole on resource: r";
        let text = tell("ecs:RegisterTaskDefinition", 400, "AccessDeniedException", message);
        assert!(text.contains("needs iam:PassRole;"), "{text}");
        assert_eq!(
            tell("ecs:ListTasks", 400, "ClusterNotFoundException", "Cluster not found."),
            "ecs:ListTasks: ClusterNotFoundException: Cluster not found."
        );
        assert_eq!(tell("ecs:ListTasks", 503, "", ""), "ecs:ListTasks: status 503");
    }
}
