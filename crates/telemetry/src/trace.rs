//! Traces: which process spent how much of a request's time on what, by OpenTelemetry's protocol OTLP over HTTP with JSON.
//!
//! A [`Tracer`] is off unless the environment names a collector (`settings`), and costs nothing then but the look whether it
//! is. On, a span is put into a bounded queue when it ends, and a task of its own sends what has gathered (`export`). No
//! request waits for that: what the queue has no room for, and what no collector takes, is dropped and counted.
//!
//! Context travels in the header `traceparent` (`context`). Sampling is decided where a trace begins, and everybody after that
//! does what the header says.
//!
//! Our own and not the OpenTelemetry crates: those bring an SDK, a second encoding and a client for it, for what is one kind of
//! span in a handful of places; and the JSON form of OTLP is part of the specification.

mod context;
mod export;
mod otlp;
mod settings;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

pub use context::{TRACEPARENT, TraceContext};
pub use settings::{BadSettings, Settings};

use crate::{Counter, Page, catalogue::trace as families};
use settings::Sampler;

/// Makes spans, or does not. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    sampler: Sampler,
    queue: tokio::sync::mpsc::Sender<Span>,
    exported: Counter,
    dropped: Counter,
}

/// On which side of a call a span is (OTLP's numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// What a span says besides its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
}

/// One part of the work on a request. Begun by [`Tracer::server`] or [`Span::child`], told by [`Tracer::end`].
#[derive(Debug, Clone)]
pub struct Span {
    context: TraceContext,
    parent: Option<[u8; 8]>,
    name: &'static str,
    kind: SpanKind,
    begun: SystemTime,
    clock: Instant,
    took: Duration,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

impl Tracer {
    /// Begins to send spans to the collector, if there is one. Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// There can be no client for the collector.
    pub fn start(settings: Option<Settings>) -> Result<Self, BadSettings> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let (queue, spans) = tokio::sync::mpsc::channel(export::QUEUE);
        let sampler = settings.sampler;
        let inner = Arc::new(Inner { sampler, queue, exported: Counter::default(), dropped: Counter::default() });
        let exporter = export::Exporter::new(settings, Arc::downgrade(&inner), spans)?;
        tokio::spawn(exporter.run());
        Ok(Self(Some(inner)))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The part of a request that this process does; `parent` is what the caller says of itself. `None` if it is not to be
    /// traced; what this process calls must then be told what `parent` says, if anything.
    pub fn server(&self, name: &'static str, parent: Option<TraceContext>) -> Option<Span> {
        let inner = self.0.as_ref()?;
        let trace_id = parent.map_or_else(rand::random::<[u8; 16]>, |parent| parent.trace_id);
        if !inner.sampler.takes(&trace_id, parent.map(|parent| parent.sampled)) {
            return None;
        }
        let context = TraceContext { trace_id, span_id: rand::random(), sampled: true };
        Some(Span::begin(context, parent.map(|parent| parent.span_id), name, SpanKind::Server))
    }

    /// The span is over now. Never waits.
    pub fn end(&self, mut span: Span) {
        let Some(inner) = &self.0 else { return };
        if span.took.is_zero() {
            span.took = span.clock.elapsed();
        }
        if inner.queue.try_send(span).is_err() {
            inner.dropped.add(1);
        }
    }

    /// Adds what became of spans; families without series if tracing is off.
    pub fn describe(&self, page: &mut Page) {
        let counts =
            self.0.as_ref().map(|inner| [("exported", inner.exported.get()), ("dropped", inner.dropped.get())]);
        let mut series = page.family(&families::SPANS);
        for (outcome, count) in counts.into_iter().flatten() {
            series.add(&[outcome], count);
        }
    }
}

impl Span {
    fn begin(context: TraceContext, parent: Option<[u8; 8]>, name: &'static str, kind: SpanKind) -> Self {
        Self {
            context,
            parent,
            name,
            kind,
            begun: SystemTime::now(),
            clock: Instant::now(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            failed: false,
        }
    }

    /// A part of this one.
    pub fn child(&self, name: &'static str, kind: SpanKind) -> Self {
        let context = TraceContext { span_id: rand::random(), ..self.context };
        Self::begin(context, Some(self.context.span_id), name, kind)
    }

    /// For whoever is called within this span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    pub fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.attributes.push((name, Value::Text(value.into())));
    }

    pub fn number(&mut self, name: &'static str, value: i64) {
        self.attributes.push((name, Value::Number(value)));
    }

    /// It did not end well.
    pub fn fail(&mut self, kind: &str) {
        self.text("error.type", kind);
        self.failed = true;
    }

    /// It is over now, and will be told later.
    #[must_use]
    pub fn over(mut self) -> Self {
        self.took = self.clock.elapsed();
        self
    }
}
