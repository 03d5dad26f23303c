//! The one place where a refusal becomes a status and a body.

use std::time::Duration;

use api::wire::ErrorBody;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use identity::{Principal, Role};

use super::AuthError;
use crate::app::AppError;

/// A request that was not granted. Its body is written last, when the request's id is known.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: String,
    message: String,
    /// Seconds, for the statuses that invite to come again.
    retry_after: u32,
    /// The scheme that would be taken, for 401.
    challenge: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        Self { status, kind: kind.to_owned(), message: message.into(), retry_after: 1, challenge: "Bearer" }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// `challenge` is the scheme of the authenticator that refused.
    pub(crate) fn unauthenticated(error: &AuthError, challenge: &'static str) -> Self {
        let (status, kind, retry_after) = match error {
            AuthError::Missing | AuthError::Invalid | AuthError::Refused(_) => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", 1)
            }
            AuthError::Denied(_) => (StatusCode::FORBIDDEN, "forbidden", 1),
            AuthError::TooMany { retry_after } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", *retry_after),
            AuthError::Unavailable { retry_after, .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", *retry_after)
            }
        };
        Self { retry_after, challenge, ..Self::new(status, kind, error.to_string()) }
    }

    /// The proof is good, and the body is not the one it was made for.
    pub(crate) fn content_mismatch() -> Self {
        let message = "the body is not what was signed: it was changed on its way";
        Self { challenge: identity::sts::SCHEME, ..Self::new(StatusCode::UNAUTHORIZED, "content_mismatch", message) }
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        let message = format!("the body is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// The caller has stopped sending.
    pub(crate) fn stalled(patience: Duration) -> Self {
        let message = format!("no more of the request's body came for {} s", patience.as_secs_f32());
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not know that method")
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn forbidden(principal: &Principal, role: Role) -> Self {
        let message = format!("{principal} has the role {:?}, and this needs {role:?}", principal.role);
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// What axum refused by itself, in our form.
    pub(crate) async fn from_framework(response: Response) -> Self {
        let status = response.status();
        let text = match response.into_body().collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(_) => String::new(),
        };
        let kind = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            _ => "bad_request",
        };
        Self::new(status, kind, if text.is_empty() { status.to_string() } else { text })
    }

    pub(crate) fn into_body(self, request_id: &str) -> Response {
        let body = ErrorBody { kind: self.kind, message: self.message, request_id: request_id.to_owned() };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        let (status, kind) = match &error {
            AppError::Invalid { kind, .. } => (StatusCode::BAD_REQUEST, *kind),
            AppError::EndpointTaken { .. } => (StatusCode::CONFLICT, "deploy.endpoint_taken"),
            AppError::NoSuchApi(_) => (StatusCode::NOT_FOUND, "api_not_found"),
            AppError::NoSuchBundle(_) => (StatusCode::NOT_FOUND, "bundle_not_found"),
            AppError::NoSuchApiKey(_) | AppError::NoApiKeyForAll => (StatusCode::NOT_FOUND, "api_key_not_found"),
            AppError::ApiKeyNameTaken(_) => (StatusCode::CONFLICT, "api_key.name_taken"),
            AppError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            AppError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            AppError::Interrupted(_) => (StatusCode::BAD_REQUEST, "upload_interrupted"),
            AppError::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
            AppError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, kind, error.to_string())
    }
}
