//! State in a bucket, against the suite that every State has to pass: on the emulator, and with a proxy in front of it
//! that loses replies and refuses requests.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_node::{S3State, Settings};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use bytes::Bytes;
use state::{Expect, State, StateError, WriteId};
use testkit::{
    emulator::{Auth, Delays, Emulator, Mode},
    faults::{Call, Fault, Faults, Rule, When},
};

fn config(emulator: &Emulator, url: &str) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let (id, secret) = (emulator.admin.access_key_id.clone(), emulator.admin.secret_access_key.clone());
    let credentials = aws_credential_types::Credentials::new(id, secret, None, None, "emulator");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(emulator.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .endpoint_url(url)
        .build()
}

fn settings(emulator: &Emulator, prefix: &str) -> Settings {
    Settings {
        prefix: prefix.to_owned(),
        account_id: Some(emulator.account.clone()),
        poll: Duration::from_millis(200),
        ..Settings::new("cluster")
    }
}

/// On the emulator by way of `url`.
fn state(emulator: &Emulator, url: &str) -> S3State {
    S3State::new(&config(emulator, url), settings(emulator, "some/prefix"))
}

fn s3(emulator: &Emulator) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::new(&config(emulator, &emulator.endpoint))
}

/// With an empty bucket in it.
async fn emulator() -> Emulator {
    let emulator = Emulator::start(Mode::Plain, &Delays::none());
    emulator.set_auth(Auth::Full);
    s3(&emulator).create_bucket().bucket("cluster").send().await.expect("a bucket is made");
    emulator
}

