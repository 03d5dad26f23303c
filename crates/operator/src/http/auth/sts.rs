//! AWS STS over HTTPS.
//!
//! One request, one answer: no redirects, no proxy from the environment, certificates of the system's public roots, HTTP/1.1
//! (so that the signed `Host` is what is sent, whatever address is dialled), and limits on time, size and how many at
//! once. Needs a process-wide rustls provider, as the `cortex` binary installs it.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
    iter,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use identity::sts::{MAX_REPLY_BYTES, STS_BODY, StsReply, StsRequest, StsTransport, TransportError};
use reqwest::{Client, Response, Url, header};
use tokio::sync::Semaphore;

/// Until the connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// From the wait for a slot to the last byte.
const TOTAL: Duration = Duration::from_secs(5);
/// Requests at once.
const SLOTS: usize = 64;

/// Another address for STS than its public one: a VPC endpoint, or a stand-in on this machine. Comes from the
/// operator's own configuration and from nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StsEndpoint(Url);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be the address of AWS STS: write https://HOST[:PORT], or http://127.0.0.1:PORT for a stand-in")]
pub struct InvalidStsEndpoint(String);

#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client for AWS STS could not be set up")]
pub struct StsSetupError(#[from] reqwest::Error);

impl StsEndpoint {
    /// Over plain HTTP only to an address of the loopback interface: not to a name, which may mean anything.
    pub fn parse(text: &str) -> Result<Self, InvalidStsEndpoint> {
        let refuse = || InvalidStsEndpoint(text.to_owned());
        let url = Url::parse(text).map_err(|_| refuse())?;
        let host = url.host_str().ok_or_else(refuse)?;
        let loopback = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if scheme && bare && anonymous { Ok(Self(url)) } else { Err(refuse()) }
    }
}

/// The real STS.
pub struct HttpsSts {
    client: Client,
    endpoint: Option<StsEndpoint>,
    slots: Semaphore,
    /// It answered when it was asked last, so that an end without an answer is one of the connection.
    answers: AtomicBool,
}

impl HttpsSts {
    pub fn new(endpoint: Option<StsEndpoint>) -> Result<Self, StsSetupError> {
        let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.0.scheme() == "http");
        let client = Client::builder()
            .https_only(!plain)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .user_agent(concat!("cortex-operator/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, endpoint, slots: Semaphore::new(SLOTS), answers: AtomicBool::new(false) })
    }

    async fn exchange(&self, request: &StsRequest) -> Result<StsReply, TransportError> {
        let _slot = self.slots.acquire().await.map_err(|_| TransportError::TooSlow)?;
        let url = match &self.endpoint {
            Some(StsEndpoint(url)) => url.clone(),
            None => Url::parse(&format!("https://{}/", request.host())).map_err(|error| unreachable(&error))?,
        };
        let mut headers = header::HeaderMap::new();
        for (name, value) in request.headers() {
            let invalid = || TransportError::Unreachable(name.to_owned());
            let name = header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            let mut value = header::HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let send = || self.client.post(url.clone()).headers(headers.clone()).body(STS_BODY).send();
        let response = match send().await {
            // STS ended the connection, idle until then, as the request was on its way. It asks only who is calling.
            Err(error) if hung_up(&error) && self.answers.swap(false, Ordering::Relaxed) => send().await,
            result => result,
        };
        self.answers.store(response.is_ok(), Ordering::Relaxed);
        read(response.map_err(|error| failure(&error))?).await
    }
}

#[async_trait]
impl StsTransport for HttpsSts {
    async fn send(&self, request: &StsRequest) -> Result<StsReply, TransportError> {
        tokio::time::timeout(TOTAL, self.exchange(request)).await.unwrap_or(Err(TransportError::TooSlow))
    }
}

/// Reads to the end, or to the limit.
async fn read(mut response: Response) -> Result<StsReply, TransportError> {
    let status = response.status().as_u16();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(StsReply { status, content_type, body })
}

fn failure(error: &reqwest::Error) -> TransportError {
    if error.is_timeout() { TransportError::TooSlow } else { unreachable(error) }
}

/// The connection stood, and ended without an answer.
fn hung_up(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_timeout() {
        return false;
    }
    iter::successors(error.source(), |&cause| cause.source()).any(|cause| {
        let ended = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        let broken = |error: &io::Error| {
            // The third is what rustls makes of an end without a `close_notify`.
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
        };
        ended || cause.downcast_ref().is_some_and(broken)
    })
}

/// The innermost cause: the layers above it only say that something failed.
fn unreachable(error: &dyn StdError) -> TransportError {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    TransportError::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_32_another_address_is_https_or_on_this_machine() {
        for good in [
            "https://sts.us-east-1.amazonaws.com",
            "https://vpce-0123.sts.us-east-1.vpce.amazonaws.com/",
            "https://10.0.0.1:8443",
            "http://127.0.0.1:5000",
            "http://127.1.2.3:1/",
            "http://[::1]:5000",
        ] {
            assert!(StsEndpoint::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "sts.amazonaws.com",
            "http://sts.amazonaws.com",
            "http://10.0.0.1",
            "http://localhost:5000",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1@evil.example",
            "http://[::ffff:10.0.0.1]",
            "ftp://127.0.0.1",
            "https://user@host",
            "https://user:password@host",
            "https://host/path",
            "https://host/?Action=x",
            "https://host/#x",
            "file:///etc/passwd",
            "http://0.0.0.0:5000",
            "unix:/tmp/x",
        ] {
            assert_eq!(StsEndpoint::parse(bad), Err(InvalidStsEndpoint(bad.to_owned())));
        }
    }
}
