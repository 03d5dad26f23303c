//! A typed client of the operator.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Body, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use tokio::io::AsyncBufReadExt as _;

use crate::{
    endpoint::Endpoint,
    wire::{
        ApiDetail, ApiKeyReply, ApiList, DeployReply, DeployRequest, ErrorBody, GatewayHealth, Info, LogLine, LogQuery,
    },
};

/// Proves who is calling. Gets what it may have to bind the proof to, returns the headers to add.
pub trait Authenticate: Send + Sync {
    fn headers(&self, method: &Method, path_and_query: &str) -> Result<HeaderMap, String>;
}

/// The operator of one cluster, and who is calling it.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    credentials: Arc<dyn Authenticate>,
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

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the operator may be silent in mid-answer. A followed log sends an empty line at least every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

impl Client {
    /// `endpoint` is `https://host:port`; its certificate must come from the authority in `ca_pem`, and no other.
    pub fn new(endpoint: &str, ca_pem: &str, credentials: Arc<dyn Authenticate>) -> Result<Self, ClientError> {
        let tls = transport::client_config(ca_pem).map_err(|error| ClientError::Setup(chain(&error)))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cortex/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Setup(chain(&error)))?;
        Ok(Self { http, endpoint: endpoint.trim_end_matches('/').to_owned(), credentials })
    }

    pub async fn health(&self) -> Result<(), ClientError> {
        self.send(self.request(Endpoint::Health, &[], "")?).await.map(drop)
    }

    /// How a gateway of the same cluster is, asked at `api_endpoint`; anybody may ask that, so no credential is sent.
    pub async fn gateway_health(&self, api_endpoint: &str) -> Result<GatewayHealth, ClientError> {
        let url = format!("{}{}", api_endpoint.trim_end_matches('/'), Endpoint::Health.path());
        self.json(self.http.get(url)).await
    }

    pub async fn info(&self) -> Result<Info, ClientError> {
        self.json(self.request(Endpoint::Info, &[], "")?).await
    }

    pub async fn has_bundle(&self, sha256: &str) -> Result<bool, ClientError> {
        match self.send(self.request(Endpoint::HasBundle, &[sha256], "")?).await {
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
        let request = self
            .request(Endpoint::PutBundle, &[sha256], "")?
            .header(http::header::CONTENT_LENGTH, length)
            .body(Body::wrap_stream(content));
        self.send(request).await.map(drop)
    }

    pub async fn deploy(&self, request: &DeployRequest) -> Result<DeployReply, ClientError> {
        self.json(self.request(Endpoint::Deploy, &[], "")?.json(request)).await
    }

    pub async fn apis(&self) -> Result<ApiList, ClientError> {
        self.json(self.request(Endpoint::ListApis, &[], "")?).await
    }

    pub async fn api(&self, name: &str) -> Result<ApiDetail, ClientError> {
        self.json(self.request(Endpoint::GetApi, &[name], "")?).await
    }

    pub async fn delete_api(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Endpoint::DeleteApi, &[name], "")?).await.map(drop)
    }

    pub async fn api_key(&self) -> Result<ApiKeyReply, ClientError> {
        self.json(self.request(Endpoint::GetApiKey, &[], "")?).await
    }

    pub async fn logs(
        &self,
        name: &str,
        query: &LogQuery,
    ) -> Result<impl Stream<Item = Result<LogLine, ClientError>> + use<>, ClientError> {
        let text = format!("follow={}&tail={}", query.follow, query.tail);
        let response = self.send(self.request(Endpoint::Logs, &[name], &text)?).await?;
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
                    Err(error) => {
                        Err(ClientError::Unreachable { endpoint: endpoint.clone(), reason: chain(&error) })
                    }
                };
                return Some((item, (lines, endpoint)));
            }
        })
        .boxed())
    }

    fn request(&self, endpoint: Endpoint, parameters: &[&str], query: &str) -> Result<RequestBuilder, ClientError> {
        let mut path = endpoint.path_with(parameters);
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let headers = self.credentials.headers(&endpoint.method(), &path).map_err(ClientError::Credentials)?;
        Ok(self.http.request(endpoint.method(), format!("{}{path}", self.endpoint)).headers(headers))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let body = self.send(request).await?.bytes().await.map_err(|error| self.lost(&error))?;
        serde_json::from_slice(&body).map_err(|error| self.nonsense(error.to_string()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|error| self.lost(&error))?;
        match serde_json::from_slice(&body) {
            Ok(body) => Err(ClientError::Refused { status, body }),
            // The answer to HEAD has no body.
            Err(_) if body.is_empty() => Err(ClientError::Refused { status, body: bodiless(status) }),
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

fn bodiless(status: StatusCode) -> ErrorBody {
    ErrorBody { kind: "refused".to_owned(), message: format!("HTTP {status}"), request_id: String::new() }
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
