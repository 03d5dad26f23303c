//! What went wrong, in words for people, and in the few kinds that matter here.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use state::StateError;

use crate::calls::chain;

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: String,
    /// The object's name, or how the names of several begin.
    pub(super) object: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.object)
    }
}

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such object.
    Missing,
    /// The object is not as `If-Match` or `If-None-Match` asks.
    Condition,
    /// Somebody else writes the same object right now (409 `ConditionalRequestConflict`, `OperationAborted`).
    Busy(StateError),
    Other(StateError),
}

/// `action` as IAM calls it, `s3:GetObject`.
pub(super) fn judge<E>(place: &Place, action: &str, error: &SdkError<E, Response>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(status) = error.raw_response().map(|reply| reply.status().as_u16()) else {
        return Failure::Other(unavailable(place, action, &chain(error)));
    };
    // Replies to HEAD have no body, so no code.
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    match (status, code) {
        (404, "" | "NoSuchKey" | "NotFound") => Failure::Missing,
        (412, _) => Failure::Condition,
        (409, _) => Failure::Busy(refused(place, action, status, code, message)),
        (403, "" | "AccessDenied" | "AccessDeniedException") => Failure::Other(denied(place, action, message)),
        _ => Failure::Other(refused(place, action, status, code, message)),
    }
}

impl Failure {
    /// Where all kinds are failures.
    pub(super) fn into_error(self, place: &Place) -> StateError {
        match self {
            Self::Missing => StateError::Unavailable(format!("{place}: it is not there")),
            Self::Condition => StateError::Unavailable(format!("{place}: S3 found a condition where none was set")),
            Self::Busy(error) | Self::Other(error) => error,
        }
    }
}

fn denied(place: &Place, action: &str, message: &str) -> StateError {
    let also = match action {
        "s3:GetObject" => " (and s3:ListBucket on the bucket, to be told what is not there)",
        _ => "",
    };
    let said = if message.is_empty() { String::new() } else { format!("; AWS says: {message}") };
    StateError::Unavailable(format!("{place}: AccessDenied: the credentials need {action}{also}{said}"))
}

fn refused(place: &Place, action: &str, status: u16, code: &str, message: &str) -> StateError {
    let code = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
    let said = if message.is_empty() { String::new() } else { format!(": {message}") };
    StateError::Unavailable(format!("{place}: {action}: {code}{said}"))
}

pub(super) fn unavailable(place: &Place, action: &str, why: &str) -> StateError {
    StateError::Unavailable(format!("{place}: {action}: {why}"))
}
