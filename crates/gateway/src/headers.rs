//! What of a message's headers is for the next hop only, and what the gateway says about the client.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Version,
    header::{CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE},
    uri::Authority,
};
use transport::Peer;

use crate::{error::Error, phase::identify::REQUEST_ID};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Removes what is about this connection and not about the message (RFC 9110, 7.6.1).
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&[CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE]) {
        headers.remove(name);
    }
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
    let trailers = wants_trailers(headers);
    remove_hop_by_hop(headers);
    for name in [EXPECT, FORWARDED, PROXY_AUTHORIZATION, X_REAL_IP] {
        headers.remove(name);
    }
    let forwarded: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-")).cloned().collect();
    for name in forwarded {
        headers.remove(name);
    }
    join_cookies(headers);
    if let Peer::Tcp(address) = peer
        && let Ok(address) = HeaderValue::try_from(address.ip().to_canonical().to_string())
    {
        headers.insert(X_FORWARDED_FOR, address);
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

/// The host the client asked for: `:authority` or the absolute form before `Host` (RFC 9112, 3.2.2). To be read before
/// the request's target is rewritten.
pub(crate) fn host<B>(request: &Request<B>) -> Result<HeaderValue, Error> {
    let mut fields = request.headers().get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Error::BadRequest("the request has more than one Host"));
    }
    let authority = match (request.uri().authority(), field) {
        (Some(authority), _) => authority.clone(),
        (None, Some(field)) => {
            Authority::try_from(field.as_bytes()).map_err(|_| Error::BadRequest("the Host is not a host name"))?
        }
        // HTTP/1.0 knew no Host, and there is only one cluster here to ask for.
        (None, None) if request.version() == Version::HTTP_10 => return Ok(HeaderValue::from_static("localhost")),
        (None, None) => return Err(Error::BadRequest("the request has no Host")),
    };
    let host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
    HeaderValue::try_from(host).map_err(|_| Error::BadRequest("the Host is not a host name"))
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("trailers"))
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
