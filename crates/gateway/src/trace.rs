//! A request's place in a trace, and this gateway's span in it.

use http::{HeaderName, HeaderValue, Request};
use telemetry::{Span, TRACEPARENT, TraceContext, Tracer};

const PARENT: HeaderName = HeaderName::from_static(TRACEPARENT);
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Of one request.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The client's if it has a valid one, else what the replica was told.
    parent: Option<TraceContext>,
    /// If this gateway traces the request.
    span: Option<(Tracer, Span)>,
}

impl Trace {
    /// Reads the request's context, and makes the replica a part of this gateway's span if there is one. If this gateway decides
    /// that a new trace is not recorded, the replica is told so. If it does not trace, or the client has decided, the
    /// headers stay as they are.
    pub(crate) fn begin<B>(tracer: &Tracer, request: &mut Request<B>) -> Self {
        let headers = request.headers_mut();
        let parent = headers.get(PARENT).and_then(|value| TraceContext::parse(value.to_str().ok()?));
        let span = tracer.server("gateway", parent);
        let decided = match (&span, parent) {
            (Some(span), _) => span.context(),
            (None, None) if tracer.is_on() => TraceContext::unrecorded(),
            (None, _) => return Self { parent, span: None },
        };
        if let Ok(value) = HeaderValue::try_from(decided.to_string()) {
            headers.insert(PARENT, value);
        }
        if parent.is_none() {
            headers.remove(STATE);
        }
        Self { parent: parent.or(Some(decided)), span: span.map(|span| (tracer.clone(), span)) }
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

#[cfg(test)]
mod tests {
    use telemetry::Settings;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    /// What a replica is told by a gateway that records this part of the traces that begin there.
    fn told(ratio: Option<&str>, given: Option<&str>) -> Option<TraceContext> {
        let settings = Settings::read(
            |variable| match variable {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => ratio.map(|_| "http://127.0.0.1:9".to_owned()),
                "OTEL_TRACES_SAMPLER" => Some("parentbased_traceidratio".to_owned()),
                "OTEL_TRACES_SAMPLER_ARG" => ratio.map(ToOwned::to_owned),
                _ => None,
            },
            "gateway",
        );
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tracer = Tracer::start(settings.unwrap()).unwrap();
        let mut request = Request::new(());
        if let Some(given) = given {
            request.headers_mut().insert(PARENT, given.parse().unwrap());
        }
        let trace = Trace::begin(&tracer, &mut request);
        let told = request.headers().get(PARENT).and_then(|value| TraceContext::parse(value.to_str().unwrap()));
        assert_eq!(trace.id(), told.map(|context| context.trace_id()), "logs and replica name the same trace");
        told
    }

    #[tokio::test]
    async fn what_is_decided_is_said() {
        assert!(told(Some("1"), None).unwrap().sampled);
        assert!(!told(Some("0"), None).unwrap().sampled, "a replica would decide again");
        assert_eq!(told(Some("1"), Some(GIVEN)).unwrap().to_string(), GIVEN);
        assert_eq!(told(None, Some(GIVEN)).unwrap().to_string(), GIVEN);
        assert!(told(None, None).is_none());
        let rubbish = told(Some("0"), Some("00-rubbish"));
        assert!(rubbish.is_some_and(|context| !context.sampled));
    }
}
