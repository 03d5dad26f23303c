//! A client of deployed APIs as anybody could write one: HTTPS, the cluster's authority and no other, the API key.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longer than any request in these tests takes, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The HTTP version that the client insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A connection for every request in flight, kept for the next one.
    Http1,
    /// All requests on one connection.
    Http2,
}

impl Version {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

#[derive(Clone)]
pub struct Https {
    http: reqwest::Client,
    pub endpoint: String,
    pub key: String,
}

/// An HTTP response, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub version: http::Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Https {
    pub fn new(endpoint: &str, ca_pem: &str, key: &str, version: Version) -> Self {
        Self { http: raw(ca_pem, version), endpoint: endpoint.to_owned(), key: key.to_owned() }
    }

    /// At that address (`127.0.0.1:443`, say), whatever the DNS has for the name; a new connection for every request.
    pub fn at(name: &str, address: SocketAddr, ca_pem: &str, key: &str, version: Version) -> Self {
        let builder = builder(ca_pem, version).resolve(name, address).pool_max_idle_per_host(0);
        let http = builder.build().unwrap_or_else(|error| panic!("a client: {error}"));
        Self { http, endpoint: format!("https://{name}:{}", address.port()), key: key.to_owned() }
    }

    /// POSTs JSON to an API. `Err` means that no response came.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        let request = self
            .http
            .post(format!("{}{path}", self.endpoint))
            .bearer_auth(&self.key)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        Answer::of(request).await
    }

    /// POSTs JSON to an API, which must answer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// The JSON of a successful answer.
    pub async fn predict(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "POST {path}: {answer:?}");
        answer.json()
    }
}

impl Answer {
    /// Sends a request and takes all of the response.
    pub async fn of(request: reqwest::RequestBuilder) -> Result<Self, String> {
        let response = request.send().await.map_err(|error| chain(&error))?;
        let (status, version, headers) = (response.status().as_u16(), response.version(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| chain(&error))?;
        Ok(Self { status, version, headers, body })
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }
}

/// A TLS connection to an endpoint, for what no HTTP client would send.
pub async fn bare(endpoint: &str, ca_pem: &str, version: Version) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tls = transport::client_config(ca_pem).unwrap_or_else(|error| panic!("the authority: {error}"));
    tls.alpn_protocols = vec![version.alpn().to_vec()];
    let stream = TcpStream::connect(endpoint.trim_start_matches("https://")).await?;
    let name = ServerName::try_from("localhost").unwrap_or_else(|error| panic!("localhost: {error}"));
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await
}

/// An HTTP client that trusts this authority only and proves nothing by itself.
pub fn raw(ca_pem: &str, version: Version) -> reqwest::Client {
    builder(ca_pem, version).build().unwrap_or_else(|error| panic!("a client: {error}"))
}

fn builder(ca_pem: &str, version: Version) -> reqwest::ClientBuilder {
    // The second test of a process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut tls = transport::client_config(ca_pem).unwrap_or_else(|error| panic!("the authority: {error}"));
    // The server has the choice of one, and a client that is not given it fails.
    tls.alpn_protocols = vec![version.alpn().to_vec()];
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
