//! Phase 8: what happened to the request, as one log event and in the metrics.
//!
//! A [`Record`] begins with the request and ends when it is dropped, which is when the last byte of the response was
//! handed over or the client went away, so that no way out is missed.

use std::{sync::Arc, time::Instant};

use http::{HeaderValue, Method, StatusCode};
use transport::Peer;

use crate::{
    error::{Blame, Error},
    metrics::{ApiMetrics, Ended, Metrics},
    snapshot::Api,
    trace::Trace,
    upstream::{Progress, Upstream},
};

const CLIENT_GONE: (&str, Blame) = ("client_gone", Blame::Client);

/// How a request ended.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The client has it all.
    Complete,
    /// The replica's response broke off.
    CutOff,
    /// Nobody said: the client went away.
    Abandoned,
}

#[derive(Debug)]
pub(crate) struct Record {
    metrics: Arc<ApiMetrics>,
    begun: Instant,
    chosen: Option<Instant>,
    head: Option<Instant>,
    id: HeaderValue,
    peer: Peer,
    method: Method,
    request: Arc<Progress>,
    api: Option<Arc<Api>>,
    replica: Option<Arc<Upstream>>,
    attempts: u64,
    status: Option<StatusCode>,
    error: Option<(&'static str, Blame)>,
    sent: u64,
    end: End,
    trace: Trace,
}

impl Record {
    pub(crate) fn begin(
        metrics: &Metrics,
        id: &HeaderValue,
        peer: Peer,
        method: &Method,
        request: &Arc<Progress>,
        trace: Trace,
    ) -> Self {
        let metrics = metrics.unrouted();
        metrics.begin();
        Self {
            metrics,
            begun: request.begun(),
            chosen: None,
            head: None,
            id: id.clone(),
            peer,
            method: method.clone(),
            request: Arc::clone(request),
            api: None,
            replica: None,
            attempts: 0,
            status: None,
            error: None,
            sent: 0,
            end: End::Abandoned,
            trace,
        }
    }

    pub(crate) fn routed(&mut self, api: &Arc<Api>) {
        api.metrics.take_over(&self.metrics);
        self.metrics = Arc::clone(&api.metrics);
        self.api = Some(Arc::clone(api));
    }

    /// Now; returned, since asking for the time takes time.
    pub(crate) fn chose(&mut self, replica: &Arc<Upstream>) -> Instant {
        self.attempts += 1;
        self.replica = Some(Arc::clone(replica));
        *self.chosen.insert(Instant::now())
    }

    /// The version of the replica that was chosen last.
    pub(crate) fn version(&self) -> Option<&str> {
        self.replica.as_deref().map(|replica| &*replica.version)
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.error = Some((error.kind(), error.blame()));
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.head = Some(Instant::now());
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        self.end = End::Complete;
    }

    pub(crate) fn cut_off(&mut self) {
        self.end = End::CutOff;
    }

    fn count(&self, error: Option<(&'static str, Blame)>) {
        let error = match self.end {
            End::Abandoned => Some(CLIENT_GONE),
            _ => error,
        };
        self.metrics.ended(&Ended {
            version: self.replica.as_ref().map(|replica| &*replica.metrics),
            status: self.status,
            error,
            attempts: self.attempts,
            received: self.request.bytes(),
            sent: self.sent,
            begun: self.begun,
            chosen: self.chosen,
            head: self.head,
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let error = match self.end {
            End::CutOff => Some(("replica_lost", Blame::Upstream)),
            End::Complete => self.error,
            End::Abandoned => self.error.or(Some(CLIENT_GONE)),
        };
        self.count(error);
        let replica = self.replica.as_deref();
        tracing::info!(
            target: "gateway::request",
            request_id = self.id.to_str().unwrap_or_default(),
            trace_id = self.trace.id(),
            peer = %self.peer,
            method = %self.method,
            api = self.api.as_deref().map(|api| &*api.name),
            version = replica.map(|replica| &*replica.version),
            replica = replica.map(|replica| &*replica.id),
            status = self.status.map(|status| status.as_u16()),
            error = error.map(|(kind, _)| kind),
            attempts = self.attempts,
            bytes_in = self.request.bytes(),
            bytes_out = self.sent,
            duration_ms = self.begun.elapsed().as_secs_f64() * 1000.0,
            "request"
        );
        let (api, status, attempts) = (self.api.take(), self.status, self.attempts);
        let (id, method) = (&self.id, &self.method);
        self.trace.end(|span| {
            span.text("http.request.method", method.as_str());
            span.text("cortex.request_id", id.to_str().unwrap_or_default());
            if let Some(api) = api {
                span.text("cortex.api", &*api.name);
            }
            if let Some(replica) = replica {
                span.text("cortex.version", replica.version.as_str());
                span.text("cortex.replica", replica.id.as_str());
                span.number("cortex.attempts", i64::try_from(attempts).unwrap_or(i64::MAX));
            }
            if let Some(status) = status {
                span.number("http.response.status_code", i64::from(status.as_u16()));
            }
            match (error, status) {
                (Some((kind, _)), _) => span.fail(kind),
                (None, Some(status)) if status.is_server_error() => span.fail(status.as_str()),
                _ => {}
            }
        });
    }
}
