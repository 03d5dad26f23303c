//! Whoever changes, repeats, re-dates or redirects a signed request is refused, with words and without an effect.

use std::sync::Arc;

use api::{Access, Endpoint};
use http::{HeaderName, Method, StatusCode, header};
use identity::{
    Secret,
    sts::{AwsCredentials, ClusterId, Nonce, Region, Signer},
};
use state::{LocalState, State};
use time::{Duration, OffsetDateTime};
use transport::Authority;

use crate::{
    aws::sha256,
    door::{Call, Door, generous},
    scripted_sts::{ACCOUNT, ScriptedSts},
};

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

fn unauthenticated() -> (StatusCode, String) {
    (UNAUTHORIZED, "unauthenticated".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_every_tampered_part_is_refused() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let signed = door.signed(&alice, Call::deploy());
    let changed_body =
        br#"{"bundle":"1111111111111111111111111111111111111111111111111111111111111111","apis":[]}"#.to_vec();
    let changed_hash = sha256(&changed_body);
    for (what, call) in [
        ("method", Call { method: Method::PUT, path: format!("/v1/bundles/{changed_hash}"), ..signed.clone() }),
        ("method alone", Call { method: Method::GET, path: "/v1/apis".to_owned(), ..signed.clone() }),
        ("path", Call { path: "/v1/apis/iris".to_owned(), method: Method::DELETE, ..signed.clone() }),
        ("query", Call { query: Some("x=1".to_owned()), ..signed.clone() }),
        ("empty query", Call { query: Some(String::new()), ..signed.clone() }),
        ("content type", signed.clone().with(header::CONTENT_TYPE, "application/x-tar")),
        ("content hash", signed.clone().with(Call::content_header(), &changed_hash)),
        (
            "body and content hash",
            Call { body: changed_body.clone(), ..signed.clone() }.with(Call::content_header(), &changed_hash),
        ),
    ] {
        assert_eq!(door.refused(what, &call).await, unauthenticated(), "{what}");
    }
    let body = Call { body: changed_body, ..signed.clone() };
    assert_eq!(door.refused("body", &body).await, (UNAUTHORIZED, "content_mismatch".to_owned()));
    assert_eq!(door.apis().await, 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_bodies_are_held_to_their_hash_on_every_route() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    for &endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.access() != Access::Public) {
        let path = endpoint.path_with(&[&"a".repeat(64)]);
        let honest = door.signed(&alice, Call::new(endpoint.method(), &path));
        let smuggled = Call { body: b"{\"smuggled\": true}".to_vec(), ..honest };
        let (status, kind) = door.refused(&path, &smuggled).await;
        assert_eq!(status, UNAUTHORIZED, "{endpoint:?}: {kind}");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_an_upload_that_is_not_what_was_signed_leaves_nothing() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let promised = b"what was promised".to_vec();
    let bundle = sha256(&promised);
    let path = format!("/v1/bundles/{bundle}");
    let upload = |body: &[u8]| Call { body: body.to_vec(), ..Call::new(Method::PUT, &path) };
    // Signed for what is sent, but the path promises something else.
    let other = door.signed(&alice, upload(b"something else"));
    assert_eq!(door.refused("other path", &other).await.1, "bundle.hash_mismatch");
    // Sent as the path promises, but signed for something else.
    let swapped = Call { body: promised.clone(), ..door.signed(&alice, upload(b"something else")) };
    assert_eq!(door.refused("other hash", &swapped).await, (UNAUTHORIZED, "content_mismatch".to_owned()));
    let cut = Call { body: promised[..5].to_vec(), ..door.signed(&alice, upload(&promised)) };
    assert_eq!(door.refused("cut off", &cut).await, (UNAUTHORIZED, "content_mismatch".to_owned()));
    assert!(door.state.list_blobs("bundles/").await.expect("it works").is_empty());
    assert_eq!(door.send(&door.signed(&alice, upload(&promised))).await.status, StatusCode::NO_CONTENT);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_a_request_is_taken_once_by_all_operators_together() {
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let state: Arc<dyn State> = Arc::new(LocalState::open(&directory.path().join("state")).await.expect("opens"));
    let authority = Arc::new(Authority::generate("test", OffsetDateTime::now_utc()).expect("an authority"));
    let sts = ScriptedSts::start().await;
    let one = Door::on(sts, state, directory, Arc::clone(&authority), generous()).await;
    let two = one.second(&authority).await;
    let alice = one.sts.alice();
    assert_eq!(two.sts.alice().access_key_id, alice.access_key_id, "both know her");
    // A change, and a read that tells a secret.
    for call in [Call::new(Method::DELETE, "/v1/apis/nothing"), Call::new(Method::GET, "/v1/api-key")] {
        let signed = one.signed(&alice, call);
        assert_ne!(one.send(&signed).await.status, UNAUTHORIZED, "the first time");
        for door in [&one, &two, &one] {
            assert_eq!(door.refused("again", &signed).await, unauthenticated());
        }
    }
    let read = one.signed(&alice, Call::info());
    assert_eq!(one.send(&read).await.status, StatusCode::OK);
    assert_eq!(one.refused("again", &read).await, unauthenticated());
    // A nonce is good for one request, not for one request of each kind.
    let nonce = Nonce::new([9; 16]);
    let now = OffsetDateTime::now_utc();
    let first = one.signed_at(&alice, Call::new(Method::DELETE, "/v1/apis/a"), nonce.clone(), now);
    let second = two.signed_at(&alice, Call::new(Method::DELETE, "/v1/apis/b"), nonce, now);
    assert_eq!(one.send(&first).await.status, StatusCode::NOT_FOUND);
    assert_eq!(two.refused("the same nonce", &second).await, unauthenticated());
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_old_and_future_requests_are_refused() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let now = OffsetDateTime::now_utc();
    for (what, at) in [
        ("old", now - Duration::minutes(5) - Duration::seconds(5)),
        ("very old", now - Duration::days(30)),
        ("future", now + Duration::seconds(70)),
        ("far future", now + Duration::hours(2)),
    ] {
        let call = door.signed_at(&alice, Call::info(), Nonce::new(rand::random()), at);
        assert_eq!(door.refused(what, &call).await, unauthenticated(), "{what}");
    }
    assert_eq!(door.sts.asked(), 0, "none of them reached STS");
    let call = door.signed_at(&alice, Call::info(), Nonce::new(rand::random()), now - Duration::minutes(4));
    assert_eq!(door.send(&call).await.status, StatusCode::OK);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_03_11_another_cluster_or_region_is_refused() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let (nonce, now) = (Nonce::new([1; 16]), OffsetDateTime::now_utc());
    let other = Signer { cluster: ClusterId::parse(&sha256("another")).expect("a hash"), ..door.signer.clone() };
    assert_eq!(door.refused("cluster", &Call::info().sign(&other, &alice, &nonce, now)).await, unauthenticated());
    assert_eq!(door.sts.asked(), 1, "only STS can see that");
    for region in ["eu-west-1", "cn-north-1"] {
        let other = Signer { region: Region::named(region).expect("it is one"), ..door.signer.clone() };
        assert_eq!(door.refused(region, &Call::info().sign(&other, &alice, &nonce, now)).await, unauthenticated());
    }
    assert_eq!(door.sts.asked(), 1);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_19_22_23_identities_without_a_role_are_refused() {
    let door = Door::open().await;
    for (what, arn, id) in [
        ("root", format!("arn:aws:iam::{ACCOUNT}:root"), ACCOUNT.to_owned()),
        ("federated", format!("arn:aws:sts::{ACCOUNT}:federated-user/bob"), format!("{ACCOUNT}:bob")),
        (
            "own role",
            format!("arn:aws:sts::{ACCOUNT}:assumed-role/cortex-test-worker/i-01"),
            "AROAWORKER0000000001:i-01".to_owned(),
        ),
        ("other account", "arn:aws:iam::210987654321:user/alice".to_owned(), "AIDAALICE00000000001".to_owned()),
        ("other partition", format!("arn:aws-cn:iam::{ACCOUNT}:user/alice"), "AIDAALICE00000000001".to_owned()),
        ("id of another kind", format!("arn:aws:iam::{ACCOUNT}:user/alice"), "AROAALICE00000000001:x".to_owned()),
    ] {
        let keys = door.sts.key(&arn, &id, Some("token"));
        for &endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.access() != Access::Public) {
            let call = Call::new(endpoint.method(), &endpoint.path_with(&[&"a".repeat(64)]));
            let (status, kind) = door.refused(what, &door.signed(&keys, call)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{what} at {endpoint:?}: {kind}");
        }
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_secrets_and_unknown_keys_are_refused() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/dev/sess1");
    let role = door.sts.key(&arn, "AROADEV0000000000001:sess1", Some("token"));
    for (what, keys) in [
        ("wrong secret", AwsCredentials { secret_access_key: Secret::new("guessed"), ..alice.clone() }),
        ("unknown key", AwsCredentials { access_key_id: "AKIDEXAMPLE999999999".to_owned(), ..alice.clone() }),
        ("no session token", AwsCredentials { session_token: None, ..role.clone() }),
        ("another session token", AwsCredentials { session_token: Some(Secret::new("other")), ..role.clone() }),
        ("a session token for a user", AwsCredentials { session_token: role.session_token, ..alice }),
    ] {
        assert_eq!(door.refused(what, &door.signed(&keys, Call::info())).await, unauthenticated(), "{what}");
    }
    door.close().await;
}

/// What is no token, or no request that a token could be for.
fn malformed(good: &Call) -> Vec<(String, Call)> {
    let authorization = good.authorization();
    let content = Call::content_header();
    let without = |name: HeaderName| {
        let mut call = good.clone();
        call.headers.remove(name);
        call
    };
    let with = |value: &str| good.clone().with(header::AUTHORIZATION, value);
    let mut calls = vec![
        ("no credential".to_owned(), without(header::AUTHORIZATION)),
        ("two credentials".to_owned(), good.clone().and(header::AUTHORIZATION, &authorization)),
        ("a local token".to_owned(), with("Bearer ctxadm_0")),
        ("a raw AWS signature".to_owned(), with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE000000001/x")),
        ("another version".to_owned(), with(&authorization.replace("Cortex-V1", "Cortex-V2"))),
        ("a space more".to_owned(), with(&authorization.replace("Cortex-V1 ", "Cortex-V1  "))),
        ("padding".to_owned(), with(&format!("{authorization}="))),
        ("a list".to_owned(), with(&format!("{authorization}, {authorization}"))),
        ("too long".to_owned(), with(&format!("{authorization}{}", "A".repeat(9000)))),
        ("no content hash".to_owned(), without(content.clone())),
        ("two content hashes".to_owned(), good.clone().and(content.clone(), &sha256(""))),
        ("an upper-case content hash".to_owned(), good.clone().with(content.clone(), &sha256("").to_uppercase())),
        ("a short content hash".to_owned(), good.clone().with(content, "e3b0")),
        (
            "two content types".to_owned(),
            good.clone().and(header::CONTENT_TYPE, "a/b").and(header::CONTENT_TYPE, "c/d"),
        ),
    ];
    calls.extend((0..60).map(|cut| (format!("cut after {cut}"), with(authorization[..10 + cut * 4].trim_end()))));
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn row_26_malformed_tokens_never_reach_sts() {
    let door = Door::open().await;
    let alice = door.sts.alice();
    for &endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.access() != Access::Public) {
        let call = Call::new(endpoint.method(), &endpoint.path_with(&[&"a".repeat(64)]));
        for (what, call) in malformed(&door.signed(&alice, call)) {
            let (status, _) = door.refused(&what, &call).await;
            assert_eq!(status, UNAUTHORIZED, "{what} at {endpoint:?}");
        }
    }
    assert_eq!(door.sts.asked(), 0);
    door.close().await;
}
