//! Why an old client gets no prediction, besides what every client may be refused for.

use std::time::Duration;

use http::StatusCode;

use crate::error::{Blame, Retry};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It may be that the length was wrong and the body's end is still to come.
    #[error("the body {0}; it should be `{{\"data\": {{...}}}}`")]
    NotJson(&'static str),
    #[error("the body has no `data`, or one that is neither an object nor an array")]
    NoData,
    #[error(
        "with the key in the body, it has at most {limit} bytes; send the key as the password of HTTP Basic and it may be \
         larger"
    )]
    StrangerTooLarge { limit: usize },
    #[error("a query of an old client has at most {limit} bytes; larger ones go to the API's own endpoint")]
    TooLarge { limit: usize },
    #[error("the body was not complete within {} s; with the key in a header there is more time", .0.as_secs_f32())]
    Late(Duration),
    #[error("too many old clients at once are sending large bodies: try again in a moment")]
    Full,
    #[error("the answer has more than {limit} bytes, too many for an old client; the API's own endpoint gives it")]
    ReplyTooLarge { limit: usize },
    #[error("the answer came, but there was no room for it: too many old clients at once get large answers")]
    ReplyFull,
    #[error("feedback is not kept by this cluster, and this one was thrown away")]
    Feedback,
}

impl Refusal {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::NotJson(_) | Self::NoData | Self::StrangerTooLarge { .. } | Self::TooLarge { .. } | Self::Late(_) => {
                Blame::Client
            }
            Self::ReplyTooLarge { .. } => Blame::Upstream,
            Self::Full | Self::ReplyFull | Self::Feedback => Blame::Gateway,
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Full => Retry::Always,
            _ => Retry::Never,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotJson(_) | Self::NoData => StatusCode::BAD_REQUEST,
            Self::StrangerTooLarge { .. } | Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::ReplyTooLarge { .. } => StatusCode::BAD_GATEWAY,
            Self::ReplyFull => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Feedback => StatusCode::NOT_IMPLEMENTED,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotJson(_) | Self::NoData => "bad_request",
            Self::StrangerTooLarge { .. } | Self::TooLarge { .. } => "body_too_large",
            Self::Late(_) => "request_timeout",
            Self::Full => "overloaded",
            Self::ReplyFull => "no_room_for_reply",
            Self::ReplyTooLarge { .. } => "reply_too_large",
            Self::Feedback => "feedback_not_kept",
        }
    }

    /// Whether what comes next on the connection may be the end of this body: an old client for Node counts characters where
    /// it should count bytes.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(self, Self::NotJson(_))
    }
}
