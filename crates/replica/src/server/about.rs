//! What a replica tells of itself to whoever looks before calling: `GET /` as JSON, or as a page for browsers, and
//! `GET /openapi.json`. All of it is made once, from the same description.

mod openapi;
mod page;
mod sample;
mod schema;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS},
};
use serde_json::{Map, Value};
use transport::prefers_html;

use super::answer::{Response, json_response};

/// What a predictor says in JSON Schemas.
const SCHEMAS: [&str; 3] = ["payload", "reply", "schemas"];

pub(super) struct About {
    json: Bytes,
    openapi: Bytes,
    page: Bytes,
    /// What the page may do: run its own script, ask its own origin.
    policy: HeaderValue,
}

impl About {
    /// `about`: name, type and version of the API, and what its predictor says of itself.
    pub(super) fn new(about: &Map<String, Value>) -> Self {
        // Schemas refer to one another by their places in the document.
        let in_short = about.iter().filter(|(field, _)| !SCHEMAS.contains(&field.as_str()));
        let json: Map<_, _> = in_short.map(|(field, value)| (field.clone(), value.clone())).collect();
        Self {
            json: Value::from(json).to_string().into(),
            openapi: openapi::document(about).to_string().into(),
            page: page::of(about).into(),
            policy: page::policy(),
        }
    }

    /// The answer to a GET of that path, if there is one.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        match path {
            "/openapi.json" => Some(json_response(self.openapi.clone())),
            "/" => Some(if prefers_html(headers) { self.page() } else { by_accept(json_response(self.json.clone())) }),
            _ => None,
        }
    }

    fn page(&self) -> Response {
        let mut response = by_accept(json_response(self.page.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // The next version of the API has another one.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

fn by_accept(mut response: Response) -> Response {
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}
