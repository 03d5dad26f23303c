//! The operator's door on the emulator: an STS that is somebody else's code, with users and roles made there, their keys
//! deleted, switched off and expired.
//!
//! The emulator renders STS's answers in its own way (order of elements, no white space) and refuses with its own codes;
//! that our verifier and it agree is what this adds to the tests on the scripted STS.

#[path = "../../identity/tests/sts/aws.rs"]
mod aws;
#[path = "aws/door.rs"]
#[expect(dead_code, reason = "shared")]
mod door;
#[path = "engine/mod.rs"]
#[expect(dead_code, reason = "shared")]
mod engine;
#[path = "aws/scripted_sts.rs"]
#[expect(dead_code, reason = "not asked here")]
mod scripted_sts;

use std::time::Duration;

use door::{Call, Door};
use http::{Method, StatusCode};
use identity::{
    Secret,
    sts::{AwsCredentials, ClusterId, Nonce, Signer},
};
use serde_json::{Value, json};
use testkit::emulator::{Credentials, Delays, Emulator, Mode};
use time::OffsetDateTime;

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

fn keys(credentials: &Credentials) -> AwsCredentials {
    AwsCredentials {
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: Secret::new(credentials.secret_access_key.clone()),
        session_token: credentials.session_token.clone().map(Secret::new),
    }
}

fn trust(service: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" }] })
}

async fn start(mode: Mode) -> (Emulator, Door) {
    let emulator =
        tokio::task::spawn_blocking(move || Emulator::start(mode, &Delays::none())).await.expect("it starts");
    let door = Door::open_at(&emulator.endpoint).await;
    (emulator, door)
}

async fn status(door: &Door, credentials: &AwsCredentials) -> (StatusCode, String) {
    let answer = door.send(&door.signed(credentials, Call::info())).await;
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

async fn is_let_in(door: &Door, credentials: &Credentials) {
    let (status, body) = status(door, &keys(credentials)).await;
    assert_eq!(status, StatusCode::OK, "{credentials:?}: {body}");
}

async fn is_refused(door: &Door, credentials: &AwsCredentials, expected: StatusCode, words: &str) {
    let (status, body) = status(door, credentials).await;
    assert_eq!(status, expected, "{words}: {body}");
    assert!(body.contains(words), "{words:?} is not in {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_are_let_in_until_their_keys_are_gone() {
    for mode in [Mode::Plain, Mode::Strict] {
        let (emulator, door) = start(mode).await;
        // Without a single permission: nobody can be denied GetCallerIdentity.
        let alice = emulator.create_user("alice", &json!({}));
        emulator.create_role("dev", &trust("ec2.amazonaws.com"), &json!({}));
        let role = emulator.assume("dev", "sess1");
        is_let_in(&door, &alice).await;
        is_let_in(&door, &role).await;

        // That keys can be switched off, and sessions end, is among the strict rules.
        if matches!(mode, Mode::Strict) {
            emulator.deactivate_key(&alice);
            is_refused(&door, &keys(&alice), UNAUTHORIZED, "does not know this access key").await;
            emulator.activate_key(&alice);
            is_let_in(&door, &alice).await;
            emulator.expire_credentials(&role);
            is_refused(&door, &keys(&role), UNAUTHORIZED, "has expired").await;
        }
        emulator.delete_key(&alice);
        is_refused(&door, &keys(&alice), UNAUTHORIZED, "does not know this access key").await;
        is_let_in(&door, &emulator.assume("dev", "sess2")).await;
        door.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_belongs_elsewhere_is_refused() {
    let (emulator, door) = start(Mode::Strict).await;
    let alice = keys(&emulator.create_user("alice", &json!({})));
    emulator.create_role("dev", &trust("ec2.amazonaws.com"), &json!({}));
    let role = keys(&emulator.assume("dev", "sess1"));

    let wrong = AwsCredentials { secret_access_key: Secret::new("guessed"), ..alice.clone() };
    is_refused(&door, &wrong, UNAUTHORIZED, "signature is wrong").await;
    let stripped = AwsCredentials { session_token: None, ..role.clone() };
    is_refused(&door, &stripped, UNAUTHORIZED, "does not know this access key").await;
    let swapped = AwsCredentials { session_token: role.session_token.clone(), ..alice.clone() };
    is_refused(&door, &swapped, UNAUTHORIZED, "does not know this access key").await;

    let signed = door.signed(&role, Call::deploy());
    for (what, call) in [
        ("path", Call { path: "/v1/deploy/".to_owned(), ..signed.clone() }),
        ("query", Call { path: "/v1/deploy".to_owned(), query: Some("a".to_owned()), ..signed.clone() }),
        ("method", Call { method: Method::PUT, ..signed.clone() }),
        ("body", Call { body: b"{}".to_vec(), ..signed.clone() }),
        ("content type", signed.clone().with(http::header::CONTENT_TYPE, "text/plain")),
    ] {
        let answer = door.send(&call).await;
        // A path or method that no route has is refused by the router.
        let routed = !matches!(what, "path" | "method");
        assert_eq!(answer.status == UNAUTHORIZED, routed, "{what}: {answer:?}");
        assert!(answer.status.is_client_error(), "{what}: {answer:?}");
    }
    let other = Signer { cluster: ClusterId::parse(&"0".repeat(64)).expect("a hash"), ..door.signer.clone() };
    let elsewhere = Call::info().sign(&other, &role, &Nonce::new([1; 16]), OffsetDateTime::now_utc());
    assert_eq!(door.refused("cluster", &elsewhere).await.0, UNAUTHORIZED);

    let call = door.signed(&role, Call::new(Method::DELETE, "/v1/apis/nothing"));
    assert_eq!(door.send(&call).await.status, StatusCode::NOT_FOUND);
    assert_eq!(door.refused("replay", &call).await.0, UNAUTHORIZED);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_that_have_no_role_here_are_forbidden() {
    let (emulator, door) = start(Mode::Strict).await;
    let stranger = emulator.create_stranger("alice", "210987654321");
    is_refused(&door, &keys(&stranger), FORBIDDEN, "not of this cluster's AWS account").await;
    is_refused(&door, &keys(&emulator.root_credentials()), FORBIDDEN, "root of the account").await;
    is_refused(&door, &keys(&emulator.federated_credentials("bob")), FORBIDDEN, "federated user").await;

    emulator.create_role("cortex-test-worker", &trust("ec2.amazonaws.com"), &json!({}));
    let hour = Duration::from_secs(3600);
    let node = emulator.assume_as_service("cortex-test-worker", "i-0123456789abcdef0", "ec2.amazonaws.com", hour);
    is_refused(&door, &keys(&node), FORBIDDEN, "role of the cluster's own machines").await;
    emulator.create_role("worker", &trust("ec2.amazonaws.com"), &json!({}));
    is_let_in(&door, &emulator.assume("worker", "cortex-test-worker")).await;
    door.close().await;
}
