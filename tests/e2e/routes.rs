//! Every route of the operator, with and without the right to call it, over the wire.

use api::{Access, Endpoint};
use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use identity::KeyKind;
use testkit::{Answer, Cluster, Version, project, raw};

/// A header to send; none stands for no credential.
type Credential = (&'static str, Vec<(&'static str, String)>);

/// Everything that is not the admin token in its place.
fn wrong_credentials(cluster: &Cluster, token: &str) -> Vec<Credential> {
    let bearer = |value: &str| vec![("authorization", format!("Bearer {value}"))];
    let basic = |user: &str, password: &str| vec![("authorization", format!("Basic {}", base64(user, password)))];
    let mut truncated = token.to_owned();
    truncated.pop();
    vec![
        ("no credential", vec![]),
        ("an empty credential", vec![("authorization", String::new())]),
        ("an empty token", bearer("")),
        ("a wrong token", bearer("wrong")),
        ("a well-formed token that is not this cluster's", bearer(KeyKind::LocalAdmin.generate().expose())),
        ("all of the token but its end", bearer(&truncated)),
        ("the token and more", bearer(&format!("{token}0"))),
        ("the token without a scheme", vec![("authorization", token.to_owned())]),
        ("the token in another scheme", vec![("authorization", format!("Token {token}"))]),
        ("the token as a password", basic("cortex", token)),
        ("the token as a user", basic(token, "")),
        ("the token in another header", vec![("x-api-key", token.to_owned())]),
        ("the token after a wrong one", [bearer("wrong"), bearer(token)].concat()),
        ("the token before a wrong one", [bearer(token), bearer("wrong")].concat()),
        ("an API key", bearer(&cluster.key)),
        ("an API key in its header", vec![("x-api-key", cluster.key.clone())]),
    ]
}

fn base64(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

/// The route with something in place of its parameters that is well-formed and not there.
fn path(endpoint: Endpoint) -> String {
    let parameter = if endpoint.path().contains("{sha256}") { "0".repeat(64) } else { "nobody".to_owned() };
    endpoint.path_with(&[&parameter])
}

async fn call(cluster: &Cluster, http: &reqwest::Client, endpoint: Endpoint, headers: &[(&str, String)]) -> Answer {
    let url = format!("{}{}", cluster.operator_endpoint, path(endpoint));
    let mut request = http.request(endpoint.method(), url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Answer::of(request).await.unwrap_or_else(|error| panic!("{endpoint:?}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_everybody_without_the_token() {
    let cluster = Cluster::up();
    let token = std::fs::read_to_string(cluster.token_file()).expect("the token");
    let credentials = wrong_credentials(&cluster, &token);
    for version in [Version::Http1, Version::Http2] {
        let client = raw(&cluster.ca, version);
        for &endpoint in Endpoint::ALL {
            for (what, headers) in &credentials {
                let answer = call(&cluster, &client, endpoint, headers).await;
                assert_eq!(answer.version == http::Version::HTTP_2, version == Version::Http2, "{answer:?}");
                if endpoint.access() == Access::Public {
                    assert_eq!(answer.status, 200, "{endpoint:?} with {what}: {answer:?}");
                } else {
                    refused(endpoint, what, &answer, &token);
                }
            }
        }
    }
}

fn refused(endpoint: Endpoint, what: &str, answer: &Answer, token: &str) {
    let context = format!("{endpoint:?} with {what}: {answer:?}");
    assert_eq!(answer.status, 401, "{context}");
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json", "{context}");
    assert_eq!(answer.headers[WWW_AUTHENTICATE], "Bearer", "{context}");
    let id = answer.headers["x-request-id"].to_str().expect("ASCII");
    assert!(!id.is_empty(), "{context}");
    assert!(!String::from_utf8_lossy(&answer.body).contains(token), "{context}");
    let body = answer.json();
    assert_eq!(body["kind"], "unauthenticated", "{context}");
    assert_eq!(body["request_id"], id, "{context}");
    assert!(body["message"].as_str().is_some_and(|text| text.contains("cortex env configure")), "{context}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn let_the_holder_of_the_token_in() {
    let cluster = Cluster::up();
    let token = std::fs::read_to_string(cluster.token_file()).expect("the token");
    let http = raw(&cluster.ca, Version::Http2);
    for &endpoint in Endpoint::ALL {
        let answer = call(&cluster, &http, endpoint, &[("authorization", format!("Bearer {token}"))]).await;
        let context = format!("{endpoint:?}: {answer:?}");
        assert!(!matches!(answer.status, 401 | 403 | 405), "{context}");
        assert!(answer.status < 500, "{context}");
        // A handler may not find what it is asked for; the router must find the handler.
        if answer.status == 404 && !answer.body.is_empty() {
            assert_ne!(answer.json()["kind"], "not_found", "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_wants_an_api_key_and_takes_no_token() {
    let cluster = Cluster::up();
    let echo = project::python(&cluster.cortex, "echo", &project::echo("1"), "");
    cluster.deploy(&echo);
    let token = std::fs::read_to_string(cluster.token_file()).expect("the token");
    let http = raw(&cluster.ca, Version::Http2);
    let post = async |path: &str, headers: &[(&str, String)]| {
        let mut request = http.post(format!("{}{path}", cluster.api_endpoint)).body("1");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Answer::of(request.header(CONTENT_TYPE, "application/json")).await.expect("an answer")
    };
    let wrong = [
        ("no key", vec![]),
        ("the admin token", vec![("authorization", format!("Bearer {token}"))]),
        ("another key", vec![("authorization", format!("Bearer {}", KeyKind::Api.generate().expose()))]),
        ("another key in its header", vec![("x-api-key", KeyKind::Api.generate().expose().to_owned())]),
    ];
    // Without a key, what there is and what not looks the same.
    for path in ["/echo", "/nobody", "/"] {
        for (what, headers) in &wrong {
            let answer = post(path, headers).await;
            assert_eq!(answer.status, 401, "{path} with {what}: {answer:?}");
            assert_eq!(answer.json()["kind"], "unauthenticated", "{path} with {what}");
        }
    }
    let right = [
        vec![("authorization", format!("Bearer {}", cluster.key))],
        vec![("x-api-key", cluster.key.clone())],
        vec![("authorization", format!("Basic {}", base64("", &cluster.key)))],
    ];
    for headers in right {
        let answer = post("/echo", &headers).await;
        assert_eq!(answer.status, 200, "{headers:?}: {answer:?}");
        assert_eq!(post("/nobody", &headers).await.json()["kind"], "api_not_found");
    }
}
