//! The operator under test, and a caller who can send what no honest client would.

use std::{sync::Arc, time::Duration};

use api::{
    cluster::{ACCESS_KEY, ApiKeyRecord, CLUSTER_KEY, ClusterRecord, DEFAULT_API_KEY_KEY},
    wire::ErrorBody,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use identity::sts::{
    AccessRule, AwsCredentials, CONTENT_SHA256, ClusterId, Nonce, OperatorAccess, OperatorRequest, OwnRoles, Partition,
    Region, Signer, Trust,
};
use operator::{AwsAuthenticator, Budget, Budgets, HttpsSts, Operator, StateAccess, StsEndpoint};
use state::{Expect, LocalState, State, write};
use time::OffsetDateTime;
use tokio::{sync::oneshot, task::JoinHandle};
use transport::{Address, Authority, Limits, Listener, Server, ServerTls, public_key_sha256};

use crate::{
    aws::sha256,
    engine::ScriptedEngine,
    scripted_sts::{ACCOUNT, ScriptedSts},
};

/// An operator, its STS and its State.
pub struct Door {
    pub sts: ScriptedSts,
    pub state: Arc<dyn State>,
    pub endpoint: String,
    pub ca: String,
    pub signer: Signer,
    http: reqwest::Client,
    directory: Arc<tempfile::TempDir>,
    stop: Option<oneshot::Sender<()>>,
    operator: JoinHandle<()>,
}

/// So much that no test meets them by accident.
pub fn generous() -> Budgets {
    let budget = Budget { burst: 1e6, per_second: 1.0 };
    Budgets { per_address: budget, per_address_and_key: budget, strangers: budget, table: 1000 }
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(generous()).await
    }

    pub async fn open_with(budgets: Budgets) -> Self {
        let (state, directory, authority) = Self::ground().await;
        Self::on(ScriptedSts::start().await, state, directory, authority, budgets).await
    }

    /// A second operator of the same cluster.
    pub async fn second(&self, authority: &Arc<Authority>) -> Self {
        let sts = ScriptedSts::start().await;
        Self::on(sts, Arc::clone(&self.state), Arc::clone(&self.directory), Arc::clone(authority), generous()).await
    }

    /// One whose STS is at that address. For the tests on the emulator; each file of tests is a program of its own.
    #[allow(dead_code)]
    pub async fn open_at(sts: &str) -> Self {
        let (state, directory, authority) = Self::ground().await;
        Self::asking(sts, ScriptedSts::start().await, state, directory, authority, generous()).await
    }

    async fn ground() -> (Arc<dyn State>, Arc<tempfile::TempDir>, Arc<Authority>) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let state: Arc<dyn State> = Arc::new(LocalState::open(&directory.path().join("state")).await.expect("opens"));
        let authority = Authority::generate("test", OffsetDateTime::now_utc()).expect("an authority");
        (state, directory, Arc::new(authority))
    }

    pub async fn on(
        sts: ScriptedSts,
        state: Arc<dyn State>,
        directory: Arc<tempfile::TempDir>,
        authority: Arc<Authority>,
        budgets: Budgets,
    ) -> Self {
        let url = sts.url();
        Self::asking(&url, sts, state, directory, authority, budgets).await
    }

    async fn asking(
        sts_url: &str,
        sts: ScriptedSts,
        state: Arc<dyn State>,
        directory: Arc<tempfile::TempDir>,
        authority: Arc<Authority>,
        budgets: Budgets,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".to_owned())).await.expect("a free port");
        let endpoint = format!("https://localhost:{}", listener.tcp_address().expect("TCP").port());
        let ca = authority.certificate_pem().to_owned();
        found(&*state, &endpoint).await;
        let cluster = ClusterId::parse(&public_key_sha256(&ca).expect("a certificate")).expect("a hash");
        let region = Region::named("us-east-1").expect("it is in the table");
        let trust = Trust {
            partition: Partition::Aws,
            account: ACCOUNT.to_owned(),
            cluster: cluster.clone(),
            regions: vec![region],
            own_roles: OwnRoles { prefixes: vec!["cortex-test-".to_owned()], arns: Vec::new() },
        };
        let endpoint_of_sts = StsEndpoint::parse(sts_url).expect("a loopback address");
        let real_client = Arc::new(HttpsSts::new(Some(endpoint_of_sts)).expect("a client"));
        let authenticator = AwsAuthenticator::new(trust, real_client, Arc::clone(&state), budgets)
            .ruled_by(Arc::new(StateAccess::new(Arc::clone(&state))));
        let operator = Operator {
            state: Arc::clone(&state),
            engine: Arc::new(ScriptedEngine::default()),
            authenticator: Arc::new(authenticator),
            ca_certificate: ca.clone(),
            scratch: directory.path().to_owned(),
            holder: endpoint.clone(),
            gateway_metrics: None,
        };
        let tls = ServerTls::new(authority, &["localhost".to_owned()]).expect("a certificate");
        let limits = Limits { drain: Duration::from_secs(1), ..Limits::default() };
        let server = Server { listener, tls: Some(tls), limits };
        let (stop, stopped) = oneshot::channel::<()>();
        let operator = tokio::spawn(async move {
            operator.run(server, async { stopped.await.unwrap_or(()) }).await.expect("it runs to its end");
        });
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(transport::client_config(&ca).expect("a certificate"))
            .no_proxy()
            .build()
            .expect("a client");
        let signer = Signer { region, cluster };
        Self { sts, state, endpoint, ca, signer, http, directory, stop: Some(stop), operator }
    }

    /// A request as an honest client would sign it.
    pub fn signed(&self, keys: &AwsCredentials, call: Call) -> Call {
        self.signed_at(keys, call, Nonce::new(rand::random()), OffsetDateTime::now_utc())
    }

    pub fn signed_at(&self, keys: &AwsCredentials, call: Call, nonce: Nonce, at: OffsetDateTime) -> Call {
        call.sign(&self.signer, keys, &nonce, at)
    }

    pub async fn send(&self, call: &Call) -> Answer {
        let request = self
            .http
            .request(call.method.clone(), format!("{}{}", self.endpoint, call.path_and_query()))
            .headers(call.headers.clone())
            .body(call.body.clone());
        let response = request.send().await.expect("the operator answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer").to_vec();
        Answer { status, headers, body }
    }

    /// Sends what it is given; it must be refused, with a body that says so and no word of what was sent.
    pub async fn refused(&self, what: &str, call: &Call) -> (StatusCode, String) {
        self.send(call).await.refusal(what, call)
    }

    /// From now on, these rules decide.
    pub async fn rules(&self, rules: Vec<AccessRule>) {
        let access = OperatorAccess::Rules { rules };
        write(&*self.state, ACCESS_KEY, &access, &Expect::Anything).await.expect("put works");
    }

    pub async fn apis(&self) -> usize {
        self.state.list("apis/").await.expect("it works").len()
    }

    pub async fn close(mut self) {
        drop(self.stop.take());
        self.operator.await.expect("it ends well");
    }
}

