//! The outermost layer: whatever came of a request becomes a response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::wire::ErrorBody;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use transport::remove_hop_by_hop;

use crate::{
    error::{Error, Retry},
    headers,
    phase::{cors::Grant, identify::REQUEST_ID, record::Record},
    upstream::ReplyBody,
};

/// `Retry-After` of every 503: whatever is in the way is usually gone after a second.
pub(crate) const SOON: HeaderValue = HeaderValue::from_static("1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The body of a response, which writes the request's record when it ends.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    content: Content,
    record: Option<Record>,
}

#[derive(Debug)]
enum Content {
    Text(Full<Bytes>),
    Reply(ReplyBody),
}

#[derive(serde::Serialize)]
struct Refusal {
    #[serde(flatten)]
    body: ErrorBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A replica's response, as the client gets it.
pub(crate) fn reply(
    response: Response<ReplyBody>,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    record: Record,
) -> Response<ResponseBody> {
    passed_on(response.map(Content::Reply), grant, id, method, record)
}

/// What an old client gets.
pub(crate) fn whole(
    response: Response<Bytes>,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    record: Record,
) -> Response<ResponseBody> {
    passed_on(response.map(|body| Content::Text(Full::from(body))), grant, id, method, record)
}

/// What a replica said, without what was about its connection.
fn passed_on(
    mut response: Response<Content>,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    record: Record,
) -> Response<ResponseBody> {
    remove_hop_by_hop(response.headers_mut());
    // The server writes the version that the client speaks.
    *response.version_mut() = Version::HTTP_11;
    response.extensions_mut().clear();
    finish(response, grant, id, method, Some(record))
}

/// A replica's 101. The record goes on with what follows.
pub(crate) fn switched(
    response: Response<()>,
    grant: &Grant,
    id: HeaderValue,
    record: &mut Record,
) -> Response<ResponseBody> {
    let (mut head, ()) = response.into_parts();
    let protocol = head.headers.remove(UPGRADE);
    remove_hop_by_hop(&mut head.headers);
    if let Some(protocol) = protocol {
        headers::switch(&mut head.headers, protocol);
    }
    head.extensions.clear();
    record.answered(head.status);
    record.complete();
    finish(Response::from_parts(head, Content::Text(Full::default())), grant, id, &Method::GET, None)
}

/// Whether clients of the Open Inference Protocol ask there.
pub(crate) fn is_of_open_inference(path: &str) -> bool {
    path.contains("/v2/") || path.ends_with("/v2")
}

/// An error, as the client gets it. `open_inference`: it looks for the text in `error`, as in what a replica says.
pub(crate) fn refusal(
    error: &Error,
    open_inference: bool,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    mut record: Record,
) -> Response<ResponseBody> {
    record.failed(error);
    let message = error.to_string();
    let body = Refusal {
        error: open_inference.then(|| message.clone()),
        body: ErrorBody {
            kind: error.kind().to_owned(),
            message,
            request_id: id.to_str().unwrap_or_default().to_owned(),
        },
    };
    let mut response = json(&body);
    *response.status_mut() = error.status();
    let fields = response.headers_mut();
    match error {
        Error::NoKey | Error::WrongKey => {
            fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::Method(_) => {
            fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        _ => {}
    }
    if error.retry() == Retry::Always {
        fields.insert(RETRY_AFTER, SOON);
    }
    finish(response, grant, id, method, Some(record))
}

/// The answer to a preflight.
pub(crate) fn preflight(
    granted: HeaderMap,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    record: Record,
) -> Response<ResponseBody> {
    let mut response = Response::new(Content::Text(Full::default()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let mut response = finish(response, grant, id, method, Some(record));
    response.headers_mut().extend(granted);
    response
}

/// A page of metrics; not recorded.
pub(crate) fn page(text: String, id: HeaderValue, method: &Method) -> Response<ResponseBody> {
    let mut response = Response::new(Content::Text(Full::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(telemetry::CONTENT_TYPE));
    finish(response, &Grant::Nothing, id, method, None)
}

/// Something the gateway itself has to say; not recorded.
pub(crate) fn own(value: &impl serde::Serialize, id: HeaderValue, method: &Method) -> Response<ResponseBody> {
    finish(json(value), &Grant::Nothing, id, method, None)
}

fn json(value: &impl serde::Serialize) -> Response<Content> {
    let text = serde_json::to_vec(value).expect("strings serialise");
    let mut response = Response::new(Content::Text(Full::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn finish(
    mut response: Response<Content>,
    grant: &Grant,
    id: HeaderValue,
    method: &Method,
    mut record: Option<Record>,
) -> Response<ResponseBody> {
    grant.write(response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id);
    if *method == Method::HEAD
        && let Content::Text(text) = response.body_mut()
    {
        // Over HTTP/2 the server would send the body all the same.
        let length = text.size_hint().lower();
        *text = Full::default();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    let status = response.status();
    response.map(|content| {
        if let Some(record) = &mut record {
            record.answered(status);
            // Nobody will ask for the rest of nothing.
            if content.is_end_stream() {
                record.complete();
            }
        }
        ResponseBody { content, record }
    })
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Text(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::Reply(reply) => Pin::new(reply).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Reply(reply) => reply.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Reply(reply) => reply.size_hint(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { content, record } = &mut *self;
        let frame = ready!(Pin::new(&mut *content).poll_frame(cx));
        if let Some(record) = record {
            match &frame {
                Some(Ok(frame)) => {
                    record.sent(frame.data_ref().map_or(0, Bytes::len));
                    if content.is_end_stream() {
                        record.complete();
                    }
                }
                Some(Err(_)) => record.cut_off(),
                None => record.complete(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
