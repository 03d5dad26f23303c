//! One HTTP request: what it asks for, whether there is room, what the predictor says, and how that is written.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use api::replica::{DEFAULT_REPLICA_CONCURRENCY, ReplicaSpec};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Map, json};
use telemetry::Span;
use tokio::sync::mpsc;
use transport::Incoming;

use super::{
    about::About,
    admission::{Admission, Slot},
    body::{Body, Passed},
    refusal::Refusal,
};
use crate::{
    exchange::{JSON, Reply, Request, Turn},
    metrics::{self, Metrics, Passage},
    predictor::{PredictError, Predictor},
    run::Limits,
};

pub(super) type Response = http::Response<Body>;

const REQUEST_ID: &str = "x-request-id";

/// What all connections share.
pub(crate) struct Service {
    api: String,
    replica: String,
    about: About,
    predictor: Arc<dyn Predictor>,
    admission: Admission,
    body_limit: usize,
    draining: AtomicBool,
    metrics: Arc<Metrics>,
    /// Numbers the requests that came without an id, which only happens without a gateway.
    unnamed: AtomicU64,
}

impl Service {
    pub(crate) fn new(
        spec: &ReplicaSpec,
        limits: &Limits,
        predictor: Arc<dyn Predictor>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut about = Map::new();
        about.insert("name".to_owned(), json!(spec.api));
        about.insert("type".to_owned(), json!(spec.program.kind()));
        about.insert("version".to_owned(), json!(spec.version));
        about.append(&mut predictor.describe());
        Self {
            api: spec.api.clone(),
            replica: spec.replica.clone(),
            about: About::new(&about),
            admission: admission(spec, predictor.concurrency()),
            predictor,
            body_limit: limits.body,
            draining: AtomicBool::new(false),
            metrics,
            unnamed: AtomicU64::new(1),
        }
    }

    pub(crate) fn predictor(&self) -> &dyn Predictor {
        &*self.predictor
    }

    /// From now on every answer asks for its connection to be closed.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// `open` is held as long as the connection is more than this exchange.
    pub(crate) async fn answer(&self, request: http::Request<Incoming>, open: mpsc::Sender<Infallible>) -> Response {
        let id = self.request_id(request.headers());
        if metrics::is_scrape(&request) {
            return self.tell();
        }
        let protocol = Protocol::of(request.uri().path());
        let outcome = match *request.method() {
            _ if self.predictor.upstream().is_some() => self.measured(&id, request, Some(open)).await,
            Method::POST => self.measured(&id, request, None).await,
            Method::GET | Method::HEAD => self.page(&request),
            _ => Err(Refusal::MethodNotAllowed),
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(refusal) => self.write_refusal(&refusal, &id, protocol),
        };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if self.draining.load(Ordering::Acquire) && !switches {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// `open`: for a request that is passed on.
    async fn measured(
        &self,
        id: &str,
        request: http::Request<Incoming>,
        open: Option<mpsc::Sender<Infallible>>,
    ) -> Result<Response, Refusal> {
        let mut counted = self.metrics.begin(&request, id);
        let outcome = match open {
            Some(open) => self.pass_on(id, request, open, counted.span()).await,
            None => self.predict(id, request, counted.span()).await,
        };
        let status = outcome.as_ref().map_or_else(Refusal::status, Response::status);
        counted.ended(status, outcome.as_ref().err().map(Refusal::kind));
        outcome
    }

    fn page(&self, request: &http::Request<Incoming>) -> Result<Response, Refusal> {
        let path = request.uri().path();
        if let Some(page) = self.about.answer(path, request.headers()) {
            return Ok(page);
        }
        match self.predictor.page(path, self.draining.load(Ordering::Acquire)) {
            Some(outcome) => outcome.map(|reply| response(reply, None)).map_err(Refusal::Predict),
            None => Err(Refusal::MethodNotAllowed),
        }
    }

    /// To the user's own server, bodies as they come. When the caller goes away this future is dropped, and the request
    /// to the server with it.
    async fn pass_on(
        &self,
        id: &str,
        mut request: http::Request<Incoming>,
        open: mpsc::Sender<Infallible>,
        span: Option<&Span>,
    ) -> Result<Response, Refusal> {
        let place = self.admission.enter().ok_or(Refusal::Overloaded)?;
        let turn = Turn::default();
        let passage = Passage::begin(&self.metrics, turn.clone(), span);
        let slot = place.slot().await;
        turn.comes();
        passage.tell(request.headers_mut());
        let upstream = self.predictor.upstream().ok_or(Refusal::MethodNotAllowed)?;
        if let Ok(value) = HeaderValue::from_str(id) {
            request.headers_mut().entry(REQUEST_ID).or_insert(value);
        }
        let outcome = upstream.send(request).await;
        passage.end(outcome.is_err());
        let (response, lease, tunnel) = outcome.map_err(Refusal::Predict)?;
        let Some((ours, theirs)) = tunnel else {
            return Ok(response.map(|body| Body::Passed(Passed::new(body, lease, slot))));
        };
        ours.run(move |mut ours| async move {
            let _held = (open, slot);
            let Ok(theirs) = theirs.await else { return };
            // Either side may end it in any way.
            let _ = tokio::io::copy_bidirectional(&mut ours, &mut TokioIo::new(theirs)).await;
        });
        Ok(response.map(|_| Body::from(Bytes::new())))
    }

    async fn predict(
        &self,
        id: &str,
        request: http::Request<Incoming>,
        span: Option<&Span>,
    ) -> Result<Response, Refusal> {
        let place = self.admission.enter().ok_or(Refusal::Overloaded)?;
        let (mut head, body) = request.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > self.body_limit) {
            return Err(Refusal::TooLarge { limit: self.body_limit });
        }
        let body = match Limited::new(body, self.body_limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge { limit: self.body_limit }),
            Err(_) => return Err(Refusal::Truncated),
        };
        let turn = Turn::default();
        let passage = Passage::begin(&self.metrics, turn.clone(), span);
        let slot = place.slot().await;
        // A predictor with a queue of its own says it by itself.
        if self.predictor.concurrency().is_some() {
            turn.comes();
        }
        passage.tell(&mut head.headers);
        let request = Request { id: id.to_owned(), head, body, turn };
        if let Some(outcome) = self.predictor.at_once(&request) {
            return settled(outcome, slot, passage).map_err(Refusal::Predict);
        }
        if self.predictor.forgets_callers() {
            let outcome = self.predictor.predict(request).await;
            return settled(outcome, slot, passage).map_err(Refusal::Predict);
        }
        let predictor = Arc::clone(&self.predictor);
        // A task of its own: when the caller goes away this future is dropped, but the predictor works on, and its slot
        // is taken until it is done.
        let work = tokio::spawn(async move { settled(predictor.predict(request).await, slot, passage) });
        match work.await {
            Ok(outcome) => outcome.map_err(Refusal::Predict),
            Err(panic) => {
                let trace_id = span.map(|span| span.context().trace_id());
                tracing::error!(request_id = id, trace_id, "panic in the predictor: {panic}");
                Err(Refusal::Predict(PredictError::Died))
            }
        }
    }

