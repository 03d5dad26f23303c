//! The operator over its own HTTP interface, with a real store and an engine whose replicas the test moves by hand.

mod api_keys;
mod engine;
mod metrics;

use std::{sync::Arc, time::Duration};

use api::{
    Authenticate, Client, ClientError, Outgoing,
    cluster::{ApiKeyRecord, CLUSTER_KEY, ClusterRecord, DEFAULT_API_KEY_KEY},
    routes::{self, ROUTES_KEY, Routes},
    wire::{ApiStatus, DeployAction, DeployReply, DeployRequest, ReplicaPhase},
};
use async_trait::async_trait;
use bytes::Bytes;
use engine::ScriptedEngine;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use identity::sha256_hex;
use operator::{LocalToken, Operator};
use sha2::{Digest as _, Sha256};
use spec::realtime::{Api, Program};
use state::{Expect, LocalState, State, read, write};
use time::OffsetDateTime;
use tokio::{sync::oneshot, task::JoinHandle};
use transport::{Address, Authority, Limits, Listener, Server, ServerTls};

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "the admin token";

struct Token;

#[async_trait]
impl Authenticate for Token {
    async fn headers(&self, _: &Outgoing<'_>) -> Result<HeaderMap, String> {
        let value = HeaderValue::from_str(&format!("Bearer {TOKEN}")).map_err(|error| error.to_string())?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }
}

