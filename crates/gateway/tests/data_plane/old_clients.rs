//! Clients of Predictive Services, by the bytes that they were seen to send.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use api::routes::{KEYS_KEY, Keys, Routes};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway::Timeouts;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{
    ground::{Ground, PATIENCE, answer, eventually, iris, key, keys, post, refusal, route, timeouts, write},
    origin::{Origin, text},
    raw::{Raw, exchange},
};

/// Answers with what it was asked.
async fn mirror() -> Origin {
    Origin::new("a", |request| async move {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let seen =
            ["authorization", "x-api-key", "x-cortex-method", "content-type", "content-length", "accept-encoding"];
        let headers: BTreeMap<_, _> = seen.into_iter().filter_map(|name| Some((name, header(name)?))).collect();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        let all = json!({ "line": format!("{} {}", head.method, head.uri), "headers": headers, "body": body });
        let mut response = Response::new(text(all.to_string()));
        response.headers_mut().insert("content-type", "application/json".parse().unwrap());
        response
    })
    .await
}

/// Answers every request with this.
async fn says(status: u16, content_type: &'static str, body: &'static str) -> Origin {
    Origin::new("a", move |request| async move {
        request.into_body().collect().await.ok();
        let mut response = Response::new(text(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("content-type", content_type.parse().unwrap());
        response
    })
    .await
}

/// `iris`, whose version is the third deploy.
fn third(replicas: &[&Origin]) -> Routes {
    let versions = BTreeMap::from([("v1".to_owned(), 3)]);
    Routes { generations: BTreeMap::from([("iris".to_owned(), versions)]), ..iris(replicas) }
}

fn basic(user: &str, key: &str) -> String {
    format!("authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{key}")))
}

/// A request as it goes over the wire, up to the line for the connection.
fn head(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {}\r\n", body.len())
}

