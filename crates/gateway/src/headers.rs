//! What of a message's headers is for the next hop only, and what the gateway says about the client.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Version,
    header::{CONNECTION, COOKIE, HOST, TE, UPGRADE},
    uri::Authority,
};
use transport::{Peer, remove_fields};

use crate::{error::Error, phase::identify::REQUEST_ID};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Other protocols that the client would speak (RFC 9110, 7.8). Not HTTP/2 without TLS: behind a switch to that, requests
/// would pass that no phase has seen.
pub(crate) fn upgrade<B>(request: &Request<B>) -> Option<HeaderValue> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11 || !has_token(headers, CONNECTION, "upgrade") {
        return None;
    }
    let values = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    let protocols = values.flat_map(|value| value.split(',')).map(str::trim);
    let protocols: Vec<_> = protocols.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("h2c")).collect();
    if protocols.is_empty() { None } else { HeaderValue::try_from(protocols.join(", ")).ok() }
}

/// Says to the next hop that the protocol is to be, or is, switched.
pub(crate) fn switch(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(UPGRADE, protocols);
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Makes a client's request headers into those for a replica. `encrypted`: the client spoke TLS.
///
/// Whatever strangers say about forwarding is replaced. `Expect` goes because this gateway itself answers it
/// (100 when the replica wants the body). `host` is what the client asked for.
pub(crate) fn for_replica<B>(
    request: &mut Request<B>,
    host: HeaderValue,
    id: &HeaderValue,
    peer: Peer,
    encrypted: bool,
) {
    let headers = request.headers_mut();
    let trailers = has_token(headers, TE, "trailers");
    remove_fields(headers, is_not_for_replicas);
    join_cookies(headers);
    if let Peer::Tcp(address) = peer {
        headers.insert(X_FORWARDED_FOR, value_of(address.ip().to_canonical()));
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if encrypted { "https" } else { "http" }));
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(HOST, host);
    headers.insert(REQUEST_ID, id.clone());
    if trailers {
        headers.insert(TE, TRAILERS);
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    *request.version_mut() = Version::HTTP_11;
}

/// What strangers say about forwarding, what this gateway answers itself, and what only the cluster itself may ask with.
fn is_not_for_replicas(name: &str) -> bool {
    let known = matches!(name, "expect" | "forwarded" | "proxy-authorization" | "x-real-ip" | telemetry::SCRAPE_HEADER);
    known || name.starts_with("x-forwarded-")
}

/// Written by hand if it is of IPv4: formatting costs as much as all else that is done to the headers.
fn value_of(address: IpAddr) -> HeaderValue {
    let IpAddr::V4(address) = address else {
        return HeaderValue::try_from(address.to_string()).expect("an address is ASCII");
    };
    let (mut text, mut length) = ([0; 15], 0);
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (position, octet) in address.octets().into_iter().enumerate() {
        if position > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    HeaderValue::from_bytes(&text[..length]).expect("an address is ASCII")
}

/// The host the client asked for: `:authority` or the absolute form before `Host` (RFC 9112, 3.2.2). To be read before
/// the request's target is rewritten.
pub(crate) fn host<B>(request: &Request<B>) -> Result<HeaderValue, Error> {
    let mut fields = request.headers().get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Error::BadRequest("the request has more than one Host"));
    }
    let authority = match (request.uri().authority(), field) {
        (None, Some(field)) if is_plainly_a_host(field.as_bytes()) => return Ok(field.clone()),
        (Some(authority), _) => authority.clone(),
        (None, Some(field)) => {
            Authority::try_from(field.as_bytes()).map_err(|_| Error::BadRequest("the Host is not a host name"))?
        }
        // HTTP/1.0 knew no Host, and there is only one cluster here to ask for.
        (None, None) if request.version() == Version::HTTP_10 => return Ok(HeaderValue::from_static("localhost")),
        (None, None) => return Err(Error::BadRequest("the request has no Host")),
    };
    let host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
    if let Some(field) = field.filter(|field| field.as_bytes() == host.as_bytes()) {
        return Ok(field.clone());
    }
    HeaderValue::try_from(host).map_err(|_| Error::BadRequest("the Host is not a host name"))
}

