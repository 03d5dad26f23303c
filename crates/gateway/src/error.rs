//! Why a request gets no answer from a replica: who caused it, whether it may be sent again, and how it is told.

use std::{error::Error as StdError, time::Duration};

use http::StatusCode;

use crate::predictive_services::Refusal;

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Client,
    /// The replica.
    Upstream,
    /// The gateway, or the cluster around it.
    Gateway,
}

/// Whether the same request may be sent again, to any replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Yes: no replica has seen any of it.
    Always,
    /// Only if doing it twice is the same as doing it once: a replica may have begun.
    Idempotent,
    Never,
}

type Source = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("this gateway has just started and has no routes yet: try again in a moment")]
    Starting,
    #[error(
        "this request needs the cluster's API key, as `Authorization: Bearer KEY`, `x-api-key: KEY` or the password of \
         HTTP Basic"
    )]
    NoKey,
    #[error("this is not a key of this cluster, or not any more")]
    WrongKey,
    #[error("pages of this origin may not call this path; `cortex cors set` says which may")]
    Origin,
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the method {0} is not for APIs")]
    Method(http::Method),
    #[error("no API has this path; `cortex get` lists the APIs and their endpoints")]
    ApiNotFound,
    #[error("the API has no replica that is ready: try again in a moment; `cortex get` shows what it is doing")]
    NotReady,
    #[error("{0} requests of this API wait at the gateway, which is as many as may: try again in a moment")]
    QueueFull(usize),
    #[error("the request waited {} s for others of this API to end: try again in a moment", .0.as_secs_f32())]
    NoPlace(Duration),
    #[error("no replica of the API took a connection: try again in a moment")]
    Unreachable(#[source] Source),
    #[error("the replica was lost before it answered; whether it worked on the request is not known")]
    ReplicaLost(#[source] Source),
    #[error("the replica's answer is not valid HTTP")]
    BadReply(#[source] Source),
    #[error("the replica did not answer within {} s", .0.as_secs_f32())]
    Deadline(Duration),
    #[error("no more of the request's body came for {} s", .0.as_secs_f32())]
    BodyStalled(Duration),
    #[error("the request's body ended before it was complete")]
    BodyBroken,
    /// Only on the routes of Predictive Services.
    #[error(transparent)]
    OldClient(#[from] Refusal),
}

impl Error {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::NoKey
            | Self::WrongKey
            | Self::Origin
            | Self::BadRequest(_)
            | Self::Method(_)
            | Self::ApiNotFound
            | Self::BodyStalled(_)
            | Self::BodyBroken => Blame::Client,
            Self::Unreachable(_) | Self::ReplicaLost(_) | Self::BadReply(_) | Self::Deadline(_) => Blame::Upstream,
            Self::Starting | Self::NotReady | Self::QueueFull(_) | Self::NoPlace(_) => Blame::Gateway,
            Self::OldClient(refusal) => refusal.blame(),
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Starting | Self::NotReady | Self::QueueFull(_) | Self::NoPlace(_) | Self::Unreachable(_) => {
                Retry::Always
            }
            Self::ReplicaLost(_) => Retry::Idempotent,
            Self::OldClient(refusal) => refusal.retry(),
            _ => Retry::Never,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::ApiNotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyStalled(_) => StatusCode::REQUEST_TIMEOUT,
            Self::ReplicaLost(_) | Self::BadReply(_) => StatusCode::BAD_GATEWAY,
            Self::Starting | Self::NotReady | Self::QueueFull(_) | Self::NoPlace(_) | Self::Unreachable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Deadline(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::OldClient(refusal) => refusal.status(),
        }
    }

    /// Stable, for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Starting => "gateway_starting",
            Self::NoKey | Self::WrongKey => "unauthenticated",
            Self::BadRequest(_) | Self::BodyBroken => "bad_request",
            Self::Method(_) => "method_not_allowed",
            Self::Origin => "origin_not_allowed",
            Self::ApiNotFound => "api_not_found",
            Self::NotReady => "api_not_ready",
            Self::QueueFull(_) | Self::NoPlace(_) => "overloaded",
            Self::Unreachable(_) => "replica_unreachable",
            Self::ReplicaLost(_) => "replica_lost",
            Self::BadReply(_) => "bad_reply",
            Self::Deadline(_) => "deadline_exceeded",
            Self::BodyStalled(_) => "request_timeout",
            Self::OldClient(refusal) => refusal.kind(),
        }
    }

    /// Whether nothing that may come on the connection after this can be trusted to be a request, or will come.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Self::BodyStalled(_) | Self::BodyBroken => true,
            Self::OldClient(refusal) => refusal.ends_connection(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_follows_blame_and_only_a_refusal_to_begin_invites_a_retry() {
        let source = || Source::from("broken");
        let all = [
            Error::Starting,
            Error::NoKey,
            Error::WrongKey,
            Error::Origin,
            Error::BadRequest("bad"),
            Error::Method(http::Method::TRACE),
            Error::ApiNotFound,
            Error::NotReady,
            Error::QueueFull(1),
            Error::NoPlace(Duration::from_secs(1)),
            Error::Unreachable(source()),
            Error::ReplicaLost(source()),
            Error::BadReply(source()),
            Error::Deadline(Duration::from_secs(1)),
            Error::BodyStalled(Duration::from_secs(1)),
            Error::BodyBroken,
            Refusal::NotJson("is no JSON").into(),
            Refusal::NoData.into(),
            Refusal::StrangerTooLarge { limit: 1 }.into(),
            Refusal::TooLarge { limit: 1 }.into(),
            Refusal::Late(Duration::from_secs(1)).into(),
            Refusal::Full.into(),
            Refusal::ReplyTooLarge { limit: 1 }.into(),
            Refusal::ReplyFull.into(),
            Refusal::Feedback.into(),
        ];
        for error in all {
            assert_eq!(error.status().is_client_error(), error.blame() == Blame::Client, "{error:?}");
            assert_eq!(error.status() == StatusCode::SERVICE_UNAVAILABLE, error.retry() == Retry::Always, "{error:?}");
        }
    }
}
