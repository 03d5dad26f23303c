//! Clients of GraphLab, Dato and Turi Predictive Services, which are still out there and cannot be changed: what they send
//! becomes a request to an API, and what the API answers becomes what they read.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | the handshake, without a key |
//! | `GET /control/healthcheck` | as `/healthz` (in `pipeline`) |
//! | `POST /query/NAME`, `POST /data/NAME` | a prediction of the API with that *name*, whatever its endpoint |
//! | `POST /feedback` | 501: there is nothing yet that would keep it |
//!
//! **An API's endpoint comes first.** Where the request's key opens an API that has the path (`/query`, say, or `/`), the request is
//! that API's, with nothing here in between. A stranger gets the same answer in both cases.
//!
//! **The key may be in the body**, so a body is read before its sender is known, and only here: at most [`STRANGER_BYTES`] of it,
//! within [`STRANGER_TIME`], and all such bodies together hold no more than [`STRANGERS_BYTES`]. Bodies of callers whose key is
//! known, and the answers for them, are whole in memory, too, because both are put into another form: each has a limit, and all
//! together. The key goes no further: only the value of `data` does.

mod envelope;
mod intake;
mod json;
mod refusal;
mod reply;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use transport::Peer;
use uuid::Uuid;

use self::{
    envelope::{Envelope, Payload},
    intake::{Budget, Held, Trouble, Wait},
    reply::Origin,
};
use crate::{
    Timeouts,
    error::Error,
    headers,
    phase::{authenticate::Keys, cors::Grant, deliver::deliver, forward::Forwarded, record::Record, route},
    snapshot::{Api, Snapshot, Table},
    upstream::{ReplyBody, RequestBody},
};

pub(crate) use refusal::Refusal;

/// Where their load balancers look whether a node is well.
pub(crate) const HEALTH: &str = "/control/healthcheck";
/// The first version whose clients send the key in a header (and, some of them, in the body as well).
const HANDSHAKE: &str = r#"{"schema_version":7}"#;
/// The method of a model that the client called; the payload is what it called it with.
const METHOD: HeaderName = HeaderName::from_static("x-cortex-method");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Of one body whose sender is not known yet.
const STRANGER_BYTES: usize = 1 << 20;
/// Of all of them.
const STRANGERS_BYTES: usize = 64 << 20;
/// One client gets this part of it. A load balancer that hides its clients' addresses is one client.
const SHARE: usize = 8;
/// From the request's head to the end of such a body. The clients themselves wait no longer.
const STRANGER_TIME: Duration = Duration::from_secs(10);
/// Of one body of a known caller, and of one answer.
const CALLER_BYTES: usize = 16 << 20;
/// Of all of them.
const CALLERS_BYTES: usize = 256 << 20;

/// What an old client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Handshake,
    /// Of the API with this name.
    Query(String),
    Feedback,
}

impl Call {
    /// What the request is, if there is no API that has its path.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path).trim_start_matches('/');
        match *method {
            Method::GET | Method::HEAD if path.is_empty() => Some(Self::Handshake),
            Method::POST if path == "feedback" => Some(Self::Feedback),
            Method::POST => queried(path).map(Self::Query),
            _ => None,
        }
    }
}

/// The API that an old client means by this path, if no API has the path itself: for the rules about pages.
pub(crate) fn api_of(path: &str, snapshot: &Snapshot) -> Option<Arc<Api>> {
    snapshot.api(&queried(path.trim_start_matches('/'))?)
}

/// The name in a path that has no slash at its beginning.
fn queried(path: &str) -> Option<String> {
    let name = path.strip_prefix("query/").or_else(|| path.strip_prefix("data/"))?;
    // What is not UTF-8 is the name of no API; it is looked up as it is.
    (!name.is_empty() && !name.contains('/')).then(|| percent_decode_str(name).decode_utf8_lossy().into_owned())
}

/// What is known of a request besides itself.
pub(crate) struct Circumstances<'a> {
    pub(crate) table: &'a Table,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) id: &'a HeaderValue,
    pub(crate) peer: Peer,
    pub(crate) encrypted: bool,
}

/// Answers old clients; keeps count of the memory that takes.
#[derive(Debug)]
pub(crate) struct OldClients {
    strangers: Budget,
    callers: Budget,
}

impl Default for OldClients {
    fn default() -> Self {
        let strangers = Budget::new(STRANGERS_BYTES, STRANGERS_BYTES / SHARE);
        Self { strangers, callers: Budget::new(CALLERS_BYTES, CALLERS_BYTES) }
    }
}

impl OldClients {
    /// `keys`: those of the request's headers; `None` if it has none there. `grant` becomes that of the API.
    pub(crate) async fn serve(
        &self,
        call: Call,
        keys: Option<Keys>,
        request: Request<RequestBody>,
        around: &Circumstances<'_>,
        grant: &mut Grant,
        record: &mut Record,
    ) -> Result<Response<Bytes>, Error> {
        let (head, mut body) = request.into_parts();
        let Query { api, data, method, _held } = match call {
            Call::Handshake => return Ok(json(StatusCode::OK, HANDSHAKE)),
            call => self.admit(call, keys, &head, &mut body, around, grant).await?,
        };
        let body = RequestBody::whole(data, body.progress());
        let request = prepared(Request::from_parts(head, body), method.as_deref(), around)?;
        let delivered = deliver(around.table, around.timeouts, Arc::clone(&api), request, false, record).await?;
        let Forwarded::Reply(response) = delivered else {
            return Err(Error::BadReply("101 without an Upgrade".into()));
        };
        let (mut head, body) = response.into_parts();
        let body = self.whole_reply(body, around).await?;
        let version = record.version().and_then(|version| around.snapshot.generation(&api.name, version));
        let origin = Origin { uuid: uuid_of(around.id), version: version.unwrap_or(0), model: &api.name };
        let (status, answer) = reply::translate(&origin, head.status, &head.headers, &body.bytes);
        head.status = status;
        for name in [CONTENT_LENGTH, CONTENT_ENCODING] {
            head.headers.remove(name);
        }
        head.headers.insert(CONTENT_TYPE, JSON);
        Ok(Response::from_parts(head, body.replaced(answer)))
    }

