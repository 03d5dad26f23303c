//! A request's place in a trace, and this gateway's span in it.

use http::{HeaderName, HeaderValue, Request};
use telemetry::{Span, TRACEPARENT, TraceContext, Tracer};

const PARENT: HeaderName = HeaderName::from_static(TRACEPARENT);
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Of one request.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The client's, if it has a valid one.
    parent: Option<TraceContext>,
    /// If this gateway traces the request.
    span: Option<(Tracer, Span)>,
}

impl Trace {
    /// Reads the request's context, and makes the replica a part of this gateway's span if there is one. Without one, the
    /// headers stay as they are: what the client says is then between it and the replica.
    pub(crate) fn begin<B>(tracer: &Tracer, request: &mut Request<B>) -> Self {
        let headers = request.headers_mut();
        let parent = headers.get(PARENT).and_then(|value| TraceContext::parse(value.to_str().ok()?));
        let Some(span) = tracer.server("gateway", parent) else { return Self { parent, span: None } };
        if let Ok(value) = HeaderValue::try_from(span.context().to_string()) {
            headers.insert(PARENT, value);
        }
        if parent.is_none() {
            headers.remove(STATE);
        }
        Self { parent, span: Some((tracer.clone(), span)) }
    }

    /// For logs.
    pub(crate) fn id(&self) -> Option<String> {
        let own = self.span.as_ref().map(|(_, span)| span.context());
        own.or(self.parent).map(|context| context.trace_id())
    }

    /// The request has ended; `describe` adds what is known of it.
    pub(crate) fn end(&mut self, describe: impl FnOnce(&mut Span)) {
        if let Some((tracer, mut span)) = self.span.take() {
            describe(&mut span);
            tracer.end(span);
        }
    }
}
