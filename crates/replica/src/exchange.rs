//! One request and one reply, as predictors see them.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts};
use telemetry::{TRACEPARENT, TraceContext};
use tokio::sync::mpsc;

use crate::{predictor::PredictError, query};

/// About the connection and not the request (RFC 9110, 7.6.1); predictors do not see them.
pub(crate) const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request with its body. What not every predictor looks at is computed when it is asked for.
#[derive(Debug)]
pub(crate) struct Request {
    /// The gateway's request id, for logs.
    pub(crate) id: String,
    /// As the gateway sent it: the path is without the API's endpoint.
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    pub(crate) turn: Turn,
}

/// When a request's turn came; told by whoever knows: the server, or a predictor that has a queue of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<OnceLock<Instant>>);

impl Turn {
    pub(crate) fn comes(&self) {
        let _ = self.0.set(Instant::now());
    }

    pub(crate) fn came(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// What log lines call a request, when it is gone.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) request_id: String,
    traceparent: Option<HeaderValue>,
    pub(crate) turn: Turn,
}

impl Name {
    /// Of the trace that the request belongs to.
    pub(crate) fn trace_id(&self) -> Option<String> {
        TraceContext::parse(self.traceparent.as_ref()?.to_str().ok()?).map(|context| context.trace_id())
    }
}

impl Request {
    pub(crate) fn name(&self) -> Name {
        let traceparent = self.head.headers.get(TRACEPARENT).cloned();
        Name { request_id: self.id.clone(), traceparent, turn: self.turn.clone() }
    }

    pub(crate) fn into_name(mut self) -> Name {
        Name { traceparent: self.head.headers.remove(TRACEPARENT), request_id: self.id, turn: self.turn }
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.header(CONTENT_TYPE.as_str())
    }

    /// The first value of that name, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Lower-case names; values of a repeated header are joined by `, `.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let headers = &self.head.headers;
        headers.keys().map(HeaderName::as_str).filter(|name| !HOP_BY_HOP.contains(name)).map(|name| {
            let mut values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let first = values.next().unwrap_or_default();
            let joined = values.fold(first, |all, value| Cow::Owned(format!("{all}, {value}")));
            (name, joined)
        })
    }

    /// Decoded, in the order in which they were sent.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        query::pairs(self.head.uri.query().unwrap_or_default())
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Content-Type among them.
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
}

#[derive(Debug)]
pub(crate) enum ReplyBody {
    Whole(Bytes),
    /// Piece by piece. An error cuts it off, since the status is out by then. Dropping the receiver means that nobody
    /// listens any more.
    Stream(mpsc::Receiver<Result<Bytes, PredictError>>),
}

impl Reply {
    pub(crate) fn new(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        Self { status: StatusCode::OK, headers, body: ReplyBody::Whole(body.into()) }
    }

    pub(crate) fn json(body: impl Into<Bytes>) -> Self {
        Self::new(JSON, body)
    }
}
