//! People with a browser: they are asked for the key by the browser itself, and what other sites make that browser send with it
//! is refused.
//!
//! A browser that was asked (HTTP Basic) sends the key with everything that it sends here from then on, also with what a page of
//! some other site makes it send. Such requests are known by their `Origin`: browsers name it in every request from another one that
//! may change something. A page that calls with a key of its own has asked first ([`cors`](crate::phase::cors)), and it may; a request
//! with Basic and the origin of a page that may not was not meant by whoever knows the key.

use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{AUTHORIZATION, HOST, ORIGIN, UPGRADE},
    uri::Authority,
};
use transport::prefers_html;

/// Asks people for the key; the user name does not matter.
pub(crate) const CHALLENGE: HeaderValue =
    HeaderValue::from_static(r#"Basic realm="API key as the password", charset="UTF-8""#);

/// Whether a person opens the address: everybody else is told what programs are told.
pub(crate) fn opens_page<B>(request: &Request<B>) -> bool {
    *request.method() == Method::GET && prefers_html(request.headers())
}

/// Whether the only key of the request is one that a browser may have added by itself, for a page of another origin.
pub(crate) fn sent_for_another_page<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let basic = headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic ")));
    // A WebSocket begins with a GET, and no page needs leave to open one.
    let reads =
        matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && !headers.contains_key(UPGRADE);
    basic
        && !reads
        && !headers.contains_key("x-api-key")
        && !is_own(origin, request.uri().authority().map(Authority::as_str), headers)
}

fn is_own(origin: &HeaderValue, authority: Option<&str>, headers: &HeaderMap) -> bool {
    let host = authority.or_else(|| headers.get(HOST)?.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().method(method).uri("/iris").header(HOST, "localhost:8443");
        headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn a_page_is_opened_by_get() {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        for (method, accept, opens) in [
            ("GET", browser, true),
            ("POST", browser, false),
            ("GET", "*/*", false),
            ("GET", "application/json", false),
            ("GET", "application/json, text/html;q=0.1", false),
        ] {
            assert_eq!(opens_page(&request(method, &[("accept", accept)])), opens, "{method} {accept}");
        }
    }

    #[test]
    fn what_a_browser_adds_by_itself_is_for_its_own_pages() {
        let (basic, bearer) = (("authorization", "basic QTpC"), ("authorization", "Bearer B"));
        let (own, other) = (("origin", "https://LOCALHOST:8443"), ("origin", "https://evil.test"));
        for (method, headers, refused) in [
            ("POST", &[basic, other][..], true),
            ("POST", &[basic, ("origin", "null")], true),
            ("GET", &[basic, other], false),
            ("GET", &[basic, other, ("upgrade", "websocket")], true),
            ("GET", &[basic, own, ("upgrade", "websocket")], false),
            ("DELETE", &[basic, ("origin", "https://localhost")], true),
            ("POST", &[basic, own], false),
            ("POST", &[basic], false),
            ("POST", &[bearer, other], false),
            ("POST", &[basic, other, ("x-api-key", "K")], false),
            ("GET", &[basic, other], false),
        ] {
            assert_eq!(sent_for_another_page(&request(method, headers)), refused, "{method} {headers:?}");
        }
    }
}
