//! Asks a replica that gets no requests whether it should.
//!
//! One that refused connections is to take one. One that failed requests is to answer `GET /`, which a replica of ours
//! answers by itself and a user's own server with whatever it has there: any answer will do but 502, 503 and 504.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, header::HOST};

use super::{Connection, RequestBody, Upstream, Why, is_gateway_failure};

/// For the answer. A replica that takes longer for nothing takes longer for everything.
const LIMIT: Duration = Duration::from_secs(2);

/// Keeps asking in the background, until it is back, left the routes, or is out for another reason.
pub(super) fn begin(upstream: &Arc<Upstream>, why: Why, number: u64) {
    tracing::warn!(replica = upstream.id, ?why, "a replica gets no requests until it answers again");
    let (upstream, pause) = (Arc::downgrade(upstream), upstream.health.pause(why, rand::random()));
    tokio::spawn(ask(upstream, why, number, pause));
}

async fn ask(upstream: Weak<Upstream>, why: Why, number: u64, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(upstream) = upstream.upgrade() else { return };
        if upstream.is_retired() || !upstream.health.is_out_since(number) {
            return;
        }
        if let Ok(true) = tokio::time::timeout(LIMIT, answers(&upstream, why)).await {
            tracing::info!(replica = upstream.id, "a replica gets requests again");
            upstream.health.readmit(Instant::now());
            return;
        }
        pause = upstream.health.pause(why, rand::random());
    }
}

async fn answers(upstream: &Upstream, why: Why) -> bool {
    let Ok(connection) = Connection::open(&upstream.address).await else { return false };
    if why == Why::Refuses {
        upstream.give_back(connection, Instant::now());
        return true;
    }
    let mut request = Request::new(RequestBody::none());
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    let deadline = Instant::now() + LIMIT;
    match connection.send(request, || deadline).await {
        Ok((response, _)) => !is_gateway_failure(response.status()) && response.status().as_u16() != 503,
        Err(_) => false,
    }
}
