//! `GET /metrics`: for a key of kind `monitor` or `admin`.
//!
//! Whoever has no such key goes the way of every request, and is refused there if need be; so nobody learns more than
//! before, and an API at `/` keeps its own `/metrics` for its own callers.

use std::time::SystemTime;

use http::{Method, Request};
use telemetry::Tracer;

use crate::{phase::authenticate::authenticate, snapshot::Table};

/// The page, if the request asks for it and may have it.
pub(crate) fn page<B>(table: &Table, tracer: &Tracer, request: &Request<B>) -> Option<String> {
    if request.uri().path() != telemetry::PATH || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let snapshot = table.current()?;
    // A copy: if this is not for us, the key is still to be found.
    let keys = authenticate(&mut request.headers().clone(), &snapshot.keys, SystemTime::now()).ok()?;
    keys.monitor().then(|| table.metrics.page(Some(&snapshot), tracer))
}