/// A name or an IPv4 address, perhaps with a port. Others have to be parsed, which takes a copy.
fn is_plainly_a_host(field: &[u8]) -> bool {
    let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    let (name, port) = field.split_at(colon);
    let named = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte));
    named && port.len() <= 6 && port.len() != 1 && port.iter().skip(1).all(u8::is_ascii_digit)
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// HTTP/2 may split cookies into several fields; HTTP/1.1 has one (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri("/x");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn prepared(fields: &[(&str, &str)]) -> Result<Vec<(String, String)>, Error> {
        let mut request = request(fields);
        let peer = Peer::Tcp("[::ffff:192.0.2.7]:1000".parse().unwrap());
        let host = host(&request)?;
        for_replica(&mut request, host, &HeaderValue::from_static("id-1"), peer, true);
        let mut all: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        all.sort();
        Ok(all)
    }

    fn ours(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let fixed = [
            ("host", "api.test:8443"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "api.test:8443"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "id-1"),
        ];
        let mut all: Vec<_> =
            fixed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.sort();
        all
    }

    #[test]
    fn addresses_and_hosts_are_what_the_libraries_make_of_them() {
        for text in ["0.0.0.0", "1.20.255.100", "255.255.255.255", "10.9.99.199", "::1", "2001:db8::7"] {
            assert_eq!(value_of(text.parse().unwrap()), text);
        }
        for plain in ["a", "api.test", "API-1.test:8443", "192.0.2.7:1"] {
            assert!(is_plainly_a_host(plain.as_bytes()) && plain.parse::<Authority>().is_ok(), "{plain}");
        }
        for other in ["", ":1", "a:", "a:123456", "a:b", "a:1:2", "[::1]:1", "a@b", "a b", "a/b", "a_b", "a:-1"] {
            assert!(!is_plainly_a_host(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_is_for_this_hop_or_pretended_does_not_pass() {
        let got = prepared(&[
            ("host", "api.test:8443"),
            ("connection", "Keep-Alive, X-Secret-Hop"),
            ("connection", "x-request-id, x-forwarded-for"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x-request-id", "theirs"),
            ("accept", "application/json"),
            ("trailer", "x-sum"),
        ]);
        assert_eq!(got.unwrap(), ours(&[("accept", "application/json"), ("trailer", "x-sum")]));
    }

    #[test]
    fn trailers_are_asked_for_only_if_the_client_takes_them() {
        let got = prepared(&[("host", "api.test:8443"), ("te", "deflate;q=0.5, Trailers")]);
        assert_eq!(got.unwrap(), ours(&[("te", "trailers"), ("connection", "te")]));
    }

    #[test]
    fn any_protocol_but_unencrypted_http2_may_be_asked_for() {
        for (fields, expected) in [
            (&[("connection", "Upgrade"), ("upgrade", "websocket")][..], Some("websocket")),
            (&[("connection", "keep-alive, upgrade"), ("upgrade", "h2c, x/1")], Some("x/1")),
            (&[("connection", "upgrade"), ("upgrade", "a"), ("upgrade", "b,H2C")], Some("a, b")),
            (&[("connection", "upgrade, http2-settings"), ("upgrade", "h2c")], None),
            (&[("connection", "keep-alive"), ("upgrade", "websocket")], None),
            (&[("connection", "upgrade")], None),
        ] {
            let asked = upgrade(&request(fields));
            assert_eq!(asked.as_ref().map(|value| value.to_str().unwrap()), expected, "{fields:?}");
        }
        let mut old = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(upgrade(&old), None);
    }

    #[test]
    fn cookies_become_one_field() {
        let got = prepared(&[("host", "api.test:8443"), ("cookie", "a=1"), ("cookie", "b=2")]);
        assert_eq!(got.unwrap(), ours(&[("cookie", "a=1; b=2")]));
    }

    #[test]
    fn there_is_exactly_one_host() {
        assert!(matches!(prepared(&[]), Err(Error::BadRequest(_))));
        assert!(matches!(prepared(&[("host", "a"), ("host", "b")]), Err(Error::BadRequest(_))));
        assert!(matches!(prepared(&[("host", "a b")]), Err(Error::BadRequest(_))));
        assert_eq!(prepared(&[("host", "me@api.test:8443")]).unwrap(), ours(&[]));
        let mut absolute = request(&[("host", "other")]);
        *absolute.uri_mut() = "https://api.test:8443/x".parse().unwrap();
        assert_eq!(host(&absolute).unwrap(), "api.test:8443");
        let mut old = request(&[]);
        *old.version_mut() = Version::HTTP_10;
        assert!(host(&old).is_ok());
    }
}
