//! Requests that two programs could read differently: what one takes for a body, another takes for the next request.

use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::BodyExt as _;

use crate::{
    ground::{Ground, iris, key},
    origin::{Origin, text},
    raw::Raw,
};

/// What came after a hostile head; nobody may ever take it for a request.
const SMUGGLED: &str = "GET /iris/smuggled HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\n\r\n";

/// Method, path, Host and body of every request that a replica gets.
type Seen = Arc<Mutex<Vec<String>>>;

async fn ground() -> (Ground, Origin, Seen) {
    let seen = Seen::default();
    let origin = {
        let seen = Arc::clone(&seen);
        Origin::new("a", move |request| {
            let seen = Arc::clone(&seen);
            async move {
                let host = request.headers()["host"].to_str().unwrap().to_owned();
                let line = format!("{} {} {host}", request.method(), request.uri());
                let body = match request.into_body().collect().await {
                    Ok(body) => String::from_utf8(body.to_bytes().into()).unwrap(),
                    Err(_) => "(broken)".to_owned(),
                };
                seen.lock().unwrap().push(format!("{line} {body}"));
                Response::new(text("ok"))
            }
        })
        .await
    };
    (Ground::start(iris(&[&origin])).await, origin, seen)
}

/// All that comes back for these bytes and, behind them, a request that was never meant to be one.
async fn answers(ground: &Ground, text: &str) -> String {
    let mut raw = Raw::connect(ground).await;
    raw.write_lossy(&text.replace("KEY", &key(1))).await;
    raw.rest().await
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().unwrap())
}

#[tokio::test]
async fn what_has_two_readings_is_refused() {
    let (ground, _origin, seen) = ground().await;
    let chunked = "0\r\n\r\n";
    let post = |fields: &str, body: &str| {
        format!("POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\n{fields}\r\n\r\n{body}{SMUGGLED}")
    };
    for (what, request) in [
        ("two lengths", post("content-length: 4\r\ncontent-length: 5", "data")),
        ("two lengths in a list", post("content-length: 4, 5", "data")),
        ("a length with a sign", post("content-length: +4", "data")),
        ("a negative length", post("content-length: -1", "data")),
        ("a hexadecimal length", post("content-length: 0x4", "data")),
        ("a length too long for any number", post("content-length: 99999999999999999999999", "data")),
        ("a blank before the colon", post("transfer-encoding : chunked", chunked)),
        ("a blank before the length's colon", post("content-length : 4", "data")),
        ("a folded line", post("x: y\r\n transfer-encoding: chunked", chunked)),
        ("a folded coding", post("transfer-encoding:\r\n chunked", chunked)),
        ("a NUL in a value", post("x: a\0b", "")),
        ("a NUL in a name", post("x\0: a", "")),
        ("a lone CR in a value", post("x: a\rtransfer-encoding: chunked", chunked)),
        ("another coding", post("transfer-encoding: xchunked", chunked)),
        ("no coding", post("transfer-encoding: identity", chunked)),
        ("a coding with a parameter", post("transfer-encoding: chunked;x=y", chunked)),
        ("chunked, and not last", post("transfer-encoding: chunked, gzip", chunked)),
        ("an old client's coding", post("transfer-encoding: chunked", chunked).replace("HTTP/1.1", "HTTP/1.0")),
        ("no version", format!("GET /iris\r\n\r\n{SMUGGLED}")),
        ("a version that is none", post("x: y", "").replacen("HTTP/1.1", "HTTP/9.9", 1)),
        ("a blank in the path", post("x: y", "").replacen("/iris", "/iris /x", 1)),
        ("a second Host", post("host: elsewhere\r\nconnection: close", "")),
    ] {
        let answer = answers(&ground, &request).await;
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.starts_with("HTTP/1.1 400 ") || first.starts_with("HTTP/1.0 400 "), "{what}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let refusal: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(refusal["kind"], "bad_request", "{what}: {answer}");
        assert_eq!(taken(&seen).len(), 0, "{what}: {answer}");
    }
}

