//! What a request passes: measured, and a span of its own if the request is traced.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue};
use telemetry::{Span, SpanKind, TRACEPARENT};

use super::{CLIENT_GONE, Metrics};

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// It waits for its turn.
    Queue,
    /// The predictor works on it.
    Predict,
}

pub(crate) struct Stage {
    metrics: Arc<Metrics>,
    what: What,
    begun: Instant,
    span: Option<Span>,
}

impl Stage {
    /// `parent`: the replica's part of the request.
    pub(crate) fn begin(metrics: &Arc<Metrics>, what: What, parent: Option<&Span>) -> Self {
        let name = match what {
            What::Queue => "queue",
            What::Predict => "predict",
        };
        let span = parent.map(|parent| parent.child(name, SpanKind::Internal));
        Self { metrics: Arc::clone(metrics), what, begun: Instant::now(), span }
    }

    /// What is called with these headers becomes a part of this.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let context = self.span.as_ref().and_then(|span| HeaderValue::try_from(span.context().to_string()).ok());
        if let Some(context) = context {
            headers.insert(TRACEPARENT, context);
        }
    }

    pub(crate) fn end(mut self, failed: bool) {
        let histogram = match self.what {
            What::Queue => &self.metrics.queue,
            What::Predict => &self.metrics.predict,
        };
        histogram.observe(self.begun.elapsed());
        self.end_span(failed.then_some("predictor"));
    }

    fn end_span(&mut self, error: Option<&'static str>) {
        let Some(mut span) = self.span.take() else { return };
        if let Some(kind) = error {
            span.fail(kind);
        }
        self.metrics.tracer.end(span);
    }
}

/// Of a request whose caller went away the trace tells how far it got.
impl Drop for Stage {
    fn drop(&mut self) {
        self.end_span(Some(CLIENT_GONE));
    }
}
