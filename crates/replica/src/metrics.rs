//! What a replica counts, and the page that tells it.
//!
//! The page is for the cluster's operator, which asks with a header that no gateway lets pass; the path alone belongs to
//! the API.

mod stage;

use std::sync::Arc;

use api::replica::ReplicaSpec;
use http::{Method, Request, StatusCode};
use telemetry::{
    ByKind, Histogram, Page, SIZES, Span, TRACEPARENT, TraceContext, Tracer, catalogue::replica as families,
    describe_process,
};

pub(crate) use stage::Passage;

use crate::predictor::Predictor;

pub(crate) struct Metrics {
    /// Values of the labels of [`families::INFO`].
    info: [String; 4],
    outcomes: ByKind,
    /// How long requests waited for their turn.
    queue: Histogram,
    /// How long the predictor took.
    predict: Histogram,
    /// How many requests were answered together; whoever batches counts.
    pub(crate) batch: Arc<Histogram>,
    pub(crate) tracer: Tracer,
}

/// A request that is under way; if nobody says how it ended, its caller went away.
pub(crate) struct Counted<'a> {
    metrics: &'a Metrics,
    outcome: &'static str,
    status: Option<StatusCode>,
    /// This replica's part of the request, if it is traced.
    span: Option<Span>,
}

/// How a request ended whose caller did not wait for the answer.
const CLIENT_GONE: &str = "client_gone";
const OK: &str = "ok";

pub(crate) fn is_scrape<B>(request: &Request<B>) -> bool {
    *request.method() == Method::GET
        && request.uri().path() == telemetry::PATH
        && request.headers().contains_key(telemetry::SCRAPE_HEADER)
}

impl Metrics {
    pub(crate) fn new(spec: &ReplicaSpec, tracer: Tracer) -> Self {
        Self {
            info: [spec.api.clone(), spec.version.clone(), spec.replica.clone(), spec.program.kind().to_owned()],
            outcomes: ByKind::default(),
            queue: Histogram::latency(),
            predict: Histogram::latency(),
            batch: Arc::new(Histogram::new(&SIZES)),
            tracer,
        }
    }

    pub(crate) fn begin<B>(&self, request: &Request<B>, id: &str) -> Counted<'_> {
        Counted { metrics: self, outcome: CLIENT_GONE, status: None, span: self.span(request, id) }
    }

    fn span<B>(&self, request: &Request<B>, id: &str) -> Option<Span> {
        if !self.tracer.is_on() {
            return None;
        }
        let parent = request.headers().get(TRACEPARENT).and_then(|value| TraceContext::parse(value.to_str().ok()?));
        let mut span = self.tracer.server("replica", parent)?;
        let [api, version, replica, _] = &self.info;
        for (name, value) in [("cortex.api", api), ("cortex.version", version), ("cortex.replica", replica)] {
            span.text(name, value.as_str());
        }
        span.text("cortex.request_id", id);
        Some(span)
    }

    /// `load`: how many requests the predictor has, and how many wait before it.
    pub(crate) fn page(&self, predictor: &dyn Predictor, load: [usize; 2], draining: bool) -> String {
        let mut page = Page::default();
        page.family(&families::INFO).add(&self.info.each_ref().map(String::as_str), 1);
        let mut series = page.family(&families::REQUESTS);
        for (outcome, _, count) in self.outcomes.all() {
            series.add(&[outcome], count);
        }
        page.family(&families::QUEUE_TIME).histogram(&[], &self.queue);
        page.family(&families::PREDICT_TIME).histogram(&[], &self.predict);
        page.family(&families::BATCH).histogram(&[], &self.batch);
        let waiting = predictor.waiting().min(load[0]);
        page.one(&families::IN_FLIGHT, load[0] - waiting);
        page.one(&families::QUEUED, load[1] + waiting);
        page.one(&families::DRAINING, u8::from(draining));
        predictor.measure(&mut page);
        self.tracer.describe(&mut page);
        describe_process(&mut page);
        page.text()
    }
}

impl Counted<'_> {
    pub(crate) fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// With that kind of error, or well.
    pub(crate) fn ended(&mut self, status: StatusCode, error: Option<&'static str>) {
        self.status = Some(status);
        self.outcome = error.unwrap_or(OK);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.outcomes.add(self.outcome, "");
        let Some(mut span) = self.span.take() else { return };
        if let Some(status) = self.status {
            span.number("http.response.status_code", i64::from(status.as_u16()));
        }
        if self.outcome != OK {
            span.fail(self.outcome);
        }
        self.metrics.tracer.end(span);
    }
}
