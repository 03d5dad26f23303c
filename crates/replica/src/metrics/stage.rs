//! What a request passes here: it waits for its turn, then the predictor works on it. Both are measured, and spans if the
//! request is traced.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue};
use telemetry::{Span, SpanKind, TRACEPARENT};

use super::{CLIENT_GONE, Metrics};
use crate::exchange::Turn;

pub(crate) struct Passage {
    metrics: Arc<Metrics>,
    turn: Turn,
    entered: Instant,
    /// Both or none.
    spans: Option<Spans>,
}

struct Spans {
    queue: Span,
    predict: Span,
}

impl Passage {
    /// `parent`: the replica's part of the request.
    pub(crate) fn begin(metrics: &Arc<Metrics>, turn: Turn, parent: Option<&Span>) -> Self {
        let child = |parent: &Span, name| parent.child(name, SpanKind::Internal);
        let spans = parent.map(|parent| Spans { queue: child(parent, "queue"), predict: child(parent, "predict") });
        Self { metrics: Arc::clone(metrics), turn, entered: Instant::now(), spans }
    }

    /// What is called with these headers becomes a part of the predictor's work.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let context = self.spans.as_ref().map(|spans| spans.predict.context().to_string());
        if let Some(context) = context.and_then(|context| HeaderValue::try_from(context).ok()) {
            headers.insert(TRACEPARENT, context);
        }
    }

    pub(crate) fn end(mut self, failed: bool) {
        let (now, came) = (Instant::now(), self.turn.came());
        self.metrics.queue.observe(came.unwrap_or(now) - self.entered);
        if let Some(came) = came {
            self.metrics.predict.observe(now - came);
        }
        self.end_spans(failed.then_some("predictor"));
    }

    fn end_spans(&mut self, error: Option<&'static str>) {
        let Some(Spans { mut queue, mut predict }) = self.spans.take() else { return };
        let came = self.turn.came();
        if let Some(came) = came {
            queue = queue.over_at(came);
            predict.begins_at(came);
        }
        let last = if came.is_some() { &mut predict } else { &mut queue };
        if let Some(kind) = error {
            last.fail(kind);
        }
        self.metrics.tracer.end(queue);
        if came.is_some() {
            self.metrics.tracer.end(predict);
        }
    }
}

/// Of a request whose caller went away the trace tells how far it got.
impl Drop for Passage {
    fn drop(&mut self) {
        self.end_spans(Some(CLIENT_GONE));
    }
}
