//! Phase 2: which pages may call from a browser, by the Fetch standard ("CORS protocol").
//!
//! A preflight has no key and is answered here, whatever its path: by the setting of the API that has the path, else by the
//! cluster's. One that is refused is refused in the same words whether the API is there, is closed to all pages, or is not
//! there at all.
//!
//! Responses, refusals too, tell a page's browser that the page may see them. What a replica says about this is taken out:
//! one place decides. Nothing here keeps a request from being served; that is what keys are for (and `browser`, for keys that a
//! browser sends by itself), and pages get no cookie or client certificate used for them (`Access-Control-Allow-Credentials` is never sent).
//!
//! Our own and not tower-http's: that takes every OPTIONS for a preflight, which APIs may have a use of their own for, has no
//! settings that change, and there is no tower here.

use std::collections::HashSet;

use api::cors::{ANY_ORIGIN, Cors};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use crate::error::Error;

const ANY: HeaderValue = HeaderValue::from_static(ANY_ORIGIN);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// What clients of every API send. Others that a page asks for are allowed too: they are between it and the API.
const HEADERS: &str = "authorization, content-type, x-api-key, x-request-id, x-requested-with";
/// Of ours; what else an API says, it must say in a header that pages can see anyway, or in its body.
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, retry-after");
/// How long a browser need not ask again, and so how long it may not notice that the setting has changed.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");
/// Of what a page asks for; it is repeated in the answer.
const ASKED_BYTES: usize = 4096;

/// Pages that may call.
#[derive(Debug, Default)]
pub(crate) enum Pages {
    #[default]
    None,
    All,
    Of(HashSet<String>),
}

impl Pages {
    pub(crate) fn new(cors: &Cors) -> Self {
        match &cors.origins[..] {
            [] => Self::None,
            origins if origins.iter().any(|origin| origin == ANY_ORIGIN) => Self::All,
            origins => Self::Of(origins.iter().cloned().collect()),
        }
    }

    /// What the response to this request is to say.
    pub(crate) fn grant(&self, request: &HeaderMap) -> Grant {
        match self {
            Self::None => Grant::Nothing,
            // What is the same for all pages is said to everybody, so that one page may be shown what was kept for another.
            Self::All => Grant::All,
            Self::Of(origins) => {
                let origin = request.get(ORIGIN).filter(|origin| is_one_of(origin, origins));
                origin.map_or(Grant::NotThis, |origin| Grant::This(origin.clone()))
            }
        }
    }
}

fn is_one_of(origin: &HeaderValue, origins: &HashSet<String>) -> bool {
    origin.to_str().is_ok_and(|origin| origins.contains(origin))
}

/// What a response says of who may see it.
#[derive(Debug, Clone)]
pub(crate) enum Grant {
    /// As if there were no such thing as CORS.
    Nothing,
    /// Not the page that asked, or none did; others may.
    NotThis,
    This(HeaderValue),
    All,
}

impl Grant {
    /// Puts it into the response, in place of whatever a replica has said.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let theirs = |name: &&HeaderName| name.as_str().starts_with("access-control-");
        let theirs: Vec<HeaderName> = headers.keys().filter(theirs).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
        let origin = match self {
            Self::Nothing => return,
            Self::NotThis => None,
            Self::This(origin) => Some(origin.clone()),
            Self::All => Some(ANY),
        };
        if !matches!(self, Self::All) && !varies_by_origin(headers) {
            headers.append(VARY, VARY_ORIGIN);
        }
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let values = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|name| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("origin"))
}

/// Whether a browser asks, before it sends what a page wants it to.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    let has = |name| request.headers().contains_key(name);
    *request.method() == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the answer to a preflight says besides what every response does.
pub(crate) fn preflight(request: &HeaderMap, grant: &mut Grant) -> Result<HeaderMap, Error> {
    if !matches!(grant, Grant::This(_) | Grant::All) {
        // Whether any page may is not for strangers to know.
        *grant = Grant::NotThis;
        return Err(Error::Origin);
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request)?);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(VARY, VARY_PREFLIGHT);
    Ok(headers)
}

