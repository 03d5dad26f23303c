//! A server and those who ask it.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use rustls_pki_types::ServerName;
use time::OffsetDateTime;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use transport::{Authority, Incoming, Limits, Listener, Peer, Server, ServerTls, client_config};

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const SHORT: Duration = Duration::from_millis(150);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// A server that answers `ok`, except at `/wait`, where it waits for a permit first.
pub struct Running {
    pub address: SocketAddr,
    pub ca: String,
    pub tls: ServerTls,
    /// One per request that has arrived at `/wait`.
    pub waiting: Arc<Semaphore>,
    /// One per such request that may go on.
    pub release: Arc<Semaphore>,
    pub stop: oneshot::Sender<()>,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn start(limits: Limits) -> Self {
        let authority = Arc::new(Authority::generate("test", OffsetDateTime::now_utc()).unwrap());
        let ca = authority.certificate_pem().to_owned();
        let tls = ServerTls::new(authority, &["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (waiting, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (stop, stopped) = oneshot::channel();
        let handler = {
            let (waiting, release) = (Arc::clone(&waiting), Arc::clone(&release));
            move |request: Request<Incoming>, _: Peer| {
                let (waiting, release) = (Arc::clone(&waiting), Arc::clone(&release));
                async move {
                    if request.uri().path() == "/wait" {
                        waiting.add_permits(1);
                        release.acquire().await.unwrap().forget();
                    }
                    Response::new(Full::new(Bytes::from("ok")))
                }
            }
        };
        let server = Server { listener, tls: Some(tls.clone()), limits };
        let task = tokio::spawn(server.run(handler, async { drop(stopped.await) }));
        Self { address, ca, tls, waiting, release, stop, task }
    }

    pub fn client(&self) -> reqwest::Client {
        client(&self.ca)
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// A bare TLS connection.
    pub async fn tls(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.handshake(TcpStream::connect(self.address).await.unwrap(), alpn).await
    }

    pub async fn handshake(&self, stream: TcpStream, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut config = client_config(&self.ca).unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

pub fn client(ca: &str) -> reqwest::Client {
    let mut config = client_config(ca).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}

pub async fn get(client: &reqwest::Client, url: &str) -> reqwest::Result<String> {
    client.get(url).send().await?.text().await
}

/// Until the other side hangs up, orderly or not.
pub async fn ended(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut rest = Vec::new();
    // An end without close_notify is an error to the TLS library, and an end all the same.
    let _ = soon("the end of the connection", stream.read_to_end(&mut rest)).await;
}
