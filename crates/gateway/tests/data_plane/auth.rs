//! Who may pass.

use api::routes::Routes;
use http::Response;

use crate::{
    ground::{Ground, answer, eventually, get, iris, key, refusal, soon},
    origin::{Origin, text},
    raw,
};

/// Answers with the names of the headers that could carry a key.
async fn confessor() -> Origin {
    Origin::new("a", |request| async move {
        let names = ["authorization", "x-api-key"];
        let seen: Vec<_> = names.into_iter().filter(|name| request.headers().contains_key(*name)).collect();
        Response::new(text(format!("saw [{}]", seen.join(" "))))
    })
    .await
}

#[tokio::test]
async fn a_key_is_taken_from_every_place_and_reaches_no_replica() {
    let origin = confessor().await;
    let ground = Ground::start(iris(&[&origin])).await;
    for protocol in ["h2", "http/1.1"] {
        let client = ground.speaking(protocol);
        let request = || client.get(ground.url("/iris"));
        for good in [
            request().bearer_auth(key(1)),
            request().basic_auth("", Some(key(1))),
            request().basic_auth("anybody", Some(key(1))),
            request().header("x-api-key", key(1)),
            request().header("x-api-key", key(1)).bearer_auth(key(1)),
        ] {
            assert_eq!(answer(good).await, (200, "saw []".to_owned()));
        }
        let own = request().header("x-api-key", key(1)).bearer_auth("for the user's own server");
        assert_eq!(answer(own).await, (200, "saw [authorization]".to_owned()));
    }
}

#[tokio::test]
async fn without_a_key_nobody_learns_which_apis_there_are() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    let mut answers = Vec::new();
    // Not `/`: whoever has no key there is told what all old clients are told (`old_clients`).
    for path in ["/iris", "/iris/x", "/x/", "/rose", "/iris%2fx", "/healthz/x"] {
        for request in [
            client.get(ground.url(path)),
            client.post(ground.url(path)).body("{}"),
            client.get(ground.url(path)).bearer_auth(key(2)),
            client.get(ground.url(path)).header("x-api-key", ""),
            client.get(ground.url(path)).basic_auth(key(1), Some("x")),
        ] {
            let response = soon("a refusal", request.header("x-request-id", "same").send()).await.unwrap();
            assert_eq!(response.status(), 401, "{path}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let mut head: Vec<_> = response.headers().keys().map(ToString::to_string).collect();
            head.sort();
            answers.push((head, response.json::<api::wire::ErrorBody>().await.unwrap().kind));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(origin.seen.connections(), 0);
    assert_eq!(ground.counts().refused, 30);
}

#[tokio::test]
async fn health_needs_no_key_and_nothing_else_is_public() {
    let ground = Ground::start(Routes::default()).await;
    let client = ground.client();
    let health = ground.url("/healthz");
    let (status, body) = answer(client.get(&health)).await;
    let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"]), (200, &"ok".into()));
    assert_eq!(body.keys().collect::<Vec<_>>(), ["routes_version", "status"], "it says nothing else of the cluster");
    assert_eq!(answer(client.head(&health)).await, (200, String::new()));
    assert_eq!(refusal(client.post(&health)).await, (401, "unauthenticated".to_owned()));
    assert_eq!(refusal(client.get(ground.url("/healthz/"))).await.0, 401);
    assert_eq!(ground.counts().requests, 2, "looks at its health are not counted");
}

#[tokio::test]
async fn keys_rotate_while_it_runs() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    let status = |seed| {
        let request = client.get(ground.url("/iris")).bearer_auth(key(seed));
        async move { answer(request).await.0 }
    };
    assert_eq!([status(1).await, status(2).await], [200, 401]);
    ground.publish_keys(&[1, 2]).await;
    eventually("the new key", || async { status(2).await == 200 }).await;
    assert_eq!(status(1).await, 200, "both are good for a while");
    ground.publish_keys(&[2]).await;
    eventually("the end of the old key", || async { status(1).await == 401 }).await;
    assert_eq!(status(2).await, 200);
}

#[tokio::test]
async fn a_refused_upload_learns_why() {
    let ground = Ground::start(Routes::default()).await;
    let body = "x".repeat(900 * 1024);
    let head = format!("POST /iris HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for _ in 0..5 {
        let answer = raw::exchange(&ground, &head, &body).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    // With the key it is the next phase that refuses.
    let client = ground.speaking("http/1.1");
    let request = get(&client, &ground.url("/iris")).body(body);
    assert_eq!(refusal(request).await, (404, "api_not_found".to_owned()));
}
