//! Port 80 of a cluster whose APIs are served with TLS only: sends everybody to port 443.

use std::future::Future;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use transport::Server;

/// Answers until `stop`.
pub async fn serve(server: Server, stop: impl Future<Output = ()>) {
    server.run(|request, _| async move { answer(&request) }, stop).await;
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    if request.uri().path() == "/healthz" {
        return respond(StatusCode::OK, r#"{"status":"ok"}"#);
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.map(|host| host.split_once(':').map_or(host, |(name, _)| name)).filter(|host| is_name(host));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = host.and_then(|host| HeaderValue::from_str(&format!("https://{host}{path}")).ok());
    match location {
        Some(location) => {
            let message = r#"{"kind":"tls_required","message":"APIs are served over HTTPS only"}"#;
            let mut response = respond(StatusCode::PERMANENT_REDIRECT, message);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        None => respond(StatusCode::BAD_REQUEST, r#"{"kind":"bad_request","message":"the request names no host"}"#),
    }
}

/// Nothing that could end up elsewhere in a URL.
fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

fn respond(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: Option<&str>, path: &str) -> (StatusCode, Option<String>) {
        let mut request = Request::builder().uri(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let response = answer(&request.body(()).expect("a request"));
        let location = response.headers().get(header::LOCATION).map(|value| value.to_str().expect("text").to_owned());
        (response.status(), location)
    }

    #[test]
    fn everything_but_the_health_check_goes_to_https() {
        assert_eq!(ask(None, "/healthz"), (StatusCode::OK, None));
        let (status, location) = ask(Some("api.example.com:80"), "/digits?a=1");
        assert_eq!(status, StatusCode::PERMANENT_REDIRECT);
        assert_eq!(location.as_deref(), Some("https://api.example.com/digits?a=1"));
        assert_eq!(ask(None, "/digits").0, StatusCode::BAD_REQUEST);
        assert_eq!(ask(Some("user@evil"), "/digits").0, StatusCode::BAD_REQUEST);
        assert_eq!(ask(Some(""), "/digits").0, StatusCode::BAD_REQUEST);
    }
}
