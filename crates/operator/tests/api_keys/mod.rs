//! API keys over the operator's own HTTP interface: what is kept where, and what a crash or another operator leaves.

use std::collections::BTreeSet;

use api::{
    api_keys::{ApiKeyKind, CreateApiKey, Expiry, KEY_USAGE_KEY, KeyUsage, RotateApiKey, VALUES_PREFIX, value_key},
    routes::{FormerHash, KEYS_KEY, KeyHash, Keys},
};
use futures_util::future::join_all;

use super::*;

fn wanted(name: &str) -> CreateApiKey {
    CreateApiKey {
        name: name.to_owned(),
        kind: ApiKeyKind::Api,
        apis: None,
        description: "for the build".to_owned(),
        expires: None,
    }
}

fn overlap(overlap_seconds: u64) -> RotateApiKey {
    RotateApiKey { overlap_seconds, expires: None }
}

async fn keys(state: &dyn State) -> Keys {
    read(state, KEYS_KEY).await.expect("get works").map(|(keys, _)| keys).unwrap_or_default()
}

/// Keys of all documents with a value, but for the one made with the cluster.
async fn values(state: &dyn State) -> BTreeSet<String> {
    let entries = state.list(VALUES_PREFIX).await.expect("list works");
    entries.into_iter().map(|entry| entry.key).filter(|key| key != DEFAULT_API_KEY_KEY).collect()
}