async fn put(state: &S3State, key: &str, text: &'static str, expect: &Expect) -> Result<state::Version, StateError> {
    state.put(key, Bytes::from_static(text.as_bytes()), expect, &WriteId::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let emulator = emulator().await;
    state::conformance::run(
        Arc::new(state(&emulator, &emulator.endpoint)),
        Arc::new(state(&emulator, &emulator.endpoint)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_replies_to_writes_are_lost() {
    let emulator = emulator().await;
    let proxy = Faults::before(&emulator.endpoint).await;
    proxy.add(Rule::new(Fault::CutAfter, When::Rate { share: 0.2, seed: 1 }).on_method("PUT"));
    state::conformance::run(Arc::new(state(&emulator, &proxy.url())), Arc::new(state(&emulator, &proxy.url()))).await;
    let hits = proxy.hits();
    assert!(hits > 200, "the proxy hit {hits} calls only");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_throttled() {
    let emulator = emulator().await;
    let proxy = Faults::before(&emulator.endpoint).await;
    proxy.add(Rule::new(Fault::Throttle, When::Rate { share: 0.2, seed: 2 }));
    state::conformance::run(Arc::new(state(&emulator, &proxy.url())), Arc::new(state(&emulator, &proxy.url()))).await;
    let hits = proxy.hits();
    assert!(hits > 300, "the proxy hit {hits} calls only");
}

/// The reply to the first write is lost; before it is repeated, `between` happens.
async fn after_a_lost_reply(
    between: impl AsyncFnOnce(&S3State),
) -> (S3State, Result<state::Version, StateError>, Emulator) {
    let emulator = emulator().await;
    let proxy = Faults::before(&emulator.endpoint).await;
    let direct = state(&emulator, &emulator.endpoint);
    let first = put(&direct, "a", "1", &Expect::Absent).await.expect("nothing was there");
    let is_put = |call: &Call| call.method == "PUT";
    proxy.add(Rule::new(Fault::CutAfter, When::Nth(1)).on(is_put));
    // The first call is taken by the rule above, so this rule's first is the repetition.
    proxy.add(Rule::new(Fault::Hold, When::Nth(1)).on(is_put));
    let through = state(&emulator, &proxy.url());
    let writing = tokio::spawn(async move { put(&through, "a", "2", &Expect::Version(first)).await });
    testkit::eventually("the first try has its effect", async || {
        let document = direct.get("a").await.expect("get works").expect("it is there");
        if document.bytes == "2" { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    between(&direct).await;
    proxy.release();
    let outcome = writing.await.expect("no panic");
    assert_eq!(proxy.calls().iter().filter(|call| is_put(call)).count(), 2, "the write was repeated");
    (direct, outcome, emulator)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_meets_its_own_outcome() {
    let (state, outcome, _emulator) = after_a_lost_reply(async |_| {}).await;
    let now = state.get("a").await.expect("get works").expect("it is there");
    assert_eq!(outcome.expect("it was written"), now.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_history_was_a_success_and_cannot_be_built_on() {
    let (state, outcome, _emulator) = after_a_lost_reply(async |direct| {
        let second = direct.get("a").await.expect("get works").expect("it is there").version;
        put(direct, "a", "3", &Expect::Version(second)).await.expect("the version is current");
    })
    .await;
    let version = outcome.expect("it was written, and then replaced");
    let again = put(&state, "a", "4", &Expect::Version(version)).await;
    assert!(matches!(again, Err(StateError::Conflict { .. })), "{again:?}");
    assert_eq!(state.get("a").await.expect("get works").expect("it is there").bytes, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_top_of_somebody_elses_is_a_conflict() {
    let (_state, outcome, _emulator) = after_a_lost_reply(async |direct| {
        // Without a word about what was there before.
        put(direct, "a", "other", &Expect::Anything).await.expect("no condition was set");
    })
    .await;
    assert!(matches!(outcome, Err(StateError::Conflict { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lie_under_the_prefix_and_listings_agree_with_reads() {
    let emulator = emulator().await;
    let (inside, whole) = (
        state(&emulator, &emulator.endpoint),
        S3State::new(&config(&emulator, &emulator.endpoint), settings(&emulator, "")),
    );
    let version = put(&inside, "apis/a/head.json", "1", &Expect::Absent).await.expect("nothing was there");
    assert_eq!(whole.list("").await.expect("list works")[0].key, "some/prefix/apis/a/head.json");
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let file = scratch.path().join("file");
    std::fs::write(&file, "x").expect("it is writable");
    inside.put_blob("bundles/x", &file).await.expect("put_blob works");
    let listed = inside.list("").await.expect("list works");
    assert_eq!(listed.len(), 1, "blobs are no documents: {listed:?}");
    assert_eq!((&listed[0].key, &listed[0].version), (&"apis/a/head.json".to_owned(), &version));
    assert_eq!(inside.list_blobs("").await.expect("list_blobs works"), ["bundles/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_goes_up_in_parts_also_when_replies_are_lost() {
    const SIZE: usize = 70 * 1024 * 1024;
    let emulator = emulator().await;
    let proxy = Faults::before(&emulator.endpoint).await;
    // The second part, and the end.
    proxy.add(Rule::new(Fault::CutAfter, When::Nth(1)).on(|call| call.query.contains("partNumber=2")));
    proxy.add(
        Rule::new(Fault::CutAfter, When::Nth(1)).on(|call| call.method == "POST" && call.query.contains("uploadId")),
    );
    let state = state(&emulator, &proxy.url());
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (file, copy) = (scratch.path().join("file"), scratch.path().join("copy"));
    let content: Vec<u8> = (0..SIZE).map(|n| u8::try_from(n / 1000 % 251).expect("below 256")).collect();
    std::fs::write(&file, &content).expect("it is writable");
    state.put_blob("bundles/large", &file).await.expect("put_blob works");
    assert!(!file.exists() && state.has_blob("bundles/large").await.expect("has_blob works"));
    assert!(state.get_blob("bundles/large", &copy).await.expect("get_blob works"));
    assert!(std::fs::read(&copy).expect("the copy is there") == content, "the copy is another");
    let parts = proxy.calls().iter().filter(|call| call.method == "PUT" && call.query.contains("partNumber")).count();
    assert_eq!((parts, proxy.hits()), (6, 2), "5 parts, one of them twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_tampered_with_is_not_taken() {
    let emulator = emulator().await;
    let state = state(&emulator, &emulator.endpoint);
    let put = s3(&emulator).put_object().bucket("cluster").key("some/prefix/bundles/x");
    put.metadata("cortex-sha256", "00").body(b"other"[..].to_vec().into()).send().await.expect("put works");
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let error = state.get_blob("bundles/x", &scratch.path().join("x")).await.expect_err("it is another");
    assert!(error.to_string().contains("s3://cluster/some/prefix/bundles/x"), "{error}");
    assert!(!scratch.path().join("x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_ours_gives_a_clear_error() {
    let emulator = emulator().await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*",
        "Resource":["arn:aws:s3:::cluster","arn:aws:s3:::cluster/*"]}]}"#;
    s3(&emulator).put_bucket_policy().bucket("cluster").policy(policy).send().await.expect("a policy is taken");
    let state = state(&emulator, &emulator.endpoint);
    let mut errors = vec![
        state.get("a").await.map(drop).expect_err("it is denied"),
        put(&state, "a", "1", &Expect::Absent).await.map(drop).expect_err("it is denied"),
        state.delete("a", &Expect::Anything).await.expect_err("it is denied"),
        state.has_blob("bundles/a").await.map(drop).expect_err("it is denied"),
    ]
    .into_iter();
    for permission in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObject"] {
        let text = errors.next().expect("one for each").to_string();
        for word in ["s3://cluster/some/prefix/", "AccessDenied", permission] {
            assert!(text.contains(word), "`{word}`: {text}");
        }
    }
    let elsewhere = S3State::new(
        &config(&emulator, &emulator.endpoint),
        Settings { bucket: "nowhere".to_owned(), ..settings(&emulator, "") },
    );
    for error in [elsewhere.get("a").await.map(drop), elsewhere.list("").await.map(drop)] {
        let text = error.expect_err("there is no such bucket").to_string();
        assert!(text.contains("s3://nowhere/") && text.contains("NoSuchBucket"), "{text}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_named() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let emulator = emulator().await;
    let error = state(&emulator, &url).get("a").await.expect_err("nobody is there");
    assert!(matches!(error, StateError::Unavailable(_)));
    assert!(error.to_string().contains("s3://cluster/some/prefix/a: s3:GetObject: "), "{error}");
}

/// Collects what would be printed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn bodies_are_never_logged() {
    let emulator = emulator().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // This test's only thread.
    let guard = tracing::subscriber::set_default(subscriber);
    let state = state(&emulator, &emulator.endpoint);
    put(&state, "private/key", "hush-hush", &Expect::Absent).await.expect("put works");
    assert_eq!(state.get("private/key").await.expect("get works").expect("it is there").bytes, "hush-hush");
    drop(guard);
    let log = String::from_utf8_lossy(&log.0.lock().expect("no panic")).into_owned();
    assert!(log.contains("transmitting request") && log.contains("private/key"), "the SDK logs what it does");
    // As text, as the bytes that `Debug` prints, and as what is in a list of numbers.
    for form in ["hush", "104, 117, 115, 104"] {
        assert!(!log.contains(form), "`{form}` is in the log");
    }
}
