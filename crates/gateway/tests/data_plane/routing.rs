//! Which API a path is for.

use api::routes::Routes;
use http::Response;

use crate::{
    ground::{Ground, answer, get, iris, key, refusal, route},
    origin::{Origin, text},
    raw,
};

/// Answers with its id and what it was asked for.
async fn echo(id: &str) -> Origin {
    let name = id.to_owned();
    Origin::new(id, move |request| {
        let line = format!("{name} {} {}", request.method(), request.uri());
        async move { Response::new(text(line)) }
    })
    .await
}

#[tokio::test]
async fn the_longest_prefix_wins_and_is_cut_off() {
    let (iris, deep) = (echo("iris").await, echo("deep").await);
    let routes = Routes {
        apis: vec![route("iris", "/iris", &[&iris]), route("deep", "/iris/deep", &[&deep])],
        ..Routes::default()
    };
    let ground = Ground::start(routes).await;
    for protocol in ["h2", "http/1.1"] {
        let client = ground.speaking(protocol);
        for (path, seen) in [
            ("/iris", "iris GET /"),
            ("/iris/", "iris GET /"),
            ("/iris/foo?x=1", "iris GET /foo?x=1"),
            ("/iris/foo/", "iris GET /foo/"),
            ("//iris/foo", "iris GET /foo"),
            ("/iris/deeper", "iris GET /deeper"),
            ("/iris/deep", "deep GET /"),
            ("/iris/deep/a%20b?q=%2F..", "deep GET /a%20b?q=%2F.."),
        ] {
            assert_eq!(answer(get(&client, &ground.url(path))).await, (200, seen.to_owned()), "{path}");
        }
        for path in ["/x", "/iris2", "/rose/iris"] {
            assert_eq!(refusal(get(&client, &ground.url(path))).await, (404, "api_not_found".to_owned()), "{path}");
        }
        let delete = client.delete(ground.url("/iris/1")).bearer_auth(key(1));
        assert_eq!(answer(delete).await.1, "iris DELETE /1");
    }
}

#[tokio::test]
async fn what_could_leave_the_prefix_is_refused() {
    let origin = echo("iris").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let ask = async |line: &str, host: &str| {
        let head = format!("{line} HTTP/1.1\r\n{host}x-api-key: {}\r\n", key(1));
        let answer = raw::exchange(&ground, &head, "").await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for path in ["/iris/../x", "/iris/%2e%2E/x", "/iris%2Fx", "/iris/%5cx", "/./iris"] {
        assert_eq!(ask(&format!("GET {path}"), "host: localhost\r\n").await, "400", "{path}");
    }
    assert_eq!(ask("TRACE /iris", "host: localhost\r\n").await, "405");
    assert_eq!(ask("CONNECT localhost:80", "host: localhost\r\n").await, "405");
    assert_eq!(ask("GET /iris", "").await, "400", "no host");
    assert_eq!(ask("GET /iris", "host: a\r\nhost: b\r\n").await, "400", "two hosts");
    assert_eq!(origin.seen.requests(), 0);
    assert_eq!(ask("GET https://elsewhere/iris/x", "host: localhost\r\n").await, "200");
}

#[tokio::test]
async fn an_api_without_a_replica_is_not_ready() {
    let ground = Ground::start(iris(&[])).await;
    let client = ground.client();
    assert_eq!(refusal(get(&client, &ground.url("/iris"))).await, (503, "api_not_ready".to_owned()));
    assert_eq!(ground.counts().failed, 1);
}

#[tokio::test]
async fn load_goes_to_all_replicas() {
    let origins = [echo("a").await, echo("b").await, echo("c").await];
    let ground = Ground::start(iris(&origins.each_ref())).await;
    let client = ground.client();
    for _ in 0..60 {
        assert_eq!(answer(get(&client, &ground.url("/iris"))).await.0, 200);
    }
    for origin in &origins {
        assert!(origin.seen.requests() > 0, "{} got nothing", origin.id);
        assert_eq!(origin.seen.connections(), 1, "{} got new connections for requests in a row", origin.id);
    }
}
