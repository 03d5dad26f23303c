//! Browsers that ask for pages.

use api::{
    cors::{Cors, CorsSettings},
    routes::{KEYS_KEY, KeyHash, Keys, Routes},
};
use http::{HeaderMap, Method, Response};

use crate::{
    ground::{Ground, answer, eventually, iris, key, keys, refusal, route, soon, write},
    origin::{Origin, text},
};

const SHOP: &str = "https://shop.test";
const OTHER: &str = "https://other.test:8443";

fn cors(origins: &[&str]) -> Cors {
    Cors { origins: origins.iter().map(|&origin| origin.to_owned()).collect() }
}

/// `/iris` is for one page, `/open` for all, `/closed` for none, the rest for `cluster`.
fn routes(origin: &Origin, cluster: &[&str]) -> Routes {
    let names = ["iris", "open", "closed", "plain"];
    let apis = names.map(|name| route(name, &format!("/{name}"), &[origin])).into();
    let of_apis = [("iris", cors(&[SHOP])), ("open", cors(&["*"])), ("closed", cors(&[]))];
    let apis_own = of_apis.map(|(name, cors)| (name.to_owned(), cors)).into();
    let cors = CorsSettings { cluster: Some(cors(cluster)), apis: apis_own };
    Routes { apis, cors, ..Routes::default() }
}

struct Preflight {
    status: u16,
    headers: HeaderMap,
    kind: String,
}

