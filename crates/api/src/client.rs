//! A typed client of the operator.

mod api_keys;
mod cors;
mod session;
mod sts;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use identity::Secret;
use reqwest::{Body, Request, Response};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncBufReadExt as _;

use crate::{
    endpoint::{Access, Endpoint},
    wire::{
        ApiDetail, ApiKeyReply, ApiList, AuditQuery, AuditReply, DeployReply, DeployRequest, ErrorBody, Info, LogLine,
        LogQuery,
    },
};
use session::Session;

pub use sts::{AwsKeys, StsProof};

/// A request as it goes over the wire: what a proof of identity may be bound to.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub method: &'a Method,
    /// Percent-encoded.
    pub path: &'a str,
    /// Without the question mark; `None` if there is none.
    pub query: Option<&'a str>,
    pub content_type: Option<&'a str>,
    /// Lower-case hex SHA-256 of the body, the empty one included.
    pub content_sha256: &'a str,
}

/// Proves who is calling: returns the headers to add. Asked once for every request that is not public.
#[async_trait]
pub trait Authenticate: Send + Sync {
    async fn headers(&self, request: &Outgoing<'_>) -> Result<HeaderMap, String>;

    /// Whether each proof costs the operator a question to somebody else, so that who reads often should take a session.
    fn is_costly(&self) -> bool {
        false
    }
}

/// The operator of one cluster, and who is calling it.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    credentials: Arc<dyn Authenticate>,
    session: Arc<Session>,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The operator refused, in its own words.
    #[error("{}", body.message)]
    Refused { status: StatusCode, body: ErrorBody },
    /// It could not be asked, or its answer was lost.
    #[error("the operator at {endpoint} cannot be reached: {reason}")]
    Unreachable { endpoint: String, reason: String },
    /// It is not an operator, or one of another version.
    #[error("the operator at {endpoint} gave an answer that makes no sense: {reason}")]
    Nonsense { endpoint: String, reason: String },
    #[error("the request could not be signed: {0}")]
    Credentials(String),
    #[error("the connection could not be set up: {0}")]
    Setup(String),
}

/// What a request carries.
struct Content {
    body: Option<Body>,
    content_type: Option<&'static str>,
    length: Option<u64>,
    sha256: String,
}

impl Content {
    fn none() -> Self {
        Self { body: None, content_type: None, length: None, sha256: hex::encode(Sha256::digest([])) }
    }

    fn json(value: &impl Serialize) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(value).map_err(|error| ClientError::Setup(error.to_string()))?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(Self { body: Some(bytes.into()), content_type: Some("application/json"), length: None, sha256 })
    }
}

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the operator may be silent in mid-answer. A followed log sends an empty line at least every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

impl Client {
    /// `endpoint` is `https://host:port`; its certificate must come from the authority in `ca_pem`, and no other.
    pub fn new(endpoint: &str, ca_pem: &str, credentials: Arc<dyn Authenticate>) -> Result<Self, ClientError> {
        Self::through(endpoint, ca_pem, credentials, None)
    }

