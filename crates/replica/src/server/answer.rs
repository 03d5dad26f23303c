//! One HTTP request: what it asks for, whether there is room, what the predictor says, and how that is written.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use api::replica::ReplicaSpec;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::{admission::Admission, query};
use crate::{
    predictor::{PredictError, Predictor, Reply, Request},
    run::Limits,
};

type Response = http::Response<Full<Bytes>>;

const REQUEST_ID: &str = "x-request-id";
const JSON: &str = "application/json";
/// About the connection and not the request (RFC 9110, 7.6.1); predictors do not see them.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// What all connections share.
pub(crate) struct Service {
    api: String,
    replica: String,
    /// What `GET /` answers.
    about: Bytes,
    predictor: Arc<dyn Predictor>,
    admission: Admission,
    body_limit: usize,
    draining: AtomicBool,
    /// Numbers the requests that came without an id, which only happens without a gateway.
    unnamed: AtomicU64,
}

impl Service {
    pub(crate) fn new(spec: &ReplicaSpec, limits: &Limits, predictor: Arc<dyn Predictor>) -> Self {
        let mut about = Map::new();
        about.insert("name".to_owned(), json!(spec.api));
        about.insert("type".to_owned(), json!(spec.predictor.r#type));
        about.insert("version".to_owned(), json!(spec.version));
        about.append(&mut predictor.describe());
        Self {
            api: spec.api.clone(),
            replica: spec.replica.clone(),
            about: Value::from(about).to_string().into(),
            admission: Admission::new(predictor.concurrency(), limits.queue),
            predictor,
            body_limit: limits.body,
            draining: AtomicBool::new(false),
            unnamed: AtomicU64::new(1),
        }
    }

    pub(crate) fn predictor(&self) -> &dyn Predictor {
        &*self.predictor
    }

    /// From now on every answer asks for its connection to be closed.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) async fn answer(&self, request: http::Request<Incoming>) -> Response {
        let id = self.request_id(request.headers());
        let outcome = match *request.method() {
            Method::POST => self.predict(id.clone(), request).await,
            Method::GET | Method::HEAD if request.uri().path() == "/" => {
                Ok(Reply { content_type: JSON.to_owned(), body: self.about.clone() })
            }
            _ => Err(Refusal::MethodNotAllowed),
        };
        let mut response = match outcome {
            Ok(reply) => write_reply(reply).unwrap_or_else(|refusal| self.write_refusal(&refusal, &id)),
            Err(refusal) => self.write_refusal(&refusal, &id),
        };
        if self.draining.load(Ordering::Acquire) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn predict(&self, id: String, request: http::Request<Incoming>) -> Result<Reply, Refusal> {
        let place = self.admission.enter().ok_or(Refusal::Overloaded)?;
        let (head, body) = request.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > self.body_limit) {
            return Err(Refusal::TooLarge { limit: self.body_limit });
        }
        let body = match Limited::new(body, self.body_limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge { limit: self.body_limit }),
            Err(_) => return Err(Refusal::Truncated),
        };
        let request = Request {
            id,
            content_type: text_of(head.headers.get(CONTENT_TYPE)),
            headers: visible_headers(&head.headers),
            query: query::pairs(head.uri.query().unwrap_or_default()),
            body,
        };
        let slot = place.slot().await;
        let predictor = Arc::clone(&self.predictor);
        // A task of its own: when the caller goes away this future is dropped, but the predictor works on, and its slot
        // is taken until it is done.
        let work = tokio::spawn(async move {
            let _slot = slot;
            predictor.predict(request).await
        });
        match work.await {
            Ok(outcome) => outcome.map_err(Refusal::Predict),
            Err(panic) => {
                tracing::error!("panic in the predictor: {panic}");
                Err(Refusal::Predict(PredictError::Died))
            }
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> String {
        text_of(headers.get(REQUEST_ID))
            .unwrap_or_else(|| format!("{}-{}", self.replica, self.unnamed.fetch_add(1, Ordering::Relaxed)))
    }

    fn write_refusal(&self, refusal: &Refusal, id: &str) -> Response {
        let message = match refusal {
            Refusal::Predict(PredictError::Raised { .. } | PredictError::BadResponse(_)) => {
                format!("{refusal}; see `cortex logs {}`", self.api)
            }
            _ => refusal.to_string(),
        };
        let body = json!({ "kind": refusal.kind(), "message": message, "request_id": id });
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = refusal.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        match refusal {
            Refusal::Overloaded => headers.insert(RETRY_AFTER, HeaderValue::from_static("1")),
            Refusal::MethodNotAllowed => headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST")),
            _ => None,
        };
        response
    }
}

/// Fails if the predictor's content type cannot be a header.
fn write_reply(reply: Reply) -> Result<Response, Refusal> {
    let content_type = HeaderValue::try_from(reply.content_type).map_err(|_| {
        Refusal::Predict(PredictError::BadResponse(
            "the predictor answered with a content type that is none".to_owned(),
        ))
    })?;
    let mut response = Response::new(Full::new(reply.body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

fn text_of(value: Option<&HeaderValue>) -> Option<String> {
    value?.to_str().ok().map(str::to_owned)
}

fn visible_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut visible = Map::new();
    for name in headers.keys().filter(|name| !HOP_BY_HOP.contains(&name.as_str())) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        visible.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    visible
}

/// Why a request gets no prediction.
#[derive(Debug)]
enum Refusal {
    MethodNotAllowed,
    TooLarge {
        limit: usize,
    },
    /// The connection broke before the body was complete; nobody will read the answer.
    Truncated,
    Overloaded,
    Predict(PredictError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Truncated | Self::Predict(PredictError::BadRequest(_)) => StatusCode::BAD_REQUEST,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Predict(PredictError::Raised { .. } | PredictError::BadResponse(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Predict(PredictError::Died) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Stable; part of the API.
    fn kind(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge { .. } => "body_too_large",
            Self::Truncated | Self::Predict(PredictError::BadRequest(_)) => "bad_request",
            Self::Overloaded => "overloaded",
            Self::Predict(PredictError::Raised { .. }) => "predictor_raised",
            Self::Predict(PredictError::BadResponse(_)) => "bad_response",
            Self::Predict(PredictError::Died) => "predictor_died",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MethodNotAllowed => f.write_str("POST a request for a prediction, or GET / for what this API takes"),
            Self::TooLarge { limit } => write!(f, "the request body is longer than {limit} bytes"),
            Self::Truncated => f.write_str("the request body ended early"),
            Self::Overloaded => f.write_str("too many requests are waiting for this replica: try again soon"),
            Self::Predict(error) => error.fmt(f),
        }
    }
}
