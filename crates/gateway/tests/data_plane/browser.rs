//! People with a browser.

use api::cors::{Cors, CorsSettings};
use api::routes::Routes;

use crate::{
    ground::{Ground, answer, iris, key, refusal},
    origin::Origin,
};

const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn are_asked_for_the_key_by_their_browser_and_nobody_else_is() {
    let origin = Origin::named("a").await;
    let ground = Ground::start(iris(&[&origin])).await;
    let client = ground.client();
    let challenge = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        response.headers()["www-authenticate"].to_str().unwrap().to_owned()
    };
    for path in ["/iris", "/nobody", "/", "//"] {
        let url = ground.url(path);
        assert!(challenge(client.get(&url).header("accept", ACCEPT)).await.starts_with("Basic realm="), "{path}");
        let wrong = client.get(&url).header("accept", ACCEPT).basic_auth("", Some("wrong"));
        assert!(challenge(wrong).await.starts_with("Basic realm="), "{path}: it asks again");
        assert_eq!(challenge(client.post(&url).header("accept", ACCEPT)).await, "Bearer", "{path}");
    }
    assert_eq!(challenge(client.get(ground.url("/iris"))).await, "Bearer");
    let known = client.get(ground.url("/iris")).header("accept", ACCEPT).basic_auth("", Some(key(1)));
    assert_eq!(answer(known).await, (200, "a".to_owned()));
}

#[tokio::test]
async fn do_not_lend_their_key_to_other_sites() {
    let origin = Origin::named("a").await;
    let shop = Cors { origins: vec!["https://shop.example".to_owned()] };
    let routes = Routes { cors: CorsSettings { cluster: Some(shop), ..CorsSettings::default() }, ..iris(&[&origin]) };
    let ground = Ground::start(routes).await;
    let client = ground.client();
    let post = |page: &str| client.post(ground.url("/iris")).header("origin", page).body("{}");
    for page in ["https://evil.example", "null"] {
        let lent = post(page).basic_auth("", Some(key(1)));
        assert_eq!(refusal(lent).await, (403, "origin_not_allowed".to_owned()), "{page}");
        // A key that somebody put there on purpose is a key.
        assert_eq!(answer(post(page).bearer_auth(key(1))).await.0, 200, "{page}");
        assert_eq!(answer(post(page).basic_auth("", Some(key(1))).header("x-api-key", key(1))).await.0, 200, "{page}");
    }
    for page in [ground.url("").as_str(), "https://shop.example"] {
        assert_eq!(answer(post(page).basic_auth("", Some(key(1)))).await.0, 200, "{page}");
    }
    assert_eq!(origin.seen.requests(), 6);
}