/// An operator on a store of its own.
struct Fixture {
    client: Client,
    state: Arc<dyn State>,
    engine: Arc<ScriptedEngine>,
    stop: Option<oneshot::Sender<()>>,
    operator: JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(directory, Arc::new(ScriptedEngine::default())).await
    }

    async fn start_in(directory: tempfile::TempDir, engine: Arc<ScriptedEngine>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state: Arc<dyn State> = Arc::new(LocalState::open(&directory.path().join("state")).await.expect("opens"));
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned())).await.expect("a free port");
        let endpoint = format!("https://localhost:{}", listener.tcp_address().expect("TCP").port());
        let record = ClusterRecord {
            name: "test".to_owned(),
            provider: "local".to_owned(),
            api_endpoint: "https://localhost:1".to_owned(),
            operator_endpoint: endpoint.clone(),
            host_names: vec!["localhost".to_owned()],
            created_at: OffsetDateTime::now_utc(),
        };
        write(&*state, CLUSTER_KEY, &record, &Expect::Anything).await.expect("put works");
        let key = ApiKeyRecord { value: "the key".to_owned(), made_at: None };
        write(&*state, DEFAULT_API_KEY_KEY, &key, &Expect::Anything).await.expect("put works");
        let authority = Authority::generate("test", OffsetDateTime::now_utc()).expect("an authority");
        let ca = authority.certificate_pem().to_owned();
        let tls = ServerTls::new(authority.into(), &record.host_names).expect("a certificate");
        let operator = Operator {
            state: Arc::clone(&state),
            engine: Arc::clone(&engine) as Arc<dyn operator::engine::Engine>,
            authenticator: Arc::new(LocalToken::new(sha256_hex(TOKEN))),
            ca_certificate: ca.clone(),
            scratch: directory.path().to_owned(),
            holder: "test".to_owned(),
            gateway_metrics: None,
        };
        let limits = Limits { drain: Duration::from_secs(1), ..Limits::default() };
        let server = Server { listener, tls: Some(tls), limits };
        let (stop, stopped) = oneshot::channel::<()>();
        let operator = tokio::spawn(async move {
            operator.run(server, async { stopped.await.unwrap_or(()) }).await.expect("it runs to its end");
        });
        let client = Client::new(&endpoint, &ca, Arc::new(Token)).expect("a client");
        Self { client, state, engine, stop: Some(stop), operator, directory }
    }

    /// Stops the operator, as a restart does, and keeps everything else.
    async fn restart(mut self) -> Self {
        drop(self.stop.take());
        self.operator.await.expect("it ends well");
        Self::start_in(self.directory, self.engine).await
    }

    async fn bundle(&self, content: &'static [u8]) -> String {
        let sha256 = hex::encode(Sha256::digest(content));
        let chunks = stream::iter(content.chunks(7).map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk))));
        self.client.put_bundle(&sha256, content.len() as u64, chunks).await.expect("the upload is taken");
        sha256
    }

    async fn deploy(&self, bundle: &str, apis: Vec<Api>) -> Result<DeployReply, ClientError> {
        self.client.deploy(&DeployRequest { bundle: bundle.to_owned(), apis }).await
    }

    async fn routed(&self, api: &str) -> Vec<String> {
        let routes = read::<Routes>(&*self.state, ROUTES_KEY).await.expect("get works");
        let routes = routes.map(|(routes, _)| routes).unwrap_or_default();
        let route = routes.apis.into_iter().find(|route| route.name == api);
        route.map(|route| route.replicas.into_iter().map(|replica| replica.id).collect()).unwrap_or_default()
    }

    async fn eventually(&self, what: &str, mut test: impl AsyncFnMut(&Self) -> bool) {
        let wait = async {
            while !test(self).await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    async fn status(&self, api: &str) -> ApiStatus {
        self.client.api(api).await.expect("it is deployed").summary.status
    }
}

fn api(name: &str, replicas: u32) -> Api {
    let text = format!(
        "- name: {name}\n  kind: RealtimeAPI\n  predictor: {{type: python, path: p.py}}\n  autoscaling: {{min_replicas: {replicas}}}\n"
    );
    spec::realtime::parse("test", &text).expect("it is valid").remove(0)
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (StatusCode, String) {
    match outcome {
        Err(ClientError::Refused { status, body }) => {
            assert!(!body.request_id.is_empty() && !body.message.is_empty(), "{body:?}");
            (status, body.kind)
        }
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_lives_from_deploy_to_delete() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"a bundle").await;
    let reply = fixture.deploy(&bundle, vec![api("iris", 2)]).await.expect("it is taken");
    assert_eq!((reply.apis[0].action, reply.apis[0].generation), (DeployAction::Created, 1));
    fixture.eventually("two replicas", async |f| f.engine.running("iris").len() == 2).await;
    assert_eq!(fixture.status("iris").await, ApiStatus::Starting);
    assert!(fixture.routed("iris").await.is_empty(), "nothing is ready, nothing is routed");

    fixture.engine.all_ready("iris");
    fixture.eventually("both are routed", async |f| f.routed("iris").await.len() == 2).await;
    assert_eq!(fixture.status("iris").await, ApiStatus::Live);
    let again = fixture.deploy(&bundle, vec![api("iris", 2)]).await.expect("it is taken");
    assert_eq!((again.apis[0].action, again.apis[0].generation), (DeployAction::Unchanged, 1));

    fixture.client.delete_api("iris").await.expect("it is there");
    fixture.eventually("nothing runs", async |f| f.engine.running("iris").is_empty()).await;
    assert!(fixture.routed("iris").await.is_empty());
    assert_eq!(refusal(fixture.client.api("iris").await).0, StatusCode::NOT_FOUND);
    assert_eq!(refusal(fixture.client.delete_api("iris").await), (StatusCode::NOT_FOUND, "api_not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_takes_nothing_away_before_the_new_version_is_ready() {
    let fixture = Fixture::start().await;
    let first = fixture.bundle(b"one").await;
    fixture.deploy(&first, vec![api("iris", 2)]).await.expect("it is taken");
    fixture.eventually("two replicas", async |f| f.engine.running("iris").len() == 2).await;
    fixture.engine.all_ready("iris");
    fixture.eventually("live", async |f| f.status("iris").await == ApiStatus::Live).await;
    let old = fixture.routed("iris").await;

    let second = fixture.bundle(b"two").await;
    fixture.deploy(&second, vec![api("iris", 2)]).await.expect("it is taken");
    fixture.eventually("one of the new version", async |f| f.engine.running("iris").len() == 3).await;
    assert_eq!(fixture.routed("iris").await, old, "the old version serves");
    assert_eq!(fixture.status("iris").await, ApiStatus::Updating);

    // The new version does not get ready: that must not cost the old one anything.
    fixture.engine.fail_starting("iris", "it raised");
    fixture.eventually("the failure is told", async |f| f.status("iris").await == ApiStatus::UpdateFailed).await;
    let summary = fixture.client.api("iris").await.expect("it is deployed").summary;
    assert_eq!((summary.message.as_str(), summary.replicas.ready), ("it raised", 2));
    assert_eq!(fixture.routed("iris").await, old);

    // A mended version replaces both, one after the other.
    let third = fixture.bundle(b"three").await;
    fixture.deploy(&third, vec![api("iris", 2)]).await.expect("it is taken");
    fixture
        .eventually("live again", async |f| {
            assert!(f.routed("iris").await.len() >= 2, "there are always two to serve");
            f.engine.all_ready("iris");
            f.status("iris").await == ApiStatus::Live
        })
        .await;
    let new = fixture.routed("iris").await;
    assert!(new.len() == 2 && new.iter().all(|id| !old.contains(id)), "{new:?} replaced {old:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_endpoint_moves_the_route_and_nothing_else() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"one").await;
    fixture.deploy(&bundle, vec![api("iris", 1)]).await.expect("it is taken");
    fixture.eventually("a replica", async |f| f.engine.running("iris").len() == 1).await;
    fixture.engine.all_ready("iris");
    fixture.eventually("routed", async |f| f.routed("iris").await.len() == 1).await;
    let before = fixture.routed("iris").await;
    let mut moved = api("iris", 1);
    moved.networking.endpoint = "/elsewhere".to_owned();
    let reply = fixture.deploy(&bundle, vec![moved]).await.expect("it is taken");
    assert_eq!(reply.apis[0].action, DeployAction::Updated);
    fixture
        .eventually("the route moves", async |f| {
            let routes = read::<Routes>(&*f.state, ROUTES_KEY).await.expect("get works").expect("routes").0;
            routes.apis[0].endpoint == "/elsewhere"
        })
        .await;
    assert_eq!(fixture.routed("iris").await, before);
    assert_eq!(fixture.engine.started(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_reach_the_gateways_and_restart_nothing() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"one").await;
    fixture.deploy(&bundle, vec![api("iris", 1)]).await.expect("it is taken");
    fixture.eventually("a replica", async |f| f.engine.running("iris").len() == 1).await;
    let mut limited = api("iris", 1);
    limited.networking.timeout = Some(9);
    limited.networking.max_in_flight = Some(8);
    limited.networking.max_queue_length = Some(7);
    fixture.deploy(&bundle, vec![limited]).await.expect("it is taken");
    let wanted = routes::Limits { timeout_s: Some(9), max_in_flight: Some(8), max_queue_length: Some(7) };
    fixture
        .eventually("the limits", async |f| {
            let routes = read::<Routes>(&*f.state, ROUTES_KEY).await.expect("get works").expect("routes").0;
            routes.apis[0].limits == wanted
        })
        .await;
    assert_eq!(fixture.engine.started(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_goes_on_where_it_was() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"one").await;
    fixture.deploy(&bundle, vec![api("iris", 1)]).await.expect("it is taken");
    fixture.eventually("a replica", async |f| f.engine.running("iris").len() == 1).await;
    fixture.engine.all_ready("iris");
    fixture.eventually("live", async |f| f.status("iris").await == ApiStatus::Live).await;
    let before = fixture.routed("iris").await;
    let fixture = fixture.restart().await;
    assert_eq!(fixture.status("iris").await, ApiStatus::Live);
    assert!(fixture.client.has_bundle(&bundle).await.expect("it answers"));
    let other = fixture.deploy(&bundle, vec![api("other", 1)]).await.expect("it is taken");
    assert_eq!(other.apis[0].action, DeployAction::Created);
    fixture.eventually("the new operator reconciles", async |f| f.engine.running("other").len() == 1).await;
    assert_eq!(fixture.routed("iris").await, before);
    assert_eq!(fixture.engine.started(), 2, "nothing was started again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"one").await;
    let unknown = "0".repeat(64);
    assert_eq!(refusal(fixture.deploy(&unknown, vec![api("a", 1)]).await).1, "bundle_not_found");
    assert_eq!(refusal(fixture.deploy("../etc", vec![api("a", 1)]).await).1, "bundle.invalid_name");
    assert_eq!(refusal(fixture.deploy(&bundle, vec![]).await).1, "deploy.empty");
    let mut twin = api("b", 1);
    twin.networking.endpoint = "/a".to_owned();
    let taken = refusal(fixture.deploy(&bundle, vec![api("a", 1), twin]).await);
    assert_eq!(taken, (StatusCode::CONFLICT, "deploy.endpoint_taken".to_owned()));
    assert_eq!(refusal(fixture.deploy(&bundle, vec![api("a", 1), api("a", 1)]).await).1, "deploy.duplicate_name");
    let mut hostile = api("a", 1);
    hostile.program.predictor_mut().expect("a predictor").path = "../../etc/passwd".to_owned();
    assert_eq!(refusal(fixture.deploy(&bundle, vec![hostile]).await).1, "deploy.invalid_api");
    let mut image = api("a", 1);
    let own = serde_json::json!({
        "command": ["serve"], "image": "me/own:1", "port": 80, "env": {}, "readiness_path": null, "max_concurrency": 1,
    });
    image.program = Program::Container(serde_json::from_value(own).expect("a container"));
    assert_eq!(refusal(fixture.deploy(&bundle, vec![image]).await).1, "deploy.no_images");
    assert!(fixture.client.apis().await.expect("it answers").apis.is_empty(), "nothing was written");
    fixture.deploy(&bundle, vec![api("a", 1)]).await.expect("it is taken");
    let mut other = api("c", 1);
    other.networking.endpoint = "/a".to_owned();
    assert_eq!(refusal(fixture.deploy(&bundle, vec![other]).await).1, "deploy.endpoint_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_upload_leaves_nothing() {
    let fixture = Fixture::start().await;
    let promised = hex::encode(Sha256::digest(b"what was promised"));
    let sent = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"what was sent"))]);
    let outcome = fixture.client.put_bundle(&promised, 13, sent).await;
    assert_eq!(refusal(outcome), (StatusCode::BAD_REQUEST, "bundle.hash_mismatch".to_owned()));
    assert!(!fixture.client.has_bundle(&promised).await.expect("it answers"));
    let left: Vec<_> = std::fs::read_dir(fixture.directory.path()).expect("readable").flatten().collect();
    assert_eq!(left.len(), 1, "only the state: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_cannot_is_told_of_and_tried_again() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"one").await;
    fixture.engine.refuse("the disk is full");
    fixture.deploy(&bundle, vec![api("iris", 1)]).await.expect("it is taken");
    fixture.eventually("the trouble is told", async |f| f.status("iris").await == ApiStatus::Failed).await;
    assert_eq!(fixture.client.api("iris").await.expect("it is there").summary.message, "the disk is full");
    fixture.engine.allow();
    fixture.eventually("it is tried again", async |f| f.engine.running("iris").len() == 1).await;
    fixture.engine.all_ready("iris");
    fixture.eventually("live", async |f| f.status("iris").await == ApiStatus::Live).await;
    assert_eq!(fixture.engine.phases("iris"), [ReplicaPhase::Ready]);
}
