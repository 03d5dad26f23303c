//! Spans in OTLP's JSON form: names in camelCase, ids in hex, 64-bit numbers as text (opentelemetry-proto, "JSON Protobuf
//! Encoding").

use std::time::SystemTime;

use serde_json::{Value as Json, json};

use super::{Settings, Span, Value, context::text};

const ERROR: u8 = 2;

/// An `ExportTraceServiceRequest`.
pub(super) fn request(settings: &Settings, spans: &[Span]) -> Json {
    let own = [("service.name", settings.service.as_str()), ("service.version", env!("CARGO_PKG_VERSION"))];
    let given = settings.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // A service's own name comes first, whatever the attributes say.
    let given = given.filter(|(name, _)| own.iter().all(|(own, _)| own != name));
    let attributes: Vec<Json> =
        own.into_iter().chain(given).map(|(name, value)| pair(name, text_value(value))).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes },
        "scopeSpans": [{
            "scope": { "name": "cortex", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Json {
    let nanos =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let attributes: Vec<Json> = span
        .attributes
        .iter()
        .map(|(name, value)| match value {
            Value::Text(text) => pair(name, text_value(text)),
            Value::Number(number) => pair(name, json!({ "intValue": number.to_string() })),
        })
        .collect();
    let mut told = json!({
        "traceId": text(&span.context.trace_id),
        "spanId": text(&span.context.span_id),
        "flags": u8::from(span.context.sampled),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": nanos(span.begun),
        "endTimeUnixNano": nanos(span.begun + span.took),
        "attributes": attributes,
        "status": if span.failed { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let Some(parent) = span.parent {
        told["parentSpanId"] = text(&parent).into();
    }
    told
}

fn text_value(text: &str) -> Json {
    json!({ "stringValue": text })
}

fn pair(name: &str, value: Json) -> Json {
    json!({ "key": name, "value": value })
}
