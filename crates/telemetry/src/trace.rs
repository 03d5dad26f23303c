//! Traces: which process spent how much of a request's time on what, by OpenTelemetry's protocol OTLP over HTTP with JSON.
//!
//! A [`Tracer`] is off unless a collector is named (`settings`), and costs nothing then but the look whether it
//! is. On, a span is put into a bounded queue when it ends, and a task of its own sends what has gathered (`export`). No
//! request waits for that: what the queue has no room for, and what no collector takes, is dropped and counted.
//!
//! What a process is told about the collector may change while it runs ([`Tracer::follow`]), and its last spans are sent before
//! it ends ([`Tracer::flush`]).
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

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot};

pub use context::{TRACEPARENT, TraceContext};
pub use settings::{BadSettings, Settings};

use crate::{Counter, Page, catalogue::trace as families};

/// Makes spans, or does not. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// `None` while there is no collector.
    line: ArcSwapOption<Line>,
    counts: Arc<Counts>,
}

/// To one collector.
#[derive(Debug)]
struct Line {
    settings: Settings,
    queue: mpsc::Sender<Span>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
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
        let tracer = Self::default();
        tracer.follow(settings)?;
        Ok(tracer)
    }

    /// Does from now on what is said there; spans that wait still go where they were to go. Whether that is something new.
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// There can be no client for the collector; nothing has changed then.
    pub fn follow(&self, settings: Option<Settings>) -> Result<bool, BadSettings> {
        let inner = &self.0;
        if inner.line.load().as_ref().map(|line| &line.settings) == settings.as_ref() {
            return Ok(false);
        }
        let line = match settings {
            Some(settings) => {
                let (queue, spans) = mpsc::channel(export::QUEUE);
                let (flushes, flushed) = mpsc::channel(1);
                let exporter = export::Exporter::new(settings.clone(), Arc::clone(&inner.counts), spans, flushed)?;
                tokio::spawn(exporter.run());
                Some(Arc::new(Line { settings, queue, flushes }))
            }
            None => None,
        };
        inner.line.store(line);
        Ok(true)
    }

    /// Sends the spans that wait, for so long at most. For the end of a process.
    pub async fn flush(&self, limit: Duration) {
        let Some(line) = self.0.line.load_full() else { return };
        let (flushed, flush) = oneshot::channel();
        let sent = async {
            if line.flushes.send(flushed).await.is_ok() {
                let _ = flush.await;
            }
        };
        if tokio::time::timeout(limit, sent).await.is_err() {
            tracing::warn!("the collector of traces did not take the last spans in time");
        }
    }

    pub fn is_on(&self) -> bool {
        self.0.line.load().is_some()
    }

    /// The part of a request that this process does; `parent` is what the caller says of itself. `None` if it is not to be
    /// traced; what this process calls must then be told what `parent` says, if anything.
    pub fn server(&self, name: &'static str, parent: Option<TraceContext>) -> Option<Span> {
        let line = self.0.line.load();
        let sampler = line.as_ref()?.settings.sampler;
        let trace_id = parent.map_or_else(rand::random::<[u8; 16]>, |parent| parent.trace_id);
        if !sampler.takes(&trace_id, parent.map(|parent| parent.sampled)) {
            return None;
        }
        let context = TraceContext { trace_id, span_id: rand::random(), sampled: true };
        Some(Span::begin(context, parent.map(|parent| parent.span_id), name, SpanKind::Server))
    }

    /// The span is over now. Never waits.
    pub fn end(&self, mut span: Span) {
        let line = self.0.line.load();
        let Some(line) = line.as_ref() else { return };
        if span.took.is_zero() {
            span.took = span.clock.elapsed();
        }
        if line.queue.try_send(span).is_err() {
            self.0.counts.dropped.add(1);
        }
    }

    /// Adds what became of spans; families without series if there never was a collector.
    pub fn describe(&self, page: &mut Page) {
        let Counts { exported, dropped } = &*self.0.counts;
        let counts = [("exported", exported.get()), ("dropped", dropped.get())];
        let mut series = page.family(&families::SPANS);
        // Counts do not disappear with the collector.
        for (outcome, count) in
            counts.into_iter().filter(|_| self.is_on() || counts.iter().any(|(_, count)| *count > 0))
        {
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
    pub fn over(self) -> Self {
        self.over_at(Instant::now())
    }

    /// It was over then.
    #[must_use]
    pub fn over_at(mut self, at: Instant) -> Self {
        // Zero is that of a span that goes on.
        self.took = at.saturating_duration_since(self.clock).max(Duration::from_nanos(1));
        self
    }

    /// It was made beforehand, and begins then.
    pub fn begins_at(&mut self, at: Instant) {
        self.begun += at.saturating_duration_since(self.clock);
        self.clock = at.max(self.clock);
    }
}