#[tokio::test]
async fn codings_that_somebody_else_might_take_off_are_refused() {
    let (ground, _origin, seen) = ground().await;
    for coding in ["chunked, chunked", "gzip, chunked", "chunked\r\ntransfer-encoding: chunked", ", chunked"] {
        let request = format!(
            "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\nconnection: close\r\n\
             transfer-encoding: {coding}\r\n\r\n4\r\ndata\r\n0\r\n\r\n"
        );
        let answer = answers(&ground, &request).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains(r#""kind":"bad_request""#),
            "{coding}: {answer}"
        );
        assert_eq!(taken(&seen).len(), 0, "{coding}");
    }
}

#[tokio::test]
async fn chunked_counts_where_there_is_a_length_and_nothing_comes_after_it() {
    let (ground, _origin, seen) = ground().await;
    for fields in
        ["content-length: 60\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 60"]
    {
        let request = format!(
            "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\n{fields}\r\n\r\n4\r\ndata\r\n0\r\n\r\n{SMUGGLED}"
        );
        let answer = answers(&ground, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
        assert_eq!(taken(&seen), ["POST / localhost data"], "{fields}");
    }
}

#[tokio::test]
async fn a_body_that_looks_like_a_request_is_a_body() {
    let (ground, _origin, seen) = ground().await;
    let body = "GET /iris/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (fields, sent) in [
        (format!("content-length: {}", body.len()), body.to_owned()),
        (format!("content-length: {0}\r\ncontent-length: {0}", body.len()), body.to_owned()),
        ("transfer-encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
        ("Transfer-Encoding: Chunked".to_owned(), format!("{:X};a=b\r\n{body}\r\n0\r\nx: y\r\n\r\n", body.len())),
    ] {
        let request = format!(
            "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\nconnection: close\r\n{fields}\r\n\r\n{sent}"
        );
        let answer = answers(&ground, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{fields}: {answer}");
        assert_eq!(taken(&seen), [format!("POST / localhost {body}")], "{fields}");
    }
}

#[tokio::test]
async fn chunks_that_are_none_break_the_request_and_the_connection() {
    let (ground, _origin, seen) = ground().await;
    for body in [
        "0x4\r\ndata\r\n0\r\n\r\n",
        "-4\r\ndata\r\n0\r\n\r\n",
        "4\r\ndataX0\r\n\r\n",
        "4\r\ndata\n0\r\n\r\n",
        "11111111111111111\r\ndata\r\n0\r\n\r\n",
        "4;a\nb\r\ndata\r\n0\r\n\r\n",
        "zz\r\n",
    ] {
        let request = format!(
            "POST /iris HTTP/1.1\r\nhost: localhost\r\nx-api-key: KEY\r\ntransfer-encoding: chunked\r\n\r\n{body}{SMUGGLED}"
        );
        let answer = answers(&ground, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1, "{body:?}: {answer}");
        let whole: Vec<_> = taken(&seen).into_iter().filter(|request| !request.ends_with("(broken)")).collect();
        assert_eq!(whole, Vec::<String>::new(), "{body:?}");
    }
}

#[tokio::test]
async fn the_host_is_one_and_lines_may_end_in_lf_alone() {
    let (ground, _origin, seen) = ground().await;
    let absolute =
        "GET https://api.test/iris/x HTTP/1.1\r\nhost: evil.test\r\nx-api-key: KEY\r\nconnection: close\r\n\r\n";
    let lines = "GET /iris/x HTTP/1.1\nhost: api.test\nx-api-key: KEY\nconnection: close\n\n";
    for request in [absolute, lines] {
        let answer = answers(&ground, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{request:?}: {answer}");
        // As the replica gets it, there is one reading.
        assert_eq!(taken(&seen), ["GET /x api.test "]);
    }
}
