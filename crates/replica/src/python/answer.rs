//! What a worker says of a request, as the rest of the replica wants it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{frame::Frame, work::About};
use crate::{
    exchange::{HOP_BY_HOP, JSON, Name, Reply, ReplyBody},
    predictor::PredictError,
};

pub(super) type Outcome = Result<Reply, PredictError>;

#[derive(Debug, Deserialize)]
pub(super) struct Fault {
    kind: FaultKind,
    message: String,
    #[serde(default)]
    traceback: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultKind {
    PredictorRaised,
    BadRequest,
    BadResponse,
    Cancelled,
}

#[derive(Debug, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    length: usize,
    content_type: Option<String>,
    #[serde(flatten)]
    head: Option<Head>,
    #[serde(flatten)]
    fault: Option<Fault>,
}

/// The reply of a frame whose meta part says content type, or status and headers.
pub(super) fn reply(meta: &[u8], body: ReplyBody) -> Outcome {
    if meta == JSON.as_bytes() {
        return Ok(Reply { status: StatusCode::OK, headers: HeaderMap::from_iter([(CONTENT_TYPE, JSON)]), body });
    }
    if !meta.starts_with(b"{") {
        let content_type = HeaderValue::from_bytes(meta).map_err(|_| unusable("content type", ""))?;
        let headers = if meta.is_empty() { None } else { Some((CONTENT_TYPE, content_type)) };
        return Ok(Reply { status: StatusCode::OK, headers: headers.into_iter().collect(), body });
    }
    let head = serde_json::from_slice(meta).map_err(|error| PredictError::BadResponse(error.to_string()))?;
    with_head(head, body)
}

fn with_head(head: Head, body: ReplyBody) -> Outcome {
    let status = StatusCode::from_u16(head.status).map_err(|_| unusable("status", &head.status.to_string()))?;
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for (name, value) in head.headers {
        let header = HeaderName::try_from(&name).map_err(|_| unusable("header", &name))?;
        // How the answer travels is not the predictor's to say.
        if header != http::header::CONTENT_LENGTH && !HOP_BY_HOP.contains(&header.as_str()) {
            headers.append(header, HeaderValue::try_from(value).map_err(|_| unusable("value of the header", &name))?);
        }
    }
    Ok(Reply { status, headers, body })
}

fn unusable(what: &str, name: &str) -> PredictError {
    PredictError::BadResponse(format!("the predictor answered with a {what} that is none: `{name}`"))
}

/// The replies of a batch, in its order.
pub(super) fn replies(frame: &Frame, pid: u32, about: &About) -> Result<Vec<Outcome>, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_slice(&frame.meta)?;
    let mut body = frame.body.clone();
    let each = entries.into_iter().enumerate().map(|(index, entry)| {
        let part = body.split_to(entry.length.min(body.len()));
        let part = ReplyBody::Whole(part);
        match entry {
            Entry { fault: Some(fault), .. } => {
                let name = about.name(index);
                let request_id = name.map(|name| name.request_id.as_str()).unwrap_or_default();
                Err(failure(fault, pid, request_id, || name.and_then(Name::trace_id)))
            }
            Entry { head: Some(head), .. } => with_head(head, part),
            Entry { content_type, .. } => reply(content_type.unwrap_or_default().as_bytes(), part),
        }
    });
    Ok(each.collect())
}

pub(super) fn fault(meta: &Bytes, pid: u32, about: &About) -> PredictError {
    match serde_json::from_slice(meta) {
        Ok(fault) => failure(fault, pid, &about.request_id(), || about.trace_id()),
        Err(error) => PredictError::BadResponse(error.to_string()),
    }
}

/// The caller's mistakes are the caller's to read; the predictor's go to the log.
fn failure(fault: Fault, pid: u32, request_id: &str, trace_id: impl FnOnce() -> Option<String>) -> PredictError {
    let Fault { kind, message, traceback } = fault;
    if matches!(kind, FaultKind::PredictorRaised | FaultKind::BadResponse) {
        let text = if traceback.is_empty() { &message } else { &traceback };
        tracing::error!(target: "predictor", request_id, trace_id = trace_id(), pid, "{}", text.trim_end());
    }
    match kind {
        FaultKind::BadRequest => PredictError::BadRequest(message),
        FaultKind::BadResponse => PredictError::BadResponse(message),
        FaultKind::PredictorRaised => PredictError::Raised { exception: exception_type(&message) },
        FaultKind::Cancelled => PredictError::Died,
    }
}

/// `ValueError` of `ValueError: no such thing (predictor.py, line 7)`. The rest is the predictor's business and stays in
/// the log.
fn exception_type(message: &str) -> Option<String> {
    let end = message.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(message.len());
    let (name, rest) = message.split_at(end);
    let is_type = !name.is_empty() && (rest.is_empty() || rest.starts_with(':') || rest.starts_with(" ("));
    is_type.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_type_of_an_exception_is_told() {
        assert_eq!(exception_type("ValueError: secret: 42").as_deref(), Some("ValueError"));
        assert_eq!(exception_type("KeyError (predictor.py, line 7)").as_deref(), Some("KeyError"));
        assert_eq!(exception_type("KeyError").as_deref(), Some("KeyError"));
        assert_eq!(exception_type("my.module.Error: x").as_deref(), Some("my.module.Error"));
        assert_eq!(exception_type("the secret is out"), None);
        assert_eq!(exception_type(""), None);
    }

    #[test]
    fn a_reply_says_its_own_status_and_headers_but_not_how_it_travels() {
        let meta = br#"{"status":418,"headers":[["Set-Cookie","a"],["set-cookie","b"],["Connection","close"],["content-length","9"]]}"#;
        let reply = reply(meta, ReplyBody::Whole(Bytes::new())).unwrap();
        assert_eq!(reply.status, 418);
        let got: Vec<_> = reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(got, [("set-cookie", "a"), ("set-cookie", "b")]);
    }

    #[test]
    fn headers_that_are_none_are_the_predictors_fault() {
        for meta in
            [&b"a\nb"[..], br#"{"status":200,"headers":[["a b","c"]]}"#, br#"{"status":200,"headers":[["a","\n"]]}"#]
        {
            let error = reply(meta, ReplyBody::Whole(Bytes::new())).unwrap_err();
            assert!(matches!(error, PredictError::BadResponse(_)), "{error}");
        }
    }

    #[test]
    fn the_answers_of_a_batch_are_told_apart() {
        let meta = Bytes::from_static(
            br#"[{"content_type":"application/json","length":2},{"kind":"bad_request","message":"no","traceback":"","length":0},
                 {"status":201,"headers":[],"length":1}]"#,
        );
        let frame = Frame { kind: 0, number: 1, meta, body: Bytes::from_static(b"[]x") };
        let all = replies(&frame, 1, &About::Batch(Vec::new())).unwrap();
        let body = |outcome: &Outcome| match &outcome.as_ref().unwrap().body {
            ReplyBody::Whole(body) => body.clone(),
            ReplyBody::Stream(_) => panic!("a stream"),
        };
        assert_eq!((body(&all[0]), body(&all[2])), ("[]".into(), "x".into()));
        assert_eq!(all[2].as_ref().unwrap().status, 201);
        assert_eq!(all[1].as_ref().unwrap_err(), &PredictError::BadRequest("no".to_owned()));
    }
}