    /// The API and the payload for it, if the caller may have it.
    async fn admit(
        &self,
        call: Call,
        keys: Option<Keys>,
        head: &http::request::Parts,
        body: &mut RequestBody,
        around: &Circumstances<'_>,
        grant: &mut Grant,
    ) -> Result<Query, Error> {
        let snapshot = around.snapshot;
        let held = match keys {
            Some(_) => self.caller_body(body, around).await?,
            None => self.stranger_body(body, around).await?,
        };
        if keys.is_none() && held.bytes.is_empty() {
            return Err(Error::NoKey);
        }
        let envelope = Envelope::parse(&held.bytes)?;
        let keys = match (keys, envelope.key) {
            (Some(keys), _) => keys,
            (None, Some(key)) => Keys::of(&key, &snapshot.keys, std::time::SystemTime::now())?,
            (None, None) => return Err(Error::NoKey),
        };
        *grant = snapshot.pages.grant(&head.headers);
        // Keys in bodies are for these routes only.
        if snapshot.find(route::normal(head.uri.path())?, |api| keys.open(&api.name)).is_some() {
            return Err(Error::NoKey);
        }
        let name = match call {
            Call::Query(name) => name,
            _ => return Err(Refusal::Feedback.into()),
        };
        let api = snapshot.api(&name).filter(|api| keys.open(&api.name)).ok_or(Error::ApiNotFound)?;
        *grant = api.pages.grant(&head.headers);
        let Payload { json, method } = envelope::payload(envelope.data)?;
        Ok(Query { api, data: held.bytes.slice_ref(json.as_bytes()), method, _held: held })
    }

    async fn stranger_body(&self, body: &mut RequestBody, around: &Circumstances<'_>) -> Result<Held, Error> {
        let time = STRANGER_TIME.min(around.timeouts.response);
        let read = intake::read(body, STRANGER_BYTES, &self.strangers, around.peer, Wait::Altogether(time)).await;
        read.map_err(|trouble| match trouble {
            Trouble::TooLarge => Refusal::StrangerTooLarge { limit: STRANGER_BYTES }.into(),
            Trouble::Full => Refusal::Full.into(),
            Trouble::Late => Refusal::Late(time).into(),
            Trouble::Broken(_) => Error::BodyBroken,
        })
    }

    async fn caller_body(&self, body: &mut RequestBody, around: &Circumstances<'_>) -> Result<Held, Error> {
        let time = around.timeouts.response;
        let read = intake::read(body, CALLER_BYTES, &self.callers, around.peer, Wait::ForMore(time)).await;
        read.map_err(|trouble| match trouble {
            Trouble::TooLarge => Refusal::TooLarge { limit: CALLER_BYTES }.into(),
            Trouble::Full => Refusal::Full.into(),
            Trouble::Late => Error::BodyStalled(time),
            Trouble::Broken(_) => Error::BodyBroken,
        })
    }

    async fn whole_reply(&self, mut body: ReplyBody, around: &Circumstances<'_>) -> Result<Held, Error> {
        let time = around.timeouts.response;
        let read = intake::read(&mut body, CALLER_BYTES, &self.callers, around.peer, Wait::ForMore(time)).await;
        read.map_err(|trouble| match trouble {
            Trouble::TooLarge => Refusal::ReplyTooLarge { limit: CALLER_BYTES }.into(),
            Trouble::Full => Refusal::ReplyFull.into(),
            Trouble::Late => Error::Deadline(time),
            Trouble::Broken(error) => Error::ReplicaLost(error.into()),
        })
    }
}

/// A query that may go on.
struct Query {
    api: Arc<Api>,
    data: Bytes,
    method: Option<String>,
    /// The whole body, of which the data is a part.
    _held: Held,
}

/// Makes the request into one for a replica.
fn prepared(
    mut request: Request<RequestBody>,
    method: Option<&str>,
    around: &Circumstances<'_>,
) -> Result<Request<RequestBody>, Error> {
    let host = headers::host(&request)?;
    let uri = route::origin_form("", request.uri().query())?;
    *request.uri_mut() = uri;
    let length = request.body().size_hint().lower();
    let fields = request.headers_mut();
    // What comes back is to be read here.
    for name in [ACCEPT_ENCODING, CONTENT_ENCODING, METHOD] {
        fields.remove(name);
    }
    fields.insert(CONTENT_TYPE, JSON);
    fields.insert(CONTENT_LENGTH, length.into());
    if let Some(method) = method.and_then(|method| HeaderValue::try_from(method).ok()) {
        fields.insert(METHOD, method);
    }
    headers::for_replica(&mut request, host, around.id, around.peer, around.encrypted);
    Ok(request)
}

/// The request's id, by which its log lines are found; another one if the client had its own idea of an id.
fn uuid_of(id: &HeaderValue) -> Uuid {
    id.to_str().ok().and_then(|id| Uuid::parse_str(id).ok()).unwrap_or_else(Uuid::now_v7)
}

fn json(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