impl Preflight {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn preflight(ground: &Ground, path: &str, origin: &str) -> Preflight {
    let request = ground
        .client()
        .request(Method::OPTIONS, ground.url(path))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-tenant");
    let response = soon("an answer", request.send()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = soon("its body", response.bytes()).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    Preflight { status, headers, kind: body["kind"].as_str().unwrap_or_default().to_owned() }
}

#[tokio::test]
async fn a_preflight_needs_no_key_and_reaches_no_replica() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(routes(&origin, &[OTHER])).await;
    for (path, page, allowed) in [
        ("/iris", SHOP, SHOP),
        ("/iris/deeper?x=1", SHOP, SHOP),
        ("/open", SHOP, "*"),
        ("/open", "null", "*"),
        ("/plain", OTHER, OTHER),
        ("/nobody", OTHER, OTHER),
        ("/", OTHER, OTHER),
        ("/iris", OTHER, ""),
        ("/iris", "null", ""),
        ("/closed", SHOP, ""),
        ("/closed", OTHER, ""),
        ("/plain", SHOP, ""),
        ("/nobody", SHOP, ""),
    ] {
        let answer = preflight(&ground, path, page).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{path} {page}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        assert!(!answer.header("x-request-id").is_empty());
        assert!(answer.header("vary").contains("origin"), "{path} {page}");
        if allowed.is_empty() {
            assert_eq!((answer.status, &*answer.kind), (403, "origin_not_allowed"), "{path} {page}");
            continue;
        }
        assert_eq!(answer.status, 204, "{path} {page}");
        for name in ["authorization", "content-type", "x-api-key", "x-tenant"] {
            assert!(answer.header("access-control-allow-headers").split(", ").any(|allowed| allowed == name), "{name}");
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(answer.header("access-control-allow-methods").contains(method), "{method}");
        }
        assert_eq!(answer.header("access-control-max-age"), "600");
    }
    assert_eq!(origin.seen.connections(), 0);
}

#[tokio::test]
async fn a_refused_preflight_does_not_tell_whether_there_is_an_api() {
    let origin = Origin::named("a").await;
    for cluster in [&[][..], &[OTHER]] {
        let ground = Ground::start(routes(&origin, cluster)).await;
        let mut answers = Vec::new();
        for path in ["/iris", "/closed", "/plain", "/nobody", "/iris%2fx"] {
            let mut answer = preflight(&ground, path, "https://stranger.test").await;
            for different in ["x-request-id", "date"] {
                answer.headers.remove(different);
            }
            answers.push((answer.status, answer.headers, answer.kind));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}

#[tokio::test]
async fn a_page_may_see_answers_and_refusals_alike() {
    let origin = Origin::new("a", |_| async {
        Response::builder()
            .header("access-control-allow-origin", "https://theirs.test")
            .header("access-control-allow-credentials", "true")
            .header("vary", "accept")
            .body(text("seen"))
            .unwrap()
    })
    .await;
    let ground = Ground::start(routes(&origin, &[OTHER])).await;
    let scoped = KeyHash { apis: Some(vec!["plain".to_owned()]), ..keys(&[2]).keys.remove(0) };
    write(&*ground.state, KEYS_KEY, &Keys { keys: [keys(&[1]).keys, vec![scoped]].concat() }).await;
    let client = ground.client();
    let plain = || client.post(ground.url("/plain")).bearer_auth(key(2));
    eventually("the new keys", || async { answer(plain()).await.0 == 200 }).await;
    for (path, page, seed, status, allowed) in [
        ("/iris", SHOP, 1, 200, SHOP),
        ("/iris", OTHER, 1, 200, ""),
        ("/iris", SHOP, 9, 401, SHOP),
        ("/open", OTHER, 1, 200, "*"),
        ("/closed", SHOP, 1, 200, ""),
        ("/plain", OTHER, 2, 200, OTHER),
        ("/nobody", OTHER, 1, 404, OTHER),
        ("/nobody", OTHER, 9, 401, OTHER),
        ("/nobody", SHOP, 1, 404, ""),
        // What its key does not open is not there, for the page neither.
        ("/iris", SHOP, 2, 404, ""),
        ("/iris", OTHER, 2, 404, OTHER),
        ("/iris%2fx", OTHER, 1, 400, OTHER),
    ] {
        let request = client.post(ground.url(path)).bearer_auth(key(seed)).header("origin", page).body("{}");
        let response = soon("an answer", request.send()).await.unwrap();
        let context = format!("{path} {page} {seed}: {response:?}");
        let all = |name: &str| {
            let values = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>().join("; ")
        };
        assert_eq!((response.status().as_u16(), &*all("access-control-allow-origin")), (status, allowed), "{context}");
        assert_eq!(all("access-control-allow-credentials"), "", "{context}");
        let exposed = if allowed.is_empty() { "" } else { "x-request-id, retry-after" };
        assert_eq!(all("access-control-expose-headers"), exposed, "{context}");
        let closed = path == "/closed";
        assert_eq!(all("vary").contains("origin"), allowed != "*" && !closed, "{context}");
        assert_eq!(all("vary").contains("accept"), status == 200, "{context}");
    }
}

#[tokio::test]
async fn without_a_setting_no_page_may_and_nothing_else_changes() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    assert_eq!(preflight(&ground, "/iris", SHOP).await.status, 403);
    let client = ground.client();
    let response = client.get(ground.url("/iris")).bearer_auth(key(1)).header("origin", SHOP);
    let response = soon("an answer", response.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().keys().any(|name| name.as_str().starts_with("access-control-") || name == "vary"));
    // OPTIONS that is no preflight is the API's, and wants a key like everything else.
    let options = || client.request(Method::OPTIONS, ground.url("/iris")).header("origin", SHOP);
    assert_eq!(answer(options().bearer_auth(key(1))).await, (200, "a".to_owned()));
    assert_eq!(refusal(options()).await.0, 401);
}

#[tokio::test]
async fn a_change_takes_effect_while_it_runs() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(routes(&origin, &[])).await;
    let status = async |page| preflight(&ground, "/plain", page).await.status;
    assert_eq!([status(SHOP).await, status(OTHER).await], [403, 403]);
    ground.publish(routes(&origin, &[SHOP])).await;
    eventually("the page may", || async { status(SHOP).await == 204 }).await;
    assert_eq!(status(OTHER).await, 403);
    ground.publish(routes(&origin, &["*"])).await;
    eventually("all may", || async { status(OTHER).await == 204 }).await;
    ground.publish(routes(&origin, &[])).await;
    eventually("none may", || async { status(SHOP).await == 403 && status(OTHER).await == 403 }).await;
}