    /// The same, by way of a proxy that takes `CONNECT` (`http://address:port`).
    pub fn through(
        endpoint: &str,
        ca_pem: &str,
        credentials: Arc<dyn Authenticate>,
        proxy: Option<&str>,
    ) -> Result<Self, ClientError> {
        let tls = transport::client_config(ca_pem).map_err(|error| ClientError::Setup(chain(&error)))?;
        let mut builder = reqwest::Client::builder().no_proxy();
        if let Some(proxy) = proxy {
            builder = builder.proxy(reqwest::Proxy::https(proxy).map_err(|error| ClientError::Setup(chain(&error)))?);
        }
        let http = builder
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cortex/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Setup(chain(&error)))?;
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { http, endpoint, credentials, session: Arc::default() })
    }

    pub async fn health(&self) -> Result<(), ClientError> {
        self.send(Endpoint::Health, &[], "", Content::none()).await.map(drop)
    }

    pub async fn info(&self) -> Result<Info, ClientError> {
        self.json(Endpoint::Info, &[], Content::none()).await
    }

    pub async fn has_bundle(&self, sha256: &str) -> Result<bool, ClientError> {
        match self.send(Endpoint::HasBundle, &[sha256], "", Content::none()).await {
            Ok(_) => Ok(true),
            Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Uploads the bundle of that SHA-256 and length from a stream.
    pub async fn put_bundle<S, E>(&self, sha256: &str, length: u64, content: S) -> Result<(), ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let body = Some(Body::wrap_stream(content));
        let content = Content { body, content_type: None, length: Some(length), sha256: sha256.to_owned() };
        self.send(Endpoint::PutBundle, &[sha256], "", content).await.map(drop)
    }

    pub async fn deploy(&self, request: &DeployRequest) -> Result<DeployReply, ClientError> {
        self.json(Endpoint::Deploy, &[], Content::json(request)?).await
    }

    pub async fn apis(&self) -> Result<ApiList, ClientError> {
        self.json(Endpoint::ListApis, &[], Content::none()).await
    }

    pub async fn api(&self, name: &str) -> Result<ApiDetail, ClientError> {
        self.json(Endpoint::GetApi, &[name], Content::none()).await
    }

    pub async fn delete_api(&self, name: &str) -> Result<(), ClientError> {
        self.send(Endpoint::DeleteApi, &[name], "", Content::none()).await.map(drop)
    }

    pub async fn api_key(&self) -> Result<ApiKeyReply, ClientError> {
        self.json(Endpoint::GetApiKey, &[], Content::none()).await
    }

    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditReply, ClientError> {
        let since = query.since.format(&Rfc3339).map_err(|error| ClientError::Setup(error.to_string()))?;
        let since = percent_encoding::utf8_percent_encode(&since, percent_encoding::NON_ALPHANUMERIC);
        let text = format!("since={since}&limit={}", query.limit);
        self.document(self.send(Endpoint::Audit, &[], &text, Content::none()).await?).await
    }

    /// In the text format of Prometheus.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let response = self.send(Endpoint::Metrics, &[], "", Content::none()).await?;
        response.text().await.map_err(|error| self.lost(&error))
    }

    pub async fn logs(
        &self,
        name: &str,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = Result<LogLine, ClientError>> + use<>, ClientError> {
        let text = format!("follow={}&tail={}", query.follow, query.tail);
        let response = self.send(Endpoint::Logs, &[name], &text, Content::none()).await?;
        let endpoint = self.endpoint.clone();
        let bytes = response.bytes_stream().map_err(std::io::Error::other);
        let lines = tokio_util::io::StreamReader::new(bytes).lines();
        Ok(futures_util::stream::unfold((lines, endpoint), |(mut lines, endpoint)| async move {
            loop {
                let item = match lines.next_line().await {
                    // Empty lines only show that the connection is alive.
                    Ok(Some(line)) if line.is_empty() => continue,
                    Ok(Some(line)) => serde_json::from_str(&line).map_err(|error| ClientError::Nonsense {
                        endpoint: endpoint.clone(),
                        reason: error.to_string(),
                    }),
                    Ok(None) => return None,
                    Err(error) => Err(ClientError::Unreachable { endpoint: endpoint.clone(), reason: chain(&error) }),
                };
                return Some((item, (lines, endpoint)));
            }
        })
        .boxed())
    }

    async fn json<T: DeserializeOwned>(
        &self,
        endpoint: Endpoint,
        parameters: &[&str],
        content: Content,
    ) -> Result<T, ClientError> {
        self.document(self.send(endpoint, parameters, "", content).await?).await
    }

    async fn document<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = response.bytes().await.map_err(|error| self.lost(&error))?;
        serde_json::from_slice(&body).map_err(|error| self.nonsense(error.to_string()))
    }

    /// A caller who looks often does so by a session, if a proof is costly; whoever does not get one, or whose session
    /// the operator does not take, proves who it is each time.
    async fn send(
        &self,
        endpoint: Endpoint,
        parameters: &[&str],
        query: &str,
        content: Content,
    ) -> Result<Response, ClientError> {
        let looks = endpoint.access() == Access::Read && !endpoint.changes();
        if looks
            && self.credentials.is_costly()
            && let Some(token) = self.session.token(self).await
        {
            match self.execute(endpoint, parameters, query, Content::none(), Some(&token)).await {
                Err(ClientError::Refused { status: StatusCode::UNAUTHORIZED, .. }) => self.session.forget(&token),
                outcome => return outcome,
            }
        }
        self.execute(endpoint, parameters, query, content, None).await
    }

    /// The one way out. A proof of identity is made last, over what the HTTP client is about to send.
    async fn execute(
        &self,
        endpoint: Endpoint,
        parameters: &[&str],
        query: &str,
        content: Content,
        session: Option<&Secret>,
    ) -> Result<Response, ClientError> {
        let mut url = format!("{}{}", self.endpoint, endpoint.path_with(parameters));
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let mut request = self.http.request(endpoint.method(), url).build().map_err(|error| self.lost(&error))?;
        let headers = request.headers_mut();
        if let Some(content_type) = content.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(length) = content.length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        match session {
            Some(token) => {
                headers.insert(header::AUTHORIZATION, session::header(token)?);
            }
            None if endpoint.access() != Access::Public => {
                let proof = self.prove(&request, &content).await?;
                request.headers_mut().extend(proof);
            }
            None => {}
        }
        *request.body_mut() = content.body;
        let response = self.http.execute(request).await.map_err(|error| self.lost(&error))?;
        self.accepted(response).await
    }

    async fn prove(&self, request: &Request, content: &Content) -> Result<HeaderMap, ClientError> {
        let outgoing = Outgoing {
            method: request.method(),
            path: request.url().path(),
            query: request.url().query(),
            content_type: content.content_type,
            content_sha256: &content.sha256,
        };
        self.credentials.headers(&outgoing).await.map_err(ClientError::Credentials)
    }

    async fn accepted(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|error| self.lost(&error))?;
        match serde_json::from_slice(&body) {
            Ok(body) => Err(ClientError::Refused { status, body }),
            Err(_) => Err(self.nonsense(format!("HTTP {status}"))),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { endpoint: self.endpoint.clone(), reason: root(error) }
    }

    fn nonsense(&self, reason: String) -> ClientError {
        ClientError::Nonsense { endpoint: self.endpoint.clone(), reason }
    }
}

/// The innermost cause: the layers above it only say that something failed.
fn root(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
