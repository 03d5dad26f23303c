//! Why a request gets no prediction, and how that is told.

use std::fmt;

use http::StatusCode;

use crate::predictor::PredictError;

/// Why a request gets no prediction.
#[derive(Debug)]
pub(super) enum Refusal {
    MethodNotAllowed,
    TooLarge {
        limit: usize,
    },
    /// The connection broke before the body was complete; nobody will read the answer.
    Truncated,
    Overloaded,
    Predict(PredictError),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Truncated | Self::Predict(PredictError::BadRequest(_)) => StatusCode::BAD_REQUEST,
            Self::Predict(PredictError::NotFound(_)) => StatusCode::NOT_FOUND,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Predict(PredictError::Raised { .. } | PredictError::BadResponse(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Predict(PredictError::Died) => StatusCode::BAD_GATEWAY,
            Self::Predict(PredictError::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Stable; part of the API.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge { .. } => "body_too_large",
            Self::Truncated | Self::Predict(PredictError::BadRequest(_)) => "bad_request",
            Self::Predict(PredictError::NotFound(_)) => "not_found",
            Self::Overloaded => "overloaded",
            Self::Predict(PredictError::Raised { .. }) => "predictor_raised",
            Self::Predict(PredictError::BadResponse(_)) => "bad_response",
            Self::Predict(PredictError::Died) => "predictor_died",
            Self::Predict(PredictError::TimedOut) => "predictor_timeout",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MethodNotAllowed => f.write_str("POST a request for a prediction, or GET / for what this API takes"),
            Self::TooLarge { limit } => write!(f, "the request body is longer than {limit} bytes"),
            Self::Truncated => f.write_str("the request body ended early"),
            Self::Overloaded => f.write_str("too many requests are waiting for this replica: try again soon"),
            Self::Predict(error) => error.fmt(f),
        }
    }
}