    /// The metrics, as one page.
    fn tell(&self) -> Response {
        let draining = self.draining.load(Ordering::Acquire);
        let mut response =
            Response::new(Body::from(self.metrics.page(&*self.predictor, self.admission.load(), draining)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(telemetry::CONTENT_TYPE));
        response
    }

    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        given.unwrap_or_else(|| format!("{}-{}", self.replica, self.unnamed.fetch_add(1, Ordering::Relaxed)))
    }

    fn write_refusal(&self, refusal: &Refusal, id: &str, protocol: Protocol) -> Response {
        let message = match refusal {
            Refusal::Predict(PredictError::Raised { .. } | PredictError::BadResponse(_)) => {
                format!("{refusal}; see `cortex logs {}`", self.api)
            }
            _ => refusal.to_string(),
        };
        let mut body = json!({ "kind": refusal.kind(), "message": message, "request_id": id });
        if protocol == Protocol::OpenInference {
            body["error"] = message.into();
        }
        let mut response = json_response(body.to_string());
        *response.status_mut() = refusal.status();
        let headers = response.headers_mut();
        match refusal {
            Refusal::Overloaded => headers.insert(RETRY_AFTER, HeaderValue::from_static("1")),
            Refusal::MethodNotAllowed => headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST")),
            _ => None,
        };
        response
    }
}

fn admission(spec: &ReplicaSpec, in_flight: Option<usize>) -> Admission {
    let usual = DEFAULT_REPLICA_CONCURRENCY as usize;
    let usual = in_flight.map_or(usual, |in_flight| in_flight.max(usual));
    let all = spec.max_replica_concurrency.map_or(usual, |most| most as usize);
    Admission::new(in_flight.unwrap_or(all), all)
}

/// Whose form of errors the caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Ours,
    /// Has the text in `error`; what else there is does no harm.
    OpenInference,
}

impl Protocol {
    fn of(path: &str) -> Self {
        if path == "/v2" || path.starts_with("/v2/") { Self::OpenInference } else { Self::Ours }
    }
}

/// The predictor is done with a request.
fn settled(outcome: Result<Reply, PredictError>, slot: Slot, passage: Passage) -> Result<Response, PredictError> {
    passage.end(outcome.is_err());
    outcome.map(|reply| response(reply, Some(slot)))
}

fn response(reply: Reply, slot: Option<Slot>) -> Response {
    let Reply { status, headers, body } = reply;
    let mut response = Response::new(Body::new(body, slot));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

pub(super) fn json_response(text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
