//! The embedded store against the suite, and what only it promises.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use bytes::Bytes;
use state::{Expect, LocalState, State, WriteId};

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_conforms() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let one = LocalState::open(directory.path()).await.expect("opens");
    let two = LocalState::open(directory.path()).await.expect("opens a second time");
    state::conformance::run(Arc::new(one), Arc::new(two)).await;
}

#[tokio::test]
async fn a_closed_store_has_forgotten_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state");
    let first = LocalState::open(&path).await.expect("opens");
    first.put("a", Bytes::from_static(b"1"), &Expect::Absent, &WriteId::new()).await.expect("put works");
    drop(first);
    let second = LocalState::open(&path).await.expect("opens again");
    assert_eq!(&second.get("a").await.expect("get works").expect("it is there").bytes[..], b"1");
    let mode = std::fs::metadata(&path).expect("the directory is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "only its owner may look into the store");
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_says_where_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("file");
    std::fs::write(&path, "in the way").expect("writable");
    let Err(error) = LocalState::open(&path).await else { panic!("a file is not a directory") };
    assert!(error.to_string().contains(path.to_str().expect("a plain path")), "{error}");
}
