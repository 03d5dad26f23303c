//! What every implementation of [`State`] promises, as a suite to run against it.
//!
//! The caller hands in two handles on one store, as two processes would have them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{task::JoinSet, time::timeout};

use crate::{Expect, Lease, State, StateError, Version, WriteId, update};

type Handle = Arc<dyn State>;

/// How long the suite waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs everything. Panics at the first broken promise, saying which.
pub async fn run(one: Handle, two: Handle) {
    documents_read_back(&one, &two).await;
    a_put_names_what_it_replaces(&one, &two).await;
    a_repeated_write_is_one_write(&one).await;
    only_one_of_many_creates(&one, &two).await;
    no_increment_is_lost(&one, &two).await;
    a_delete_names_what_it_deletes(&one).await;
    a_listing_is_complete_and_sorted(&one).await;
    a_watch_wakes_for_its_prefix_only(&one, &two).await;
    blobs_read_back(&one, &two).await;
    a_lease_has_one_holder(&one, &two).await;
    a_dead_holder_is_succeeded(&one, &two).await;
    a_released_lease_is_free_at_once(&one, &two).await;
}

async fn put(state: &Handle, key: &str, text: &str, expect: Expect) -> Result<Version, StateError> {
    state.put(key, Bytes::copy_from_slice(text.as_bytes()), &expect, &WriteId::new()).await
}

async fn text(state: &Handle, key: &str) -> Option<String> {
    let document = state.get(key).await.expect("get works")?;
    Some(String::from_utf8(document.bytes.to_vec()).expect("the suite writes text"))
}

fn assert_conflict<T: std::fmt::Debug>(outcome: Result<T, StateError>, what: &str) {
    assert!(matches!(outcome, Err(StateError::Conflict { .. })), "{what}: {outcome:?}");
}

async fn documents_read_back(one: &Handle, two: &Handle) {
    assert_eq!(text(one, "read/absent").await, None);
    let written = put(one, "read/a", "hello", Expect::Anything).await.expect("put works");
    let document = two.get("read/a").await.expect("get works").expect("it is there");
    assert_eq!((&document.bytes[..], &document.version), (&b"hello"[..], &written));
    let large = "x".repeat(2_000_000);
    put(two, "read/large", &large, Expect::Absent).await.expect("a large document is taken");
    assert_eq!(text(one, "read/large").await.as_deref(), Some(large.as_str()));
}

async fn a_put_names_what_it_replaces(one: &Handle, two: &Handle) {
    let first = put(one, "cas/a", "1", Expect::Absent).await.expect("nothing was there");
    assert_conflict(put(two, "cas/a", "x", Expect::Absent).await, "creating what exists");
    let second = put(two, "cas/a", "2", Expect::Version(first.clone())).await.expect("the version is current");
    assert_ne!(first, second);
    assert_conflict(put(one, "cas/a", "x", Expect::Version(first.clone())).await, "an old version");
    assert_conflict(put(one, "cas/none", "x", Expect::Version(first)).await, "a version of nothing");
    assert_eq!(text(one, "cas/a").await.as_deref(), Some("2"));
    put(one, "cas/a", "3", Expect::Anything).await.expect("no condition was set");
}

async fn a_repeated_write_is_one_write(state: &Handle) {
    let id = WriteId::new();
    let bytes = Bytes::from_static(b"once");
    let first = state.put("write-id/a", bytes.clone(), &Expect::Absent, &id).await.expect("nothing was there");
    let again = state.put("write-id/a", bytes.clone(), &Expect::Absent, &id).await;
    assert_eq!(again.expect("the same write again is a success"), first);
    put(state, "write-id/a", "other", Expect::Version(first)).await.expect("the version is current");
    assert_conflict(
        state.put("write-id/a", bytes, &Expect::Absent, &id).await,
        "a repetition after somebody else's write",
    );
}

async fn only_one_of_many_creates(one: &Handle, two: &Handle) {
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for writer in 0..16 {
            let state = Arc::clone(if writer % 2 == 0 { one } else { two });
            tasks.spawn(async move {
                put(&state, &format!("race/{round}"), &writer.to_string(), Expect::Absent).await.map(|_| writer)
            });
        }
        let outcomes = tasks.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().map_or_else(StateError::is_conflict, |_| true)));
        assert_eq!(text(one, &format!("race/{round}")).await, Some(winners[0].to_string()));
    }
}