/// Status and JSON of an answer as it came over the wire.
fn parsed(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{answer}");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

#[tokio::test]
async fn every_old_client_gets_what_it_reads() {
    let origin = mirror().await;
    let ground = Ground::start(third(&[&origin])).await;
    let key = key(1);
    let in_header = basic("api_key", &key);
    let as_admin = basic("admin_key", &key);
    let json_type = "Content-Type: application/json\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let xhr = "X-Requested-With: XMLHttpRequest\r\naccept-encoding: gzip\r\n";
    let call = r#"{"data": {"method": "recommend", "data": {"users": ["J"]}}}"#.to_owned();
    let (users, function) = (r#"{"users": ["J"]}"#, r#"{"a": 1, "b": 2}"#);
    for (client, path, fields, body, payload, method) in [
        (
            "GraphLab 1.3",
            "/data/iris",
            json_type.to_owned(),
            format!(r#"{{"api key": "{key}", "data": {function}}}"#),
            function,
            None,
        ),
        (
            "Python 1.0",
            "/query/iris",
            json_type.to_owned(),
            format!(r#"{{"api_key": "{key}", "data": {function}}}"#),
            function,
            None,
        ),
        ("Python 2015-12", "/query/iris", format!("{json_type}{in_header}"), call.clone(), users, Some("recommend")),
        (
            "Python 2015-12, old server",
            "/query/iris",
            format!("{json_type}{in_header}"),
            format!(r#"{{"data": {function}, "api_key": "{key}"}}"#),
            function,
            None,
        ),
        (
            "Node 1.0",
            "/query/iris",
            json_type.to_owned(),
            format!(r#"{{"api_key":"{key}","data":{function}}}"#),
            function,
            None,
        ),
        ("Node", "/query/iris", format!("{json_type}{in_header}"), call.clone(), users, Some("recommend")),
        ("JS", "/query/iris", format!("{json_type}{xhr}{in_header}"), call.clone(), users, Some("recommend")),
        (
            "JS 1.0.1",
            "/query/iris",
            format!("{json_type}{xhr}"),
            format!(r#"{{"api key":"{key}","data":{function}}}"#),
            function,
            None,
        ),
        ("Java", "/query/iris", format!("{json_type}{in_header}"), call.clone(), users, Some("recommend")),
        (
            "psquery",
            "//query/iris",
            format!("{json_type}{in_header}"),
            r#"{"data": [1, 2]}"#.to_owned(),
            "[1, 2]",
            None,
        ),
        (
            "psquery, admin key",
            "/query/ir%69s",
            format!("{json_type}{as_admin}"),
            r#"{"data": {}}"#.to_owned(),
            "{}",
            None,
        ),
        ("curl", "/query/iris", format!("{form}{in_header}"), format!(r#"{{"data": {function}}}"#), function, None),
        (
            "curl 1.4",
            "/data/iris",
            form.to_owned(),
            format!(r#"{{"api_key": "{key}", "data": {function}}}"#),
            function,
            None,
        ),
    ] {
        let (status, reply) = parsed(&exchange(&ground, &head(path, &fields, &body), &body).await);
        assert_eq!(status, 200, "{client}: {reply}");
        let names: Vec<_> = reply.as_object().unwrap().keys().collect();
        assert_eq!(names, ["from_cache", "model", "response", "uuid", "version"], "{client}");
        assert!(uuid::Uuid::parse_str(reply["uuid"].as_str().unwrap()).is_ok(), "{client}: {reply}");
        assert_eq!(
            (&reply["version"], &reply["from_cache"], &reply["model"]),
            (&json!(3), &json!(false), &json!("iris"))
        );
        let mut headers = json!({ "content-type": "application/json", "content-length": payload.len().to_string() });
        if let Some(method) = method {
            headers["x-cortex-method"] = json!(method);
        }
        let seen = json!({ "line": "POST /", "headers": headers, "body": payload });
        assert_eq!(reply["response"], seen, "{client}");
    }
    assert_eq!(ground.counts().refused, 0);
}

#[tokio::test]
async fn the_handshake_and_the_health_check_need_no_key() {
    let ground = Ground::start(Routes::default()).await;
    let client = ground.client();
    let handshake = (200, r#"{"schema_version":7}"#.to_owned());
    for request in [
        client.get(ground.url("/")),
        client.get(ground.url("//")),
        client.get(ground.url("/")).basic_auth("api_key", Some(key(1))),
    ] {
        assert_eq!(answer(request).await, handshake);
    }
    let health = answer(client.get(ground.url("/healthz"))).await;
    assert_eq!(answer(client.get(ground.url("/control/healthcheck"))).await, health);
    let with_key = client.get(ground.url("/control/healthcheck")).bearer_auth(key(1));
    assert_eq!(answer(with_key).await, health, "no API has that path");
    assert_eq!(refusal(client.get(ground.url("/")).bearer_auth(key(2))).await, (401, "unauthenticated".to_owned()));
    for request in [
        client.post(ground.url("/")),
        client.post(ground.url("/control/healthcheck")),
        client.get(ground.url("/query/iris")),
    ] {
        assert_eq!(refusal(request).await, (401, "unauthenticated".to_owned()));
    }
}

#[tokio::test]
async fn a_key_in_the_body_opens_what_it_is_for_and_nothing_else() {
    let origin = mirror().await;
    let mut routes = third(&[&origin]);
    routes.apis.push(route("rose", "/rose", &[&origin]));
    let ground = Ground::start(routes).await;
    let mut some = keys(&[1, 2]);
    some.keys[1].apis = Some(vec!["iris".to_owned()]);
    write(&*ground.state, KEYS_KEY, &some).await;
    let client = ground.client();
    let query =
        |path: &str, key: String| client.post(ground.url(path)).body(json!({ "api_key": key, "data": [] }).to_string());
    eventually("the second key", || async { answer(query("/query/iris", key(2))).await.0 == 200 }).await;
    for (path, seed, status, kind) in [
        ("/query/rose", 2, 404, "api_not_found"),
        ("/query/nobody", 1, 404, "api_not_found"),
        ("/query/my%20model", 1, 404, "api_not_found"),
        ("/query/%ff", 1, 404, "api_not_found"),
        ("/query/iris", 3, 401, "unauthenticated"),
        ("/query/nobody", 3, 401, "unauthenticated"),
        // Where there is no old client's route, a body is a body.
        ("/iris", 1, 401, "unauthenticated"),
        ("/query/", 1, 401, "unauthenticated"),
        ("/query/iris/x", 1, 401, "unauthenticated"),
        ("/queries/iris", 1, 401, "unauthenticated"),
    ] {
        assert_eq!(refusal(query(path, key(seed))).await, (status, kind.to_owned()), "{path} {seed}");
    }
    assert_eq!(refusal(client.post(ground.url("/query/iris")).body("")).await, (401, "unauthenticated".to_owned()));
    assert_eq!(refusal(client.post(ground.url("/query/iris")).body(r#"{"data": []}"#)).await.0, 401);
    // A wrong key in a header is not made good by one in the body.
    assert_eq!(refusal(query("/query/iris", key(1)).bearer_auth(key(3))).await.0, 401);
    assert_eq!(answer(query("/query/rose", key(1))).await.0, 200);
    write(&*ground.state, KEYS_KEY, &Keys::default()).await;
    eventually("the end of all keys", || async { answer(query("/query/iris", key(1))).await.0 == 401 }).await;
}

#[tokio::test]
async fn an_api_that_has_the_path_comes_first() {
    let (own, named) = (Origin::named("own").await, Origin::named("named").await);
    let routes = |endpoint: &str| Routes {
        apis: vec![route("own", endpoint, &[&own]), route("iris", "/iris", &[&named])],
        ..Routes::default()
    };
    for (endpoint, path) in
        [("/query", "/query/iris"), ("/feedback", "/feedback"), ("/", "/query/iris"), ("/data/iris", "/data/iris")]
    {
        let ground = Ground::start(routes(endpoint)).await;
        let client = ground.client();
        let url = ground.url(path);
        assert_eq!(answer(post(&client, &url).body("not JSON")).await, (200, "own".to_owned()), "{endpoint}");
        let in_body = json!({ "api_key": key(1), "data": [] }).to_string();
        assert_eq!(refusal(client.post(&url).body(in_body)).await.0, 401, "{endpoint}: for it, a body is a body");
        // For whom it is not, it is not there.
        let mut some = keys(&[1, 2]);
        some.keys[1].apis = Some(vec!["iris".to_owned()]);
        write(&*ground.state, KEYS_KEY, &some).await;
        let other = || client.post(&url).bearer_auth(key(2)).body(r#"{"data": []}"#);
        let wanted = if path == "/feedback" { 501 } else { 400 };
        eventually("the second key", || async { answer(other()).await.0 == wanted }).await;
    }
    let ground = Ground::start(routes("/")).await;
    let client = ground.client();
    assert_eq!(answer(client.get(ground.url("/"))).await, (200, r#"{"schema_version":7}"#.to_owned()));
    assert_eq!(answer(client.get(ground.url("/")).bearer_auth(key(1))).await, (200, "own".to_owned()));
}

#[tokio::test]
async fn what_a_predictor_refuses_is_400_and_what_the_cluster_does_is_not() {
    let raised = r#"{"kind":"predictor_raised","message":"the predictor raised ValueError","request_id":"r"}"#;
    let query_failed = |error: &str| json!({ "message": "QueryFailed", "info": { "uri": "iris", "type": "QueryFailed", "error": error } });
    for (origin, status, error) in [
        (says(500, "application/json", raised).await, 400, "the predictor raised ValueError"),
        (says(503, "application/json", r#"{"message":"busy"}"#).await, 503, "busy"),
        (says(404, "text/html", "<html>nothing</html>").await, 400, "<html>nothing</html>"),
        (
            says(200, "image/png", "\u{1}").await,
            400,
            "the API's answer is `image/png`, which has no form in JSON; its own endpoint gives it",
        ),
    ] {
        let ground = Ground::start(third(&[&origin])).await;
        let (got, body) = answer(post(&ground.client(), &ground.url("/query/iris")).body(r#"{"data": [1]}"#)).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((got, &body["response"], &body["version"]), (status, &query_failed(error), &json!(3)));
        assert!(body["uuid"].is_string());
    }
    let ground = Ground::start(iris(&[])).await;
    let request = post(&ground.client(), &ground.url("/query/iris")).body(r#"{"data": [1]}"#);
    assert_eq!(refusal(request).await, (503, "api_not_ready".to_owned()));
}

#[tokio::test]
async fn the_uuid_is_the_id_in_the_logs() {
    let origin = says(200, "text/plain", "yes").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    let id = "0b7a6c9e-5f7e-4a43-9f0c-6d9d9b9c1a11";
    let query = || post(&client, &ground.url("/query/iris")).body(r#"{"data": [1]}"#);
    let (_, body) = answer(query().header("x-request-id", id)).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["uuid"], &body["response"], &body["version"]),
        (&json!(id), &json!("yes"), &json!(0)),
        "of an unknown deploy"
    );
    let response = query().send().await.unwrap();
    let minted = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.json::<Value>().await.unwrap()["uuid"], json!(minted));
}

#[tokio::test]
async fn feedback_is_not_pretended_to_be_kept() {
    let ground = Ground::start(Routes::default()).await;
    let client = ground.client();
    let url = ground.url("/feedback");
    let body = |fields: Value| {
        let mut all = json!({ "data": { "clicks": 3 }, "id": "e8f13b17" });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        all.to_string()
    };
    for request in [
        post(&client, &url).body(body(json!({}))),
        client.post(&url).body(body(json!({ "api_key": key(1) }))),
        client.post(&url).body(body(json!({ "api key": key(1) }))),
    ] {
        assert_eq!(refusal(request).await, (501, "feedback_not_kept".to_owned()));
    }
    for request in [client.post(&url).body(body(json!({}))), client.post(&url).body(body(json!({ "api_key": key(2) })))]
    {
        assert_eq!(refusal(request).await, (401, "unauthenticated".to_owned()));
    }
}

#[tokio::test]
async fn a_length_in_characters_costs_the_connection_and_nothing_more() {
    let origin = mirror().await;
    let ground = Ground::start(iris(&[&origin])).await;
    // As Node's client does it: the last byte of the body stands before the next request.
    let body = r#"{"data": {"name": "María"}}"#;
    for fields in [basic("api_key", &key(1)), String::new()] {
        let head = format!(
            "POST /query/iris HTTP/1.1\r\nhost: localhost\r\n{fields}content-length: {}\r\n\r\n",
            body.chars().count()
        );
        let mut raw = Raw::connect(&ground).await;
        raw.write_lossy(&format!("{head}{body}{head}{body}")).await;
        let answers = raw.rest().await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(answers.to_ascii_lowercase().contains("connection: close"), "{answers}");
        let (status, refusal) = parsed(&answers);
        assert_eq!((status, &refusal["kind"]), (400, &json!("bad_request")));
    }
    assert_eq!(origin.seen.requests(), 0);
    // Over HTTP/2 nothing can be left of a body.
    let client = ground.client();
    for _ in 0..2 {
        let request = post(&client, &ground.url("/query/iris")).body("{\"data\": ");
        assert_eq!(refusal(request).await, (400, "bad_request".to_owned()));
    }
    for body in ["[]", "{}", r#"{"data": 1}"#, r#"{"data": [], "data": {}}"#, "{'data': {}}"] {
        let request = post(&client, &ground.url("/query/iris")).body(body);
        assert_eq!(refusal(request).await, (400, "bad_request".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn bodies_have_a_size_and_strangers_a_smaller_one() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.speaking("http/1.1");
    let padded = |bytes: usize| format!(r#"{{"data": ["{}"], "api_key": "{}"}}"#, "x".repeat(bytes), key(1));
    let url = ground.url("/query/iris");
    assert_eq!(answer(client.post(&url).body(padded(1_000_000))).await.0, 400, "the origin answers no JSON");
    for request in [client.post(&url).body(padded(1 << 20)), post(&client, &url).body(padded(16 << 20))] {
        assert_eq!(refusal(request).await, (413, "body_too_large".to_owned()));
    }
    // Without a length, too.
    let chunks = |count: usize| {
        let chunk = |_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1 << 16]));
        reqwest::Body::wrap_stream(futures_util::stream::iter((0..count).map(chunk)))
    };
    for request in [client.post(&url).body(chunks(17)), post(&client, &url).body(chunks(257))] {
        assert_eq!(refusal(request).await, (413, "body_too_large".to_owned()));
    }
    assert_eq!(answer(post(&client, &url).body(padded(15 << 20))).await.0, 400, "the origin answers no JSON");
    assert_eq!(origin.seen.requests(), 2);
}

#[tokio::test]
async fn strangers_hold_a_bounded_memory_for_a_bounded_time() {
    let origin = mirror().await;
    let limits = Timeouts { response: Duration::from_secs(2), ..timeouts() };
    let ground = Ground::start_with(iris(&[&origin]), limits).await;
    // Seventy times a megabyte that never ends.
    let (head, part) = (
        format!("POST /query/iris HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", 1 << 20),
        "x".repeat((1 << 20) - 1),
    );
    let holders = (0..70).map(|_| {
        let (ground, head, part) = (&ground, &head, &part);
        async move {
            let mut raw = Raw::connect(ground).await;
            raw.write_lossy(&format!("{head}{part}")).await;
            parsed(&raw.rest().await).0
        }
    });
    let mut statuses = futures_util::future::join_all(holders).await;
    statuses.sort_unstable();
    statuses.dedup();
    assert!(statuses.iter().all(|status| [408, 503].contains(status)) && statuses.contains(&408), "{statuses:?}");
    // Whose key is in a header is not affected, and when they are gone nobody is.
    let in_body = json!({ "api_key": key(1), "data": [] }).to_string();
    assert_eq!(answer(ground.client().post(ground.url("/query/iris")).body(in_body)).await.0, 200);
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let origin = Origin::raw("a", |mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        crate::origin::read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
        stream.write_all(head.as_bytes()).await.ok();
        tokio::time::sleep(PATIENCE).await;
    })
    .await;
    let limits = Timeouts { response: Duration::from_millis(300), ..timeouts() };
    let ground = Ground::start_with(iris(&[&origin]), limits).await;
    let request = post(&ground.client(), &ground.url("/query/iris")).body(r#"{"data": []}"#);
    assert_eq!(refusal(request).await, (504, "deadline_exceeded".to_owned()));
    let endless = Origin::new("a", |_| async {
        let chunk = || Ok::<_, std::io::Error>(http_body::Frame::data(bytes::Bytes::from(vec![b'x'; 1 << 20])));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(std::iter::repeat_with(chunk)));
        let mut response = Response::new(body.boxed());
        response.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        response
    })
    .await;
    let ground = Ground::start(iris(&[&endless])).await;
    let request = post(&ground.client(), &ground.url("/query/iris")).body(r#"{"data": []}"#);
    assert_eq!(refusal(request).await, (502, "reply_too_large".to_owned()));
}

#[tokio::test]
async fn pages_of_the_js_client_may_ask_first() {
    use api::cors::{Cors, CorsSettings};
    let origin = mirror().await;
    let page = "https://shop.example";
    let open = Cors { origins: vec![page.to_owned()] };
    let cors =
        CorsSettings { cluster: Some(open.clone()), apis: BTreeMap::from([("rose".to_owned(), Cors::default())]) };
    let mut routes = Routes { cors, ..iris(&[&origin]) };
    routes.apis.push(route("rose", "/rose", &[&origin]));
    let ground = Ground::start(routes).await;
    let client = ground.client();
    let preflight = |path: &str| {
        client
            .request(http::Method::OPTIONS, ground.url(path))
            .header("origin", page)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type, x-requested-with")
    };
    for (path, status) in
        [("/", 204), ("/query/iris", 204), ("/feedback", 204), ("/query/rose", 403), ("/data/rose", 403)]
    {
        let response = preflight(path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        if status == 204 {
            let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap();
            assert!(["authorization", "content-type", "x-requested-with"].iter().all(|name| allowed.contains(name)));
        }
    }
    for (request, status) in [
        (client.get(ground.url("/")), 200),
        (post(&client, &ground.url("/query/iris")).body(r#"{"data": []}"#), 200),
        (client.post(ground.url("/query/iris")).body(r#"{"api_key": "x"}"#), 401),
        (post(&client, &ground.url("/feedback")).body("{}"), 501),
    ] {
        let response = request.header("origin", page).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], page, "{status}");
    }
    let closed = post(&client, &ground.url("/query/rose")).body(r#"{"data": []}"#).header("origin", page);
    assert!(!closed.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn an_answer_for_nobody_is_not_waited_for() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
    }
    let origin = Origin::new("a", |_| async {
        let _ends = Ends;
        std::future::pending().await
    })
    .await;
    let ground = Ground::start(iris(&[&origin])).await;
    let body = r#"{"data": []}"#;
    let mut raw = Raw::connect(&ground).await;
    raw.write(&format!("{}\r\n{body}", head("/query/iris", &basic("api_key", &key(1)), body))).await;
    eventually("the request at the replica", || async { origin.seen.requests() == 1 }).await;
    drop(raw);
    eventually("its end", || async { ENDED.load(Ordering::SeqCst) == 1 }).await;
}
