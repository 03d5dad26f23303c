//! What a worker is asked: written once, before the desk is taken, whichever worker it will go to.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::json;

use super::frame;
use crate::{
    exchange::{Name, Request},
    predictor::PredictError,
};

/// Of a batch, a log line names so many requests at most.
const NAMED: usize = 16;

#[derive(Debug)]
pub(super) struct Work {
    pub(super) kind: u8,
    pub(super) meta: Bytes,
    pub(super) body: Bytes,
}

/// Which requests log lines are about, in the order of the batch if it is one.
#[derive(Debug)]
pub(super) enum About {
    One(Name),
    Batch(Vec<Name>),
}

impl Work {
    /// `head`: whether the predictor wants headers or query.
    pub(super) fn one(request: Request, head: bool) -> Result<(Self, About), PredictError> {
        let content_type = request.content_type().unwrap_or_default();
        let mut meta = Vec::with_capacity(request.id.len() + content_type.len() + 2);
        meta.extend_from_slice(request.id.as_bytes());
        meta.push(b'\n');
        meta.extend_from_slice(content_type.as_bytes());
        meta.push(b'\n');
        if head {
            let [headers, query] = head_and_query(&request);
            // Text from valid JSON values cannot fail to be written.
            let _ = serde_json::to_writer(&mut meta, &[headers, query]);
        }
        let body = request.body.clone();
        Ok((Self::new(frame::PREDICT, meta, body)?, About::One(request.into_name())))
    }

    pub(super) fn batch(requests: Vec<Request>, head: bool) -> Result<(Self, About), PredictError> {
        let entries: Vec<_> = requests
            .iter()
            .map(|request| {
                let [headers, query] = if head { head_and_query(request) } else { [json!(null), json!(null)] };
                json!([request.id, request.content_type().unwrap_or_default(), request.body.len(), headers, query])
            })
            .collect();
        let mut body = BytesMut::with_capacity(requests.iter().map(|request| request.body.len()).sum());
        requests.iter().for_each(|request| body.put_slice(&request.body));
        let work = Self::new(frame::BATCH, json!(entries).to_string().into_bytes(), body.freeze())?;
        Ok((work, About::Batch(requests.into_iter().map(Request::into_name).collect())))
    }

    fn new(kind: u8, meta: Vec<u8>, body: Bytes) -> Result<Self, PredictError> {
        if meta.len() > frame::LONGEST || body.len() > frame::LONGEST {
            let text = format!("{} bytes are more than a predictor can be given at once", meta.len() + body.len());
            return Err(PredictError::BadRequest(text));
        }
        Ok(Self { kind, meta: meta.into(), body })
    }
}

fn head_and_query(request: &Request) -> [serde_json::Value; 2] {
    let headers: serde_json::Map<_, _> =
        request.headers().map(|(name, value)| (name.to_owned(), value.into())).collect();
    [headers.into(), json!(request.query())]
}

impl About {
    fn names(&self) -> &[Name] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Batch(names) => names,
        }
    }

    /// A worker begins with it.
    pub(super) fn begins(&self) {
        self.names().iter().for_each(|name| name.turn.comes());
    }

    pub(super) fn requests(&self) -> usize {
        self.names().len()
    }

    pub(super) fn name(&self, index: usize) -> Option<&Name> {
        self.names().get(index)
    }

    /// Of a batch, those of the first with commas between.
    pub(super) fn request_id(&self) -> Cow<'_, str> {
        match self.names() {
            [one] => Cow::Borrowed(&one.request_id),
            many => {
                let more = if many.len() > NAMED { ",..." } else { "" };
                let ids: Vec<_> = many.iter().take(NAMED).map(|name| name.request_id.as_str()).collect();
                Cow::Owned(ids.join(",") + more)
            }
        }
    }

    /// In the same way; `None` if none of them belongs to a trace.
    pub(super) fn trace_id(&self) -> Option<String> {
        let ids: Vec<_> = self.names().iter().take(NAMED).filter_map(Name::trace_id).collect();
        (!ids.is_empty()).then(|| ids.join(","))
    }
}

#[cfg(test)]
mod tests {
    use telemetry::TRACEPARENT;

    use super::*;
    use crate::exchange::Turn;

    fn request(id: &str, trace: Option<&str>) -> Request {
        let mut head = http::Request::post("/?a=b").header("content-type", "text/plain");
        if let Some(trace) = trace {
            head = head.header(TRACEPARENT, format!("00-{trace}-00f067aa0ba902b7-01"));
        }
        let (head, ()) = head.body(()).unwrap().into_parts();
        Request { id: id.to_owned(), head, body: Bytes::from_static(b"xy"), turn: Turn::default() }
    }

    #[test]
    fn a_request_is_its_id_its_type_and_what_is_wanted_of_its_head() {
        let (work, about) = Work::one(request("r1", None), false).unwrap();
        assert_eq!((&work.meta[..], &work.body[..]), (&b"r1\ntext/plain\n"[..], &b"xy"[..]));
        assert_eq!((about.request_id(), about.trace_id()), ("r1".into(), None));
        let (work, _) = Work::one(request("r1", None), true).unwrap();
        let want = br#"r1
text/plain
[{"content-type":"text/plain"},[["a","b"]]]"#;
        assert_eq!(work.meta[..], want[..]);
    }

    #[test]
    fn a_batch_names_its_requests_and_traces_but_not_all_of_many() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let requests = vec![request("a", None), request("b", Some(trace))];
        let (work, about) = Work::batch(requests, false).unwrap();
        assert_eq!(work.meta, r#"[["a","text/plain",2,null,null],["b","text/plain",2,null,null]]"#);
        assert_eq!(&work.body[..], b"xyxy");
        assert_eq!((about.request_id(), about.trace_id().as_deref()), ("a,b".into(), Some(trace)));
        assert_eq!(about.name(1).unwrap().trace_id().as_deref(), Some(trace));
        let many = (0..17).map(|_| request("r", None)).collect();
        assert!(Work::batch(many, false).unwrap().1.request_id().ends_with(",r,..."));
    }
}
