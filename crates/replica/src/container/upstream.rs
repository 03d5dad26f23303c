//! Requests on their way to the user's server, and its responses on their way back, as they come.
//!
//! Connections are kept for the next request, but for a moment only: a server closes idle ones when it likes, and whether
//! a request that meets the end of its connection was seen by anybody cannot be known.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, TE, UPGRADE},
};
use hyper::{
    body::Incoming as Reply,
    client::conn::http1::{self, SendRequest},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep},
};

use transport::{Incoming, Tunnels, remove_hop_by_hop};

use crate::predictor::PredictError;

/// Shorter than any server's patience with idle connections.
const IDLE: Duration = Duration::from_secs(1);
/// How long a server that is up may refuse connections, and the pause between two attempts.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Where the server is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Up(Arc<Connections>),
    Starting,
    /// There will be none.
    Gone,
}

/// Connections to one life of the server.
#[derive(Debug)]
pub(super) struct Connections {
    port: u16,
    idle: Mutex<Vec<(SendRequest<Incoming>, Instant)>>,
}

#[derive(Debug)]
pub(crate) struct Upstream(watch::Receiver<Place>);

/// A connection whose response is being read. It is kept if the response was read to its end.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Option<SendRequest<Incoming>>,
    home: Arc<Connections>,
}

/// Both ends of a connection that becomes something else than HTTP.
pub(crate) type Tunnel = (Tunnels, OnUpgrade);

impl Connections {
    pub(super) fn to(port: u16) -> Arc<Self> {
        let connections = Arc::new(Self { port, idle: Mutex::default() });
        tokio::spawn(close_idle(Arc::downgrade(&connections)));
        connections
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(SendRequest<Incoming>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last is the one most likely to be open.
    fn kept(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.idle();
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > IDLE {
                idle.clear();
            } else if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn open(&self) -> std::io::Result<SendRequest<Incoming>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(std::io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!("connection to the server: {error}");
            }
        });
        Ok(sender)
    }
}

/// Also when no request comes any more: a server may have only one connection at a time to give.
async fn close_idle(connections: Weak<Connections>) {
    loop {
        sleep(IDLE).await;
        let Some(connections) = connections.upgrade() else { return };
        connections.idle().retain(|(_, since)| since.elapsed() < IDLE);
    }
}

impl Lease {
    /// The response has been read to its end.
    pub(crate) fn done(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.home.idle().push((sender, Instant::now()));
        }
    }
}

impl Upstream {
    pub(super) fn new(place: watch::Receiver<Place>) -> Self {
        Self(place)
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.0.borrow(), Place::Up(_))
    }

    /// Waits for a server.
    async fn server(&self) -> Option<Arc<Connections>> {
        let mut place = self.0.clone();
        let settled = place.wait_for(|place| !matches!(place, Place::Starting)).await.ok()?;
        match &*settled {
            Place::Up(connections) => Some(Arc::clone(connections)),
            Place::Starting | Place::Gone => None,
        }
    }

    /// The response's head, with its body to come. Dropping the future ends the request at the server, too.
    pub(crate) async fn send(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<(Response<Reply>, Lease, Option<Tunnel>), PredictError> {
        let ours = prepare(&mut request);
        let begun = Instant::now();
        loop {
            let home = self.server().await.ok_or(PredictError::Died)?;
            let mut sender = match home.kept() {
                Some(sender) => sender,
                None => match home.open().await {
                    Ok(sender) => sender,
                    // It ends, or has too much to do; nothing was sent.
                    Err(_) if begun.elapsed() < PATIENCE || !self.is_up() => {
                        sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => {
                        tracing::error!("the server takes no connections: {error}");
                        return Err(PredictError::Died);
                    }
                },
            };
            match sender.try_send_request(request).await {
                Ok(mut response) => {
                    let tunnel = answered(&mut response, ours);
                    return Ok((response, Lease { sender: Some(sender), home }, tunnel));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => {
                        tracing::error!("the server did not answer: {}", error.error());
                        return Err(PredictError::Died);
                    }
                },
            }
        }
    }
}

/// Leaves what is for the next hop; takes our end of the connection if it is to become something else.
fn prepare(request: &mut Request<Incoming>) -> Option<Tunnels> {
    *request.version_mut() = Version::HTTP_11;
    let upgrade = upgrade(request.headers());
    let trailers = request.headers().get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let ours = request.extensions_mut().remove::<Tunnels>().filter(|_| upgrade.is_some());
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    } else if trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, TRAILERS);
    }
    ours
}

fn answered(response: &mut Response<Reply>, ours: Option<Tunnels>) -> Option<Tunnel> {
    *response.version_mut() = Version::HTTP_11;
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = upgrade(response.headers());
    let tunnel = ours.filter(|_| switches).map(|ours| (ours, hyper::upgrade::on(&mut *response)));
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    if let Some(protocol) = protocol.filter(|_| tunnel.is_some()) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    tunnel
}

/// The protocol that is asked for or granted in place of HTTP.
fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut options = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asked = options.any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_nobody_uses_is_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let home = Connections::to(listener.local_addr().unwrap().port());
        let sender = home.open().await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        Lease { sender: Some(sender), home: Arc::clone(&home) }.done();
        let end = tokio::time::timeout(20 * IDLE, server.read(&mut [0])).await;
        assert_eq!(end.expect("it is closed").unwrap(), 0);
        assert!(home.kept().is_none());
    }
}