/// A `*` would not cover `authorization` (Fetch standard, "CORS non-wildcard request-header name").
fn allowed_headers(request: &HeaderMap) -> Result<HeaderValue, Error> {
    let bad = || Error::BadRequest("Access-Control-Request-Headers is not a list of header names");
    let mut all = HEADERS.to_owned();
    for value in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in value.to_str().map_err(|_| bad())?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name: HeaderName = name.parse().map_err(|_| bad())?;
            if all.split(", ").any(|known| known == name.as_str()) {
                continue;
            }
            all = format!("{all}, {name}");
            if all.len() > ASKED_BYTES {
                return Err(bad());
            }
        }
    }
    HeaderValue::try_from(all).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(origins: &[&str]) -> Pages {
        Pages::new(&Cors { origins: origins.iter().map(|&origin| origin.to_owned()).collect() })
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// The response's headers, after a replica has said those of `theirs`.
    fn written(pages: &Pages, origin: Option<&str>, theirs: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let request = headers(&origin.map(|origin| ("origin", origin)).into_iter().collect::<Vec<_>>());
        let mut response = headers(theirs);
        pages.grant(&request).write(&mut response);
        let field = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        let mut all: Vec<_> = response.iter().map(field).collect();
        all.sort();
        all
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const A: &str = "https://a.test";
    const EXPOSE: (&str, &str) = ("access-control-expose-headers", "x-request-id, retry-after");

    #[test]
    fn a_response_says_who_may_see_it() {
        let allow = |origin| ("access-control-allow-origin", origin);
        for (set, origin, said) in [
            (&[][..], Some(A), fields(&[])),
            (&[][..], None, fields(&[])),
            (&["*"], Some(A), fields(&[allow("*"), EXPOSE])),
            (&["*"], Some("null"), fields(&[allow("*"), EXPOSE])),
            (&["*"], None, fields(&[allow("*"), EXPOSE])),
            (&[A, "http://b.test:81"], Some(A), fields(&[allow(A), EXPOSE, ("vary", "origin")])),
            (
                &[A, "http://b.test:81"],
                Some("http://b.test:81"),
                fields(&[allow("http://b.test:81"), EXPOSE, ("vary", "origin")]),
            ),
            (&[A], None, fields(&[("vary", "origin")])),
            (&[A], Some("null"), fields(&[("vary", "origin")])),
            (&[A], Some("https://a.test:444"), fields(&[("vary", "origin")])),
            (&[A], Some("http://a.test"), fields(&[("vary", "origin")])),
            (&[A], Some("https://x.a.test"), fields(&[("vary", "origin")])),
            (&[A], Some("https://a.test.evil"), fields(&[("vary", "origin")])),
            (&[A], Some("https://a.test, https://b.test"), fields(&[("vary", "origin")])),
        ] {
            assert_eq!(written(&pages(set), origin, &[]), said, "{set:?} {origin:?}");
        }
    }

    #[test]
    fn what_a_replica_says_is_replaced_whatever_is_set() {
        let theirs = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "https://evil.test"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "x-secret"),
            ("content-type", "text/plain"),
        ];
        let kept = ("content-type", "text/plain");
        assert_eq!(written(&pages(&[]), Some(A), &theirs), fields(&[kept]));
        assert_eq!(
            written(&pages(&[A]), Some(A), &theirs),
            fields(&[("access-control-allow-origin", A), EXPOSE, kept, ("vary", "origin")])
        );
        for vary in ["accept, Origin", "*"] {
            let said = written(&pages(&[A]), None, &[("vary", vary)]);
            assert_eq!(said, fields(&[("vary", vary)]));
        }
        let said = written(&pages(&[A]), None, &[("vary", "accept")]);
        assert_eq!(said, fields(&[("vary", "accept"), ("vary", "origin")]));
    }

    #[test]
    fn a_preflight_is_told_by_its_three_signs() {
        let request = |method: Method, names: &[&'static str]| {
            let mut request = Request::new(());
            *request.method_mut() = method;
            for &name in names {
                request.headers_mut().insert(name, HeaderValue::from_static("x"));
            }
            is_preflight(&request)
        };
        let both = ["origin", "access-control-request-method"];
        assert!(request(Method::OPTIONS, &both));
        assert!(!request(Method::POST, &both));
        assert!(!request(Method::OPTIONS, &both[..1]) && !request(Method::OPTIONS, &both[1..]));
    }

    #[test]
    fn a_preflight_is_granted_what_the_page_asks_for_or_refused() {
        let asked = |set: &[&str], asked: &str| {
            let request = headers(&[("origin", A), ("access-control-request-headers", asked)]);
            preflight(&request, &mut pages(set).grant(&request)).map_err(|error| error.kind())
        };
        for set in [&[A][..], &["*"]] {
            let granted = asked(set, "Authorization,x-tenant , X-Api-Key,x-tenant").unwrap();
            assert_eq!(
                granted[ACCESS_CONTROL_ALLOW_HEADERS],
                "authorization, content-type, x-api-key, x-request-id, x-requested-with, x-tenant"
            );
            assert!(granted[ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap().contains("POST"));
            assert_eq!(granted[ACCESS_CONTROL_MAX_AGE], "600");
            assert_eq!(granted[VARY], VARY_PREFLIGHT);
            assert!(!granted.contains_key("access-control-allow-credentials"));
            assert_eq!(asked(set, "").unwrap()[ACCESS_CONTROL_ALLOW_HEADERS], HEADERS);
            let long: String = (0..200).map(|number| format!("x-a-rather-long-name-{number}, ")).collect();
            for bad in ["a b", "a;b", "ü", "\"x\"", &long] {
                assert_eq!(asked(set, bad), Err("bad_request"), "{bad}");
            }
        }
        assert_eq!(asked(&[], "x"), Err("origin_not_allowed"));
        assert_eq!(asked(&["https://b.test"], "x"), Err("origin_not_allowed"));
    }
}