/// What tells of keys, and their values: all else is written by others when they like.
async fn documents(state: &dyn State) -> Vec<state::Entry> {
    let mut entries = state.list(VALUES_PREFIX).await.expect("list works");
    entries.extend(state.list(KEYS_KEY).await.expect("list works"));
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_from_create_to_revoke() {
    let fixture = Fixture::start().await;
    let (client, state) = (&fixture.client, &*fixture.state);
    let made = client.create_api_key(&wanted("ci")).await.expect("it is made");
    assert_eq!((made.key.created_by.as_deref(), made.key.expired), (Some("local-admin"), false));
    let taken = refusal(client.create_api_key(&wanted("ci")).await.map(drop));
    assert_eq!(taken, (StatusCode::CONFLICT, "api_key.name_taken".to_owned()));
    assert_eq!(
        values(state).await,
        BTreeSet::from([value_key(&sha256_hex(&made.api_key))]),
        "a refusal leaves nothing"
    );

    let rotated = client.rotate_api_key("ci", &overlap(3600)).await.expect("it is rotated");
    assert_ne!(rotated.api_key, made.api_key);
    assert_eq!(rotated.key.former.len(), 1);
    let got = client.named_api_key("ci").await.expect("it is there");
    assert!(got.api_key == rotated.api_key && got.key == rotated.key);
    let hashes: Vec<_> = keys(state)
        .await
        .keys
        .iter()
        .flat_map(|key| key.values().map(|value| value.0.to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(hashes, [sha256_hex(&rotated.api_key), sha256_hex(&made.api_key)]);

    let list = client.api_keys().await.expect("it answers");
    assert_eq!(list.keys, [got.key]);
    let told = serde_json::to_string(&list).expect("it serialises");
    assert!(!told.contains("ctxapi_") && hashes.iter().all(|hash| !told.contains(hash)), "{told}");

    let revoked = client.revoke_api_key("ci").await.expect("it is revoked");
    assert_eq!((revoked.keys_left, keys(state).await), (0, Keys::default()));
    assert!(values(state).await.is_empty());
    for outcome in [
        client.revoke_api_key("ci").await.map(drop),
        client.rotate_api_key("ci", &overlap(0)).await.map(drop),
        client.named_api_key("ci").await.map(drop),
    ] {
        assert_eq!(refusal(outcome), (StatusCode::NOT_FOUND, "api_key_not_found".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_cluster_is_the_first_of_those_for_all_apis() {
    let fixture = Fixture::start().await;
    let (client, state) = (&fixture.client, &*fixture.state);
    // As clusters were made before there was more to say of a key.
    let old = format!(r#"{{"keys":[{{"id":"default","sha256":"{}"}}]}}"#, sha256_hex("the key"));
    state.put(KEYS_KEY, old.into(), &Expect::Anything, &state::WriteId::new()).await.expect("put works");
    let monitor = CreateApiKey { kind: ApiKeyKind::Monitor, ..wanted("a-monitor") };
    let short = CreateApiKey { expires: Some(Expiry::In(1)), ..wanted("b-short") };
    for wanted in [&monitor, &short] {
        client.create_api_key(wanted).await.expect("it is made");
    }
    let other = client.create_api_key(&wanted("c-other")).await.expect("it is made");
    let first = async || client.api_key().await.map(|reply| reply.api_key);
    assert_eq!(first().await.expect("it is there"), "the key");
    assert_eq!(client.named_api_key("default").await.expect("it is there").api_key, "the key");
    let rotated = client.rotate_api_key("default", &overlap(3600)).await.expect("it is rotated");
    assert_eq!(first().await.expect("it is there"), rotated.api_key);
    assert!(state.get(DEFAULT_API_KEY_KEY).await.expect("get works").is_some(), "the former value is still accepted");
    client.revoke_api_key("default").await.expect("it is revoked");
    assert!(state.get(DEFAULT_API_KEY_KEY).await.expect("get works").is_none());
    fixture
        .eventually("the short one ends", async |f| {
            let keys = f.client.api_keys().await.expect("it answers").keys;
            keys.iter().any(|key| key.name == "b-short" && key.expired)
        })
        .await;
    assert_eq!(first().await.expect("it is there"), other.api_key);
    assert_eq!(client.revoke_api_key("c-other").await.expect("it is revoked").keys_left, 0);
    let none = refusal(first().await);
    assert_eq!(none, (StatusCode::NOT_FOUND, "api_key_not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let before = documents(&*fixture.state).await;
    let scoped = |api: &str| CreateApiKey { apis: Some(vec![api.to_owned()]), ..wanted("ci") };
    for (wanted, status, kind) in [
        (wanted("No Name"), 400, "api_key.bad_name"),
        (CreateApiKey { expires: Some(Expiry::In(0)), ..wanted("ci") }, 400, "api_key.bad_expiry"),
        (CreateApiKey { apis: Some(vec![]), ..wanted("ci") }, 400, "api_key.bad_scope"),
        (scoped("nobody"), 404, "api_not_found"),
        (scoped("../keys"), 404, "api_not_found"),
    ] {
        let refused = refusal(client.create_api_key(&wanted).await.map(drop));
        assert_eq!((refused.0.as_u16(), refused.1.as_str()), (status, kind), "{wanted:?}");
    }
    assert_eq!(documents(&*fixture.state).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_at_once_lose_none() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let names: Vec<_> = (0..12).map(|number| format!("k{number}")).collect();
    let made = join_all(names.iter().map(|name| async move { client.create_api_key(&wanted(name)).await })).await;
    assert!(made.iter().all(Result::is_ok), "none is lost to another");
    let same = join_all((0..6).map(|_| async { client.create_api_key(&wanted("same")).await.is_ok() })).await;
    assert_eq!(same.iter().filter(|made| **made).count(), 1, "one name, one key");
    let listed = client.api_keys().await.expect("it answers").keys;
    assert_eq!(listed.len(), names.len() + 1);
    for key in listed {
        client.named_api_key(&key.name).await.expect("its own value is there");
    }
    let rotated =
        join_all(names.iter().map(|name| async move { client.rotate_api_key(name, &overlap(0)).await })).await;
    let revoked = join_all(names.iter().map(|name| async move { client.revoke_api_key(name).await })).await;
    assert!(rotated.iter().all(Result::is_ok) && revoked.iter().all(Result::is_ok));
    assert_eq!(values(&*fixture.state).await.len(), 1, "only that of the key that is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_no_key_is_cleared_away_by_the_next_change() {
    let fixture = Fixture::start().await;
    let (client, state) = (&fixture.client, &*fixture.state);
    let now = OffsetDateTime::now_utc();
    let orphan = async |value: &str, age: time::Duration| {
        let record = ApiKeyRecord { value: value.to_owned(), made_at: Some(now - age) };
        write(state, &value_key(&sha256_hex(value)), &record, &Expect::Absent).await.expect("put works");
    };
    // Written by an operator that crashed before it wrote the hash, and by one that is about to.
    orphan("old", time::Duration::hours(2)).await;
    orphan("young", time::Duration::minutes(2)).await;
    // A value that a rotation has replaced and whose time is over; and uses of it and of a key that is gone.
    orphan("over", time::Duration::ZERO).await;
    let former = vec![FormerHash { sha256: sha256_hex("over"), expires_at: now - time::Duration::SECOND }];
    let key = KeyHash { id: "kept".to_owned(), sha256: sha256_hex("kept"), former, ..KeyHash::default() };
    orphan("kept", time::Duration::hours(2)).await;
    write(state, KEYS_KEY, &Keys { keys: vec![key.clone()] }, &Expect::Anything).await.expect("put works");
    let used = ["over", "gone", "kept"].map(|value| (sha256_hex(value), 1_000_000));
    let usage = KeyUsage { used: used.into_iter().collect() };
    write(state, KEY_USAGE_KEY, &usage, &Expect::Anything).await.expect("put works");

    let made = client.create_api_key(&wanted("ci")).await.expect("it is made");
    let left = ["young", "kept", &made.api_key].map(|value| value_key(&sha256_hex(value)));
    assert_eq!(values(state).await, BTreeSet::from(left));
    let (usage, _) = read::<KeyUsage>(state, KEY_USAGE_KEY).await.expect("get works").expect("it is there");
    assert_eq!(usage.used.into_keys().collect::<Vec<_>>(), [sha256_hex("kept")]);
    let kept = client.named_api_key("kept").await.expect("it is there");
    assert_eq!(kept.key.last_used_at.map(OffsetDateTime::unix_timestamp), Some(1_000_000));

    // A value that was lost is never another one.
    state.delete(&value_key(&key.sha256), &Expect::Anything).await.expect("delete works");
    let lost = refusal(client.named_api_key("kept").await.map(drop));
    assert_eq!(lost, (StatusCode::BAD_REQUEST, "api_key.value_lost".to_owned()));
    client.rotate_api_key("kept", &overlap(0)).await.expect("it is rotated");
    client.named_api_key("kept").await.expect("it has one again");
}
