//! A gateway with everything around it.

use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    routes::{ApiRoute, KEYS_KEY, KeyHash, Keys, ROUTES_KEY, Routes},
    wire::{ErrorBody, GatewayHealth},
};
use gateway::{Counts, Gateway, Options, Timeouts};
use identity::{KeyKind, sha256_hex};
use state::{Expect, LocalState, State};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use transport::{Authority, Limits, Listener, Server, ServerTls, client_config};

use crate::origin::Origin;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// Waits until the condition holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not so after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn key(seed: u8) -> String {
    KeyKind::Api.key([seed; 32]).expose().to_owned()
}

pub fn keys(seeds: &[u8]) -> Keys {
    let hash = |seed: &u8| KeyHash { id: seed.to_string(), sha256: sha256_hex(&key(*seed)), ..KeyHash::default() };
    Keys { keys: seeds.iter().map(hash).collect() }
}

pub fn route(name: &str, endpoint: &str, replicas: &[&Origin]) -> ApiRoute {
    let replicas = replicas.iter().map(|origin| origin.route()).collect();
    ApiRoute { name: name.to_owned(), endpoint: endpoint.to_owned(), replicas, ..ApiRoute::default() }
}

/// One API at `/iris`.
pub fn iris(replicas: &[&Origin]) -> Routes {
    Routes { apis: vec![route("iris", "/iris", replicas)], ..Routes::default() }
}

pub async fn write<T: serde::Serialize + Sync>(state: &dyn State, key: &str, value: &T) {
    state::write(state, key, value, &Expect::Anything).await.unwrap();
}

/// A running gateway. The key that works is [`key(1)`](key).
pub struct Ground {
    pub directory: TempDir,
    pub state: Arc<dyn State>,
    pub address: SocketAddr,
    pub ca: String,
    pub tls: ServerTls,
    pub metrics: Arc<gateway::Metrics>,
    stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

/// Deadlines that no test waits for.
pub fn timeouts() -> Timeouts {
    Timeouts { connect: PATIENCE, response: PATIENCE, ..Timeouts::default() }
}

impl Ground {
    pub async fn start(routes: Routes) -> Self {
        Self::start_with(routes, timeouts()).await
    }

    pub async fn start_with(routes: Routes, timeouts: Timeouts) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(&directory.path().join("state")).await.unwrap();
        write(&state, KEYS_KEY, &keys(&[1])).await;
        write(&state, ROUTES_KEY, &routes).await;
        Self::start_on(directory, Arc::new(state), timeouts).await
    }

    /// Which ends what still runs so long after it was told to stop.
    pub async fn start_within(routes: Routes, drain: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = LocalState::open(&directory.path().join("state")).await.unwrap();
        write(&state, KEYS_KEY, &keys(&[1])).await;
        write(&state, ROUTES_KEY, &routes).await;
        let limits = Limits { drain, ..Limits::default() };
        Self::serve(directory, Arc::new(state), timeouts(), limits).await
    }

    /// With whatever is in the store and on disk.
    pub async fn start_on(directory: TempDir, state: Arc<dyn State>, timeouts: Timeouts) -> Self {
        Self::serve(directory, state, timeouts, Limits::default()).await
    }

    async fn serve(directory: TempDir, state: Arc<dyn State>, timeouts: Timeouts, limits: Limits) -> Self {
        let options = Options { timeouts, ..Options::new(Arc::clone(&state), directory.path().join("cache")) };
        let gateway = Gateway::start(options).await;
        let metrics = gateway.metrics();
        let now = time::OffsetDateTime::now_utc();
        let authority = Arc::new(Authority::generate("test", now).unwrap());
        let ca = authority.certificate_pem().to_owned();
        let tls = ServerTls::new(authority, &["localhost".to_owned()]).unwrap();
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let server = Server { listener, tls: Some(tls.clone()), limits };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move { gateway.serve(server, async { drop(stopped.await) }).await });
        Self { directory, state, address, ca, tls, metrics, stop: Some(stop), task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// A client that speaks only that protocol: `h2` or `http/1.1`.
    pub fn speaking(&self, protocol: &str) -> reqwest::Client {
        let mut config = client_config(&self.ca).unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
    }

    pub fn client(&self) -> reqwest::Client {
        self.speaking("h2")
    }

    pub async fn publish(&self, routes: Routes) {
        write(&*self.state, ROUTES_KEY, &routes).await;
    }

    /// The same, until the gateway serves them.
    pub async fn publish_now(&self, routes: Routes) {
        self.publish(routes).await;
        let version = self.state.get(ROUTES_KEY).await.unwrap().unwrap().version.0;
        let client = self.client();
        eventually("the new routes", || async {
            let health = answer(client.get(self.url("/healthz"))).await.1;
            serde_json::from_str::<GatewayHealth>(&health).unwrap().routes_version.as_ref() == Some(&version)
        })
        .await;
    }

    pub async fn publish_keys(&self, seeds: &[u8]) {
        write(&*self.state, KEYS_KEY, &keys(seeds)).await;
    }

    pub fn counts(&self) -> Counts {
        self.metrics.counts()
    }

    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// A request that has the key.
pub fn get(client: &reqwest::Client, url: &str) -> reqwest::RequestBuilder {
    client.get(url).bearer_auth(key(1))
}

pub fn post(client: &reqwest::Client, url: &str) -> reqwest::RequestBuilder {
    client.post(url).bearer_auth(key(1))
}

/// Status and text of the answer.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = soon("an answer", request.send()).await.unwrap();
    (response.status().as_u16(), soon("its body", response.text()).await.unwrap())
}

/// Status and kind of a refusal, whose form is checked.
pub async fn refusal(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = soon("an answer", request.send()).await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status().as_u16();
    assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    let body: ErrorBody = soon("its body", response.json()).await.unwrap();
    assert_eq!(body.request_id, id);
    assert!(!body.message.is_empty());
    (status, body.kind)
}