async fn no_increment_is_lost(one: &Handle, two: &Handle) {
    let mut tasks = JoinSet::new();
    for worker in 0..8 {
        let state = Arc::clone(if worker % 2 == 0 { one } else { two });
        tasks.spawn(async move {
            for _ in 0..10 {
                let add = |count: Option<u32>| Some(count.unwrap_or(0) + 1);
                update(&*state, "count/a", add).await.expect("update works");
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(text(one, "count/a").await.as_deref(), Some("80"));
}

async fn a_delete_names_what_it_deletes(state: &Handle) {
    let old = put(state, "delete/a", "1", Expect::Absent).await.expect("nothing was there");
    let new = put(state, "delete/a", "2", Expect::Version(old.clone())).await.expect("the version is current");
    assert_conflict(state.delete("delete/a", &Expect::Version(old)).await, "deleting an old version");
    state.delete("delete/a", &Expect::Version(new.clone())).await.expect("the version is current");
    assert_eq!(text(state, "delete/a").await, None);
    state.delete("delete/a", &Expect::Anything).await.expect("deleting nothing is a success");
    assert_conflict(state.delete("delete/a", &Expect::Version(new.clone())).await, "deleting a version of nothing");
    put(state, "delete/a", "2", Expect::Absent).await.expect("it is gone");
    assert_eq!(text(state, "delete/a").await.as_deref(), Some("2"));
}

async fn a_listing_is_complete_and_sorted(state: &Handle) {
    let mut wanted = BTreeSet::new();
    let mut tasks = JoinSet::new();
    // More than S3 lists in one page.
    for number in 0..1_050 {
        let key = format!("list/a/{number:05}");
        wanted.insert(key.clone());
        let state = Arc::clone(state);
        tasks.spawn(async move { put(&state, &key, "x", Expect::Absent).await.map(drop) });
        if tasks.len() >= 32 {
            tasks.join_next().await.expect("a task runs").expect("it does not panic").expect("put works");
        }
    }
    for outcome in tasks.join_all().await {
        outcome.expect("put works");
    }
    for near in ["list/ab", "list/A/1", "list/%/1", "list/a_/1"] {
        put(state, near, "x", Expect::Absent).await.expect("put works");
    }
    let listed: Vec<_> = state.list("list/a/").await.expect("list works").into_iter().map(|e| e.key).collect();
    assert_eq!(listed, wanted.into_iter().collect::<Vec<_>>());
    for (prefix, key) in [("list/%", "list/%/1"), ("list/a_", "list/a_/1")] {
        let listed = state.list(prefix).await.expect("list works");
        assert_eq!(listed.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), [key], "`{prefix}` is not a pattern");
    }
}

async fn a_watch_wakes_for_its_prefix_only(one: &Handle, two: &Handle) {
    let mut watch = one.watch("watch/a/").await.expect("watch works");
    let mut others = one.watch("watch/b/").await.expect("watch works");
    let state = Arc::clone(one);
    let first_wake = tokio::spawn(async move {
        others.changed().await.expect("the watch works");
        state.get("watch/b/1").await.expect("get works").is_some()
    });
    let version = put(two, "watch/a/1", "1", Expect::Absent).await.expect("put works");
    timeout(PATIENCE, watch.changed()).await.expect("a new document wakes").expect("the watch works");
    put(two, "watch/a/1", "2", Expect::Version(version)).await.expect("put works");
    timeout(PATIENCE, watch.changed()).await.expect("a replaced document wakes").expect("the watch works");
    two.delete("watch/a/1", &Expect::Anything).await.expect("delete works");
    timeout(PATIENCE, watch.changed()).await.expect("a deleted document wakes").expect("the watch works");
    assert!(!first_wake.is_finished(), "documents outside its prefix woke a watch");
    put(two, "watch/b/1", "1", Expect::Absent).await.expect("put works");
    let saw_its_own = timeout(PATIENCE, first_wake).await.expect("its own document wakes").expect("no panic");
    assert!(saw_its_own, "a document outside its prefix woke a watch");
}

async fn blobs_read_back(one: &Handle, two: &Handle) {
    let scratch = std::env::temp_dir().join(format!("state-conformance-{}", WriteId::new().as_str()));
    std::fs::create_dir(&scratch).expect("the temporary directory is writable");
    let source = scratch.join("source");
    std::fs::write(&source, vec![7u8; 3_000_000]).expect("the temporary directory is writable");
    assert!(!one.has_blob("bundles/abc").await.expect("has_blob works"));
    assert!(!one.get_blob("bundles/abc", &scratch.join("none")).await.expect("get_blob works"));
    one.put_blob("bundles/abc", &source).await.expect("put_blob works");
    assert!(!source.exists(), "put_blob takes the file away");
    assert!(two.has_blob("bundles/abc").await.expect("has_blob works"));
    let copy = scratch.join("copy");
    assert!(two.get_blob("bundles/abc", &copy).await.expect("get_blob works"));
    assert_eq!(std::fs::read(&copy).expect("the copy is there"), vec![7u8; 3_000_000]);
    assert_eq!(two.list_blobs("bundles/").await.expect("list_blobs works"), ["bundles/abc"]);
    assert!(two.put_blob("../outside", &copy).await.is_err(), "a key must not leave the store");
    two.delete_blob("bundles/abc").await.expect("delete_blob works");
    two.delete_blob("bundles/abc").await.expect("deleting nothing is a success");
    assert!(!one.has_blob("bundles/abc").await.expect("has_blob works"));
    std::fs::remove_dir_all(&scratch).expect("the temporary directory is writable");
}

async fn a_lease_has_one_holder(one: &Handle, two: &Handle) {
    let ttl = Duration::from_secs(600);
    let mut leases: Vec<_> = (0..8)
        .map(|n| Lease::new(Arc::clone(if n % 2 == 0 { one } else { two }), "single", format!("holder-{n}"), ttl))
        .collect();
    let mut tasks = JoinSet::new();
    for (number, mut lease) in leases.drain(..).enumerate() {
        tasks.spawn(async move { lease.hold().await.map(|held| (number, held, lease)) });
    }
    let mut outcomes: Vec<_> = tasks.join_all().await.into_iter().map(|outcome| outcome.expect("hold works")).collect();
    let holders: Vec<_> = outcomes.iter().filter(|(_, held, _)| *held).map(|(number, ..)| *number).collect();
    assert_eq!(holders.len(), 1, "held by {holders:?}");
    for (number, held, lease) in &mut outcomes {
        assert_eq!(lease.is_held(), *held);
        assert_eq!(lease.hold().await.expect("hold works"), *held, "holder-{number}, the second time");
        assert_eq!(lease.holder().await.expect("holder works"), Some(format!("holder-{}", holders[0])));
    }
}

async fn a_dead_holder_is_succeeded(one: &Handle, two: &Handle) {
    let ttl = Duration::from_millis(300);
    let mut dead = Lease::new(Arc::clone(one), "succession", "dead", ttl);
    assert!(dead.hold().await.expect("hold works"));
    let mut heir = Lease::new(Arc::clone(two), "succession", "heir", ttl);
    assert!(!heir.hold().await.expect("hold works"), "the holder may still be alive");
    timeout(PATIENCE, async {
        while !heir.hold().await.expect("hold works") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a lease that is not renewed passes on");
    assert!(!dead.is_held(), "the old holder must know by its own clock, before the heir takes over");
    assert!(!dead.hold().await.expect("hold works"), "it does not get the lease back while the heir lives");
}

async fn a_released_lease_is_free_at_once(one: &Handle, two: &Handle) {
    let ttl = Duration::from_secs(600);
    let mut first = Lease::new(Arc::clone(one), "release", "first", ttl);
    let mut second = Lease::new(Arc::clone(two), "release", "second", ttl);
    assert!(first.hold().await.expect("hold works"));
    assert!(!second.hold().await.expect("hold works"));
    first.release().await.expect("release works");
    assert!(!first.is_held());
    assert!(second.hold().await.expect("hold works"));
}
