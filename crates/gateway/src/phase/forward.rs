//! Phase 7: the request goes to a replica, the response comes back, both as streams.
//!
//! **When a request is sent again.** If no connection came about, or the request was not begun to be written, no replica
//! has seen it and another may have it, whatever the method. If the connection broke later and before the response's
//! head, a replica may have worked on the request: then only an idempotent one (RFC 9110, 9.2.2) without a body is
//! repeated, and only twice, since it may be the request that kills replicas. A replica that does not answer in time is
//! slow rather than gone; asking another would double the load.

use std::{error::Error as StdError, io, sync::Arc, time::Instant};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::UPGRADE};
use transport::Failed;

use super::{choose::choose, record::Record};
use crate::{
    Timeouts,
    error::{Error, Retry},
    gate::Place,
    snapshot::{Api, Table},
    tunnel::ReplicaEnd,
    upstream::{Connection, InFlight, NoReply, Progress, ReplyBody, RequestBody, is_gateway_failure},
};

/// Replicas, or connections, that one request is tried on.
const ATTEMPTS: usize = 5;
/// How often a request that a replica may have begun is sent again.
const REPEATS: usize = 2;
/// Of the time that a request has, what a replica must have had of it to be blamed for being late.
const ENOUGH: f64 = 0.9;

/// What comes of a request that a replica answered.
pub(crate) enum Forwarded {
    Reply(Response<ReplyBody>),
    /// The replica speaks another protocol from now on.
    Switched(Response<()>, ReplicaEnd),
}

/// One attempt that failed.
struct Lost {
    error: Error,
    unsent: Option<Box<Request<RequestBody>>>,
    /// The connection had served before: it says nothing of the replica as it is now.
    reused: bool,
}

/// Brings the request to a replica of the API and returns its response, whose body is still to come.
pub(crate) async fn forward(
    table: &Table,
    timeouts: &Timeouts,
    mut api: Arc<Api>,
    mut request: Request<RequestBody>,
    place: Place,
    record: &mut Record,
) -> Result<Forwarded, Error> {
    let progress = Arc::clone(request.body().progress());
    let mut repeat = Repeat::of(&request);
    let mut tried = Vec::new();
    let mut failed = Error::NotReady;
    for _ in 0..ATTEMPTS {
        let Some(chosen) = choose(&api, &tried, rand::random()) else { break };
        let given = record.chose(chosen.upstream());
        let outcome = attempt(&chosen, request, timeouts, &progress).await;
        let had = given.max(progress.last()).elapsed();
        if let Some(well) = verdict(&outcome, had >= timeouts.response.mul_f64(ENOUGH)) {
            chosen.upstream().judge(well, &api.replicas);
        }
        let Lost { error, unsent, reused } = match outcome {
            Ok((response, connection)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let (stream, early) = connection.into_parts();
                let replica = ReplicaEnd { stream, early, in_flight: chosen, place };
                return Ok(Forwarded::Switched(response, replica));
            }
            Ok((response, connection)) => {
                let reply = ReplyBody::wrap(response, connection, chosen, progress, place);
                return Ok(Forwarded::Reply(reply));
            }
            Err(lost) => lost,
        };
        tracing::debug!(replica = chosen.upstream().id, error = &error as &dyn StdError, "an attempt failed");
        match (error.retry(), unsent, &mut repeat) {
            (Retry::Always, Some(unsent), _) => request = *unsent,
            (Retry::Idempotent, _, Some(repeat)) if repeat.left > 0 => request = repeat.request(&progress),
            _ => return Err(error),
        }
        if progress.last() + timeouts.response <= Instant::now() {
            return Err(error);
        }
        failed = error;
        if reused {
            chosen.upstream().forget_idle();
        } else {
            tried.push(Arc::clone(chosen.upstream()));
        }
        // The routes may have changed since, and the lost replica may be the reason.
        api = table.current().and_then(|snapshot| snapshot.api(&api.name)).unwrap_or(api);
    }
    Err(failed)
}

/// Whether the replica did well, if the outcome says anything of it. (Of connections, it knows itself.) `had_time`: it is not
/// for want of time, spent in the queue or on others, that it was late.
fn verdict(outcome: &Result<(Response<()>, Connection), Lost>, had_time: bool) -> Option<bool> {
    match outcome {
        Err(Lost { error: Error::Deadline(_), .. }) if !had_time => None,
        Ok((response, _)) => Some(!is_gateway_failure(response.status())),
        Err(Lost { error: Error::ReplicaLost(_) | Error::BadReply(_) | Error::Deadline(_), .. }) => Some(false),
        Err(_) => None,
    }
}

/// Tries one replica: an idle connection if there is one, and a new one if that is dead or there is none.
async fn attempt(
    chosen: &InFlight,
    mut request: Request<RequestBody>,
    timeouts: &Timeouts,
    progress: &Progress,
) -> Result<(Response<()>, Connection), Lost> {
    let upstream = chosen.upstream();
    if let Some(connection) = upstream.idle().await {
        match exchange(connection, request, timeouts, progress, true).await {
            Err(Lost { unsent: Some(unsent), .. }) => {
                upstream.forget_idle();
                request = *unsent;
            }
            outcome => return outcome,
        }
    }
    let left = (progress.last() + timeouts.response).saturating_duration_since(Instant::now());
    match upstream.connect(timeouts.connect, left).await {
        Ok(connection) => exchange(connection, request, timeouts, progress, false).await,
        Err(error) => {
            let late = left < timeouts.connect && error.kind() == io::ErrorKind::TimedOut;
            let error = if late { Error::Deadline(timeouts.response) } else { Error::Unreachable(error.into()) };
            Err(Lost { error, unsent: Some(Box::new(request)), reused: false })
        }
    }
}

/// One request on one connection, until the head of the response is there or late.
async fn exchange(
    connection: Connection,
    request: Request<RequestBody>,
    timeouts: &Timeouts,
    progress: &Progress,
    reused: bool,
) -> Result<(Response<()>, Connection), Lost> {
    let lost = |error, unsent| Err(Lost { error, unsent, reused });
    let limit = timeouts.response;
    let asked = request.headers().contains_key(UPGRADE);
    match connection.send(request, || progress.last() + limit).await {
        Ok((response, _)) if response.status() == StatusCode::SWITCHING_PROTOCOLS && !asked => {
            lost(Error::BadReply("101 without an Upgrade".into()), None)
        }
        Ok(done) => Ok(done),
        Err(NoReply::Late) if progress.is_waiting() => lost(Error::BodyStalled(limit), None),
        Err(NoReply::Late) => lost(Error::Deadline(limit), None),
        Err(NoReply::Failed(Failed::Unsent(error, unsent))) => lost(Error::Unreachable(error.into()), Some(unsent)),
        Err(NoReply::Failed(_)) if progress.is_broken() => lost(Error::BodyBroken, None),
        Err(NoReply::Failed(Failed::Invalid(error))) => lost(Error::BadReply(error.into()), None),
        Err(NoReply::Failed(Failed::Lost(error))) => lost(Error::ReplicaLost(error.into()), None),
    }
}

/// What is needed to send an idempotent request without a body again.
struct Repeat {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    left: usize,
}

impl Repeat {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        let idempotent =
            matches!(*request.method(), Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS);
        (idempotent && request.body().progress().is_complete()).then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            left: REPEATS,
        })
    }

    fn request(&mut self, progress: &Arc<Progress>) -> Request<RequestBody> {
        self.left -= 1;
        let mut request = Request::new(RequestBody::empty(progress));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
