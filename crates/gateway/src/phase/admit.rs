//! Phase 5: whether the API takes one more request from this gateway now.
//!
//! Above its limit a request waits, first come first served, for a part of its time: who gets a place with none left would only
//! keep a replica busy. It is refused with 503 then as well, and not with 504: no replica has seen it, so it may be sent again. What has come of its body is read meanwhile, since an
//! HTTP/1 connection tells that its client is gone only behind what the client has sent.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telemetry::Held;
use tokio::time::sleep_until;

use crate::{
    error::Error,
    gate::{Entry, Place, Turn},
    metrics::ApiMetrics,
    snapshot::{Api, Table},
    upstream::RequestBody,
};

/// Of the time that a request has, what it may wait.
const WAIT: f64 = 0.5;

/// Gets the request a place. `limit`: for it and its answer, since the last byte of the request. `reads`: its body may be read while it
/// waits. `api` becomes what the routes say after the wait.
pub(crate) async fn admit(
    api: &mut Arc<Api>,
    table: &Table,
    body: &mut RequestBody,
    limit: Duration,
    reads: bool,
) -> Result<Place, Error> {
    let mut turn = match api.gate.enter() {
        Entry::In(place) => return Ok(place),
        Entry::Full(waiting) => return Err(Error::QueueFull(waiting)),
        Entry::Wait(turn) => turn,
    };
    let metrics = Arc::clone(&api.metrics);
    let _waiting = Waiting { metrics: &metrics, _counted: metrics.queued.hold(), begun: Instant::now() };
    wait(&mut turn, api, table, body, limit, reads).await
}

/// A request in the queue, however it leaves it.
struct Waiting<'a> {
    metrics: &'a ApiMetrics,
    _counted: Held<'a>,
    begun: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.metrics.queue.observe(self.begun.elapsed());
    }
}

async fn wait(
    turn: &mut Turn,
    api: &mut Arc<Api>,
    table: &Table,
    body: &mut RequestBody,
    limit: Duration,
    reads: bool,
) -> Result<Place, Error> {
    let progress = Arc::clone(body.progress());
    let limit = limit.mul_f64(WAIT);
    loop {
        let deadline = progress.last() + limit;
        tokio::select! {
            biased;
            // The gate is the API's, and so lives as long as the request waits.
            place = &mut *turn => {
                if let Some(now) = table.current().and_then(|snapshot| snapshot.api(&api.name)) {
                    *api = now;
                }
                return place.map_err(|_| Error::NoPlace(limit));
            }
            () = body.read_ahead(), if reads => return Err(Error::BodyBroken),
            () = sleep_until(deadline.into()) => {
                if progress.last() + limit <= deadline {
                    return Err(Error::NoPlace(limit));
                }
            }
        }
    }
}
