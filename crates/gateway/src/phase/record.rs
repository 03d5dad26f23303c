//! Phase 8: what happened to the request, as one log event and in the counters.
//!
//! A [`Record`] begins with the request and ends when it is dropped, which is when the last byte of the response was
//! handed over or the client went away, so that no way out is missed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderValue, Method, StatusCode};
use transport::Peer;

use crate::{
    error::{Blame, Error},
    snapshot::Api,
    upstream::{Progress, Upstream},
};

/// Since the start of the gateway.
#[derive(Debug, Default)]
pub struct Counters {
    begun: AtomicU64,
    ended: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// The [`Counters`] at one moment. Requests for `/healthz` are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u64,
    /// Requests whose response has not ended.
    pub in_flight: u64,
    /// Refused or given up by the gateway for a reason that is the client's.
    pub refused: u64,
    /// Answered with an error, or cut off, for a reason that is a replica's or the gateway's.
    pub failed: u64,
    /// The client went away before the end.
    pub abandoned: u64,
    /// Times a request was given to a replica.
    pub attempts: u64,
    /// Those of them that were not the first for their request.
    pub retries: u64,
    /// Bytes of bodies, from clients and to clients.
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Counters {
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Ended first: what ends in between must not make the difference negative.
        let ended = get(&self.ended);
        let requests = get(&self.begun);
        Counts {
            requests,
            in_flight: requests.saturating_sub(ended),
            refused: get(&self.refused),
            failed: get(&self.failed),
            abandoned: get(&self.abandoned),
            attempts: get(&self.attempts),
            retries: get(&self.retries),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
        }
    }
}

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
    counters: Arc<Counters>,
    begun: Instant,
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
}

impl Record {
    pub(crate) fn begin(
        counters: &Arc<Counters>,
        id: &HeaderValue,
        peer: Peer,
        method: &Method,
        request: &Arc<Progress>,
    ) -> Self {
        counters.begun.fetch_add(1, Ordering::Relaxed);
        Self {
            counters: Arc::clone(counters),
            begun: Instant::now(),
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
        }
    }

    pub(crate) fn routed(&mut self, api: &Arc<Api>) {
        self.api = Some(Arc::clone(api));
    }

    pub(crate) fn chose(&mut self, replica: &Arc<Upstream>) {
        self.attempts += 1;
        self.replica = Some(Arc::clone(replica));
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

    fn count(&self, blame: Option<Blame>) {
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        match (self.end, blame) {
            (End::Abandoned, _) => add(&self.counters.abandoned, 1),
            (_, Some(Blame::Client)) => add(&self.counters.refused, 1),
            (_, Some(Blame::Upstream | Blame::Gateway)) => add(&self.counters.failed, 1),
            (_, None) => 0,
        };
        add(&self.counters.attempts, self.attempts);
        add(&self.counters.retries, self.attempts.saturating_sub(1));
        add(&self.counters.bytes_in, self.request.bytes());
        add(&self.counters.bytes_out, self.sent);
        add(&self.counters.ended, 1);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let error = match self.end {
            End::CutOff => Some(("replica_lost", Blame::Upstream)),
            End::Complete => self.error,
            End::Abandoned => self.error.or(Some(("client_gone", Blame::Client))),
        };
        self.count(error.map(|(_, blame)| blame));
        let replica = self.replica.as_deref();
        tracing::info!(
            target: "gateway::request",
            request_id = self.id.to_str().unwrap_or_default(),
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
    }
}
