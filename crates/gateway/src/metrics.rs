//! What the gateway counts, and for how long.
//!
//! The numbers of an API and of each of its versions are found by name once, when a snapshot is made, which then holds
//! them, as do the requests under way; a request only adds. They survive snapshots as long as the API is in them. When
//! nobody holds them any more they are gone, and what the gateway has counted in all keeps their sum ([`Counts`]).

mod page;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    time::{Instant, SystemTime},
};

use http::StatusCode;
use telemetry::{ByKind, Codes, Counter, Gauge, Histogram};
use transport::ServerTls;

use crate::error::Blame;

/// All numbers of a gateway.
#[derive(Default)]
pub struct Metrics {
    apis: Mutex<BTreeMap<String, Weak<ApiMetrics>>>,
    /// Of requests that are not for any API, or not yet.
    unrouted: Arc<ApiMetrics>,
    departed: Arc<Mutex<Counts>>,
    published: Gauge,
    store_read: Gauge,
    certificates: RwLock<Vec<ServerTls>>,
}

/// Of one API.
#[derive(Debug, Default)]
pub(crate) struct ApiMetrics {
    name: String,
    /// Of requests that got to no replica.
    none: VersionMetrics,
    versions: Mutex<BTreeMap<String, Weak<VersionMetrics>>>,
    /// Their responses have not ended.
    open: Gauge,
    /// They wait for a place.
    pub(crate) queued: Gauge,
    /// How long they did.
    pub(crate) queue: Histogram,
    errors: ByKind,
    ended: Counter,
    attempts: Counter,
    retries: Counter,
    received: Counter,
    sent: Counter,
    departed: Weak<Mutex<Counts>>,
}

/// Of one version of one API.
#[derive(Debug, Default)]
pub(crate) struct VersionMetrics {
    codes: Codes,
    /// Ended before there was a code.
    no_code: Counter,
    total: Histogram,
    wait: Histogram,
    pub(crate) connect: Histogram,
    head: Histogram,
    body: Histogram,
}

/// A request that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) version: Option<&'a VersionMetrics>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<(&'static str, Blame)>,
    pub(crate) attempts: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) begun: Instant,
    /// When the last replica was.
    pub(crate) chosen: Option<Instant>,
    /// When the head of the response was there.
    pub(crate) head: Option<Instant>,
}

/// What the gateway has counted since its start, all APIs together, also those that are gone. Looks at `/healthz` and
/// `/metrics` are not counted.
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

impl Metrics {
    pub fn counts(&self) -> Counts {
        // Before the departed: whatever departs meanwhile is then counted twice rather than not at all, and only for now.
        let mut counts = Counts::default();
        for api in self.present() {
            api.add_to(&mut counts);
        }
        let departed = *lock(&self.departed);
        counts.plus(&departed)
    }

    pub(crate) fn unrouted(&self) -> Arc<ApiMetrics> {
        Arc::clone(&self.unrouted)
    }

    /// The numbers of the API of that name, if somebody holds them still, or new ones.
    pub(crate) fn api(&self, name: &str) -> Arc<ApiMetrics> {
        let mut apis = lock(&self.apis);
        if let Some(known) = apis.get(name).and_then(Weak::upgrade) {
            return known;
        }
        apis.retain(|_, api| api.strong_count() > 0);
        let departed = Arc::downgrade(&self.departed);
        let mut new = ApiMetrics::default();
        (new.name, new.departed) = (name.to_owned(), departed);
        let new = Arc::new(new);
        apis.insert(name.to_owned(), Arc::downgrade(&new));
        new
    }

    pub(crate) fn published(&self) {
        self.published.set(now());
    }

    pub(crate) fn store_read(&self) {
        self.store_read.set(now());
    }

    pub(crate) fn shows(&self, tls: ServerTls) {
        self.certificates.write().unwrap_or_else(PoisonError::into_inner).push(tls);
    }

    fn present(&self) -> Vec<Arc<ApiMetrics>> {
        let apis = lock(&self.apis);
        [self.unrouted()].into_iter().chain(apis.values().filter_map(Weak::upgrade)).collect()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl ApiMetrics {
    /// The numbers of that version, if somebody holds them still, or new ones.
    pub(crate) fn version(&self, version: &str) -> Arc<VersionMetrics> {
        let mut versions = lock(&self.versions);
        if let Some(known) = versions.get(version).and_then(Weak::upgrade) {
            return known;
        }
        versions.retain(|_, version| version.strong_count() > 0);
        let new = Arc::new(VersionMetrics::default());
        versions.insert(version.to_owned(), Arc::downgrade(&new));
        new
    }

    pub(crate) fn begin(&self) {
        self.open.add(1);
    }

    /// A request that was counted there is counted here.
    pub(crate) fn take_over(&self, other: &Self) {
        self.open.add(1);
        other.open.add(-1);
    }

    pub(crate) fn ended(&self, request: &Ended<'_>) {
        let now = Instant::now();
        let version = request.version.unwrap_or(&self.none);
        match request.status {
            Some(status) => version.codes.add(status.as_u16()),
            None => version.no_code.add(1),
        }
        version.total.observe(now - request.begun);
        if let Some(chosen) = request.chosen {
            version.wait.observe(chosen - request.begun);
            if let Some(head) = request.head {
                version.head.observe(head - chosen);
                version.body.observe(now - head);
            }
        }
        if let Some((kind, blame)) = request.error {
            self.errors.add(kind, cause(blame));
        }
        if request.attempts > 0 {
            self.attempts.add(request.attempts);
            self.retries.add(request.attempts - 1);
        }
        self.received.add(request.received);
        self.sent.add(request.sent);
        self.ended.add(1);
        self.open.add(-1);
    }

    fn add_to(&self, counts: &mut Counts) {
        let open = u64::try_from(self.open.get()).unwrap_or(0);
        let mut here = Counts {
            requests: self.ended.get() + open,
            in_flight: open,
            attempts: self.attempts.get(),
            retries: self.retries.get(),
            bytes_in: self.received.get(),
            bytes_out: self.sent.get(),
            ..Counts::default()
        };
        for (kind, cause, count) in self.errors.all() {
            match (kind, cause) {
                ("client_gone", _) => here.abandoned += count,
                (_, "client") => here.refused += count,
                _ => here.failed += count,
            }
        }
        *counts = counts.plus(&here);
    }
}

impl Drop for ApiMetrics {
    fn drop(&mut self) {
        if let Some(departed) = self.departed.upgrade() {
            self.add_to(&mut lock(&departed));
        }
    }
}

impl Counts {
    fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            in_flight: self.in_flight + other.in_flight,
            refused: self.refused + other.refused,
            failed: self.failed + other.failed,
            abandoned: self.abandoned + other.abandoned,
            attempts: self.attempts + other.attempts,
            retries: self.retries + other.retries,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }
}

fn cause(blame: Blame) -> &'static str {
    match blame {
        Blame::Client => "client",
        Blame::Upstream => "replica",
        Blame::Gateway => "gateway",
    }
}

fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