/// What `cluster up` leaves behind.
async fn found(state: &dyn State, endpoint: &str) {
    let record = ClusterRecord {
        name: "test".to_owned(),
        provider: "aws".to_owned(),
        api_endpoint: "https://localhost:1".to_owned(),
        operator_endpoint: endpoint.to_owned(),
        host_names: vec!["localhost".to_owned()],
        created_at: OffsetDateTime::now_utc(),
    };
    write(state, CLUSTER_KEY, &record, &Expect::Anything).await.expect("put works");
    let key = ApiKeyRecord { value: "the key".to_owned(), made_at: None };
    write(state, DEFAULT_API_KEY_KEY, &key, &Expect::Anything).await.expect("put works");
    // A second operator of the same cluster finds what there is.
    match write(state, ACCESS_KEY, &OperatorAccess::Account, &Expect::Absent).await {
        Err(error) if !error.is_conflict() => panic!("{error}"),
        _ => {}
    }
}

/// A request to the operator, to be signed and then perhaps changed.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Call {
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), query: None, headers: HeaderMap::new(), body: Vec::new() }
    }

    pub fn json(method: Method, path: &str, body: &str) -> Self {
        let call = Self { body: body.as_bytes().to_vec(), ..Self::new(method, path) };
        call.with(header::CONTENT_TYPE, "application/json")
    }

    /// A deploy that is refused by the use case, not by the door: no such bundle.
    pub fn deploy() -> Self {
        let api = r#"{"bundle":"0000000000000000000000000000000000000000000000000000000000000000","apis":[]}"#;
        Self::json(Method::POST, "/v1/deploy", api)
    }

    pub fn info() -> Self {
        Self::new(Method::GET, "/v1/info")
    }

    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    pub fn and(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    pub fn content_header() -> HeaderName {
        HeaderName::from_static(CONTENT_SHA256)
    }

    pub fn authorization(&self) -> String {
        self.headers[header::AUTHORIZATION].to_str().expect("text").to_owned()
    }

    fn path_and_query(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    pub fn sign(self, signer: &Signer, keys: &AwsCredentials, nonce: &Nonce, at: OffsetDateTime) -> Self {
        let content_sha256 = sha256(&self.body);
        let request = OperatorRequest {
            method: self.method.as_str(),
            path: &self.path,
            query: self.query.as_deref(),
            content_type: self.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().expect("text")),
            content_sha256: &content_sha256,
        };
        let signed = signer.sign(keys, &request, nonce, at).expect("it signs");
        self.with(header::AUTHORIZATION, signed.authorization.expose()).with(Self::content_header(), &content_sha256)
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Status and kind.
    pub fn refusal(&self, what: &str, call: &Call) -> (StatusCode, String) {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{what}: {} {text}", self.status);
        let body: ErrorBody =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
        assert!(!body.message.is_empty() && !body.request_id.is_empty(), "{what}: {body:?}");
        if self.status == StatusCode::UNAUTHORIZED {
            assert_eq!(self.headers[header::WWW_AUTHENTICATE], "Cortex-V1", "{what}");
        }
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status) {
            let wait: u32 = self.headers[header::RETRY_AFTER].to_str().expect("text").parse().expect("seconds");
            assert!(wait >= 1, "{what}");
        }
        if let Some(sent) = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
            let credential = sent.split(' ').next_back().unwrap_or_default();
            assert!(credential.len() < 20 || !text.contains(credential), "{what}: the credential is in the answer");
        }
        (self.status, body.kind)
    }
}
