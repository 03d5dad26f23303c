//! The data plane: takes requests from clients and brings each to a replica of the API it is for.
//!
//! A request passes these phases, one module each, in this order (TLS is `transport`'s):
//!
//! | phase | decides | refuses with |
//! | --- | --- | --- |
//! | `identify` | the request's id and the client's address | |
//! | `cors` | which pages may see the response; answers preflights | 400, 403 |
//! | `authenticate` | whether it carries a key of this cluster | 401 |
//! | `route` | which API it is for, of those its key opens, and what of the path is the API's | 400, 404, 405 |
//! | `admit` | whether the API takes one more now, or it waits | 503 |
//! | `choose` | which replica gets it | 503 |
//! | `forward` | bodies through, both ways; whether to try again | 400, 408, 502, 503, 504 |
//! | `record` | one log event and the counters | |
//!
//! Clients of Predictive Services are answered between `route` and `choose`: `predictive_services`.
//!
//! A phase fails with an `error::Error`, which knows who caused it and whether the request may be sent again;
//! `respond` alone turns errors into responses.
//!
//! What is served comes from two documents in the State store, as an immutable `snapshot::Snapshot` that
//! `follow` replaces when they change. No request waits for the store: when it is gone, or the operator is, the last
//! snapshot goes on being served, and it outlives the process in a file (`cache`). What is written to the store is when keys
//! were used (`usage`), and nothing waits for that either.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test"))]

mod browser;
mod cache;
mod error;
mod follow;
mod gate;
mod headers;
mod keys;
mod metrics;
mod monitor;
mod phase;
mod pipeline;
mod predictive_services;
mod respond;
mod snapshot;
mod trace;
mod tunnel;
mod upstream;
mod usage;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use state::State;
use telemetry::Tracer;
use tokio::{sync::watch, task::JoinHandle};
use transport::Server;

pub use metrics::{Counts, Metrics};

use pipeline::Pipeline;
use snapshot::Table;
use usage::Usage;

/// How long the gateway waits for whom.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a replica to take a connection.
    pub connect: Duration,
    /// For the headers of a response, since the last byte of the request, where the API has no limit of its own: 503 if it
    /// waited all the time for a place, 504 if the replica is late, 408 if it is the client that stopped sending. Bodies have no limit: a stream may be quiet for as long as it likes.
    pub response: Duration,
    /// A connection that has switched to another protocol is closed after so long without a byte either way.
    pub tunnel: Duration,
    /// For the first reading of the State store; after that the gateway begins with the snapshot on disk.
    pub start: Duration,
    /// For one reading of the State store.
    pub store: Duration,
    /// The store is read again after this even if nothing seems to have changed.
    pub recheck: Duration,
    /// Uses of keys that are as old as this are written down. The last use of a key is known as exactly as this.
    pub usage: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: api::routes::DEFAULT_TIMEOUT,
            // Envoy's for TCP connections (`idle_timeout` of its TCP proxy).
            tunnel: Duration::from_secs(3600),
            start: Duration::from_secs(5),
            store: Duration::from_secs(10),
            recheck: Duration::from_secs(30),
            usage: Duration::from_secs(60),
        }
    }
}

/// What a gateway needs.
#[derive(Clone)]
pub struct Options {
    /// Where `routes.json` and `keys.json` are.
    pub state: Arc<dyn State>,
    /// A directory for the last snapshot, of this gateway alone; made if need be.
    pub cache: PathBuf,
    pub timeouts: Timeouts,
    pub tracer: Tracer,
}

impl Options {
    /// With the usual timeouts, and without traces.
    pub fn new(state: Arc<dyn State>, cache: impl Into<PathBuf>) -> Self {
        Self { state, cache: cache.into(), timeouts: Timeouts::default(), tracer: Tracer::default() }
    }
}

/// A gateway that has its routes and follows their changes.
pub struct Gateway {
    pipeline: Arc<Pipeline>,
    usage: Arc<Usage>,
    follower: JoinHandle<()>,
    reporter: JoinHandle<()>,
}

impl Gateway {
    /// Gets the routes and keys from the store or, if it does not answer, from disk. Never fails: with neither, the
    /// gateway answers 503 until the store can be read. Must be called in a tokio runtime.
    pub async fn start(options: Options) -> Self {
        let Options { state, cache, timeouts, tracer } = options;
        let table = Arc::new(Table::default());
        let (ready, mut first) = watch::channel(false);
        let usage = Arc::new(Usage::new(Arc::clone(&state), Arc::clone(&table), timeouts));
        let reporter = tokio::spawn(Arc::clone(&usage).run());
        let follower = follow::Follower::new(state, cache, Arc::clone(&table), timeouts);
        let follower = tokio::spawn(follower.run(ready));
        // A timeout here is no news: the follower reports what is wrong with the store.
        let _ = tokio::time::timeout(timeouts.start, first.wait_for(|tried| *tried)).await;
        Self { pipeline: Arc::new(Pipeline::new(table, timeouts, tracer)), usage, follower, reporter }
    }

    /// What has been counted since the start; goes on counting while the gateway serves.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.pipeline.metrics()
    }

    /// Serves until `stop`, then finishes the requests it has begun, within the server's drain limit.
    pub async fn serve(&self, server: Server, stop: impl Future<Output = ()>) {
        let (pipeline, encrypted) = (Arc::clone(&self.pipeline), server.tls.is_some());
        if let Some(tls) = &server.tls {
            self.pipeline.metrics().shows(tls.clone());
        }
        let handler = move |request, peer| {
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.handle(request, peer, encrypted).await }
        };
        server.run(handler, stop).await;
        self.usage.report_all().await;
    }

    /// Tells the metrics, and nothing else, to whoever can reach that server, until `stop`.
    pub async fn serve_metrics(&self, server: Server, stop: impl Future<Output = ()>) {
        let pipeline = Arc::clone(&self.pipeline);
        let handler = move |request, _| {
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.privately(&request) }
        };
        server.run(handler, stop).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.follower.abort();
        self.reporter.abort();
    }
}
