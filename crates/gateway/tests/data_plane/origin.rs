//! Replicas that do what a test says.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::routes::ReplicaRoute;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt as _,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use transport::{Address, Listener, Stream};

use crate::ground::soon;

pub type Body = BoxBody<Bytes, std::io::Error>;

pub fn text(text: impl Into<Bytes>) -> Body {
    Full::from(text.into()).map_err(|never| match never {}).boxed()
}

/// What happened at a replica so far.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: AtomicUsize,
    pub connections: AtomicUsize,
    open: watch::Sender<usize>,
}

impl Seen {
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until the gateway has closed its connections.
    pub async fn closed(&self) {
        let mut open = self.open.subscribe();
        soon("the end of the last connection", open.wait_for(|open| *open == 0)).await.unwrap();
    }
}

/// A replica. It dies when it is dropped.
pub struct Origin {
    pub id: String,
    address: Address,
    pub seen: Arc<Seen>,
    draining: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Origin {
    /// Answers every request with what `handler` makes of it.
    pub async fn new<F, Fut>(id: &str, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::at(loopback(), id, handler).await
    }

    /// The same at that address.
    pub async fn at<F, Fut>(address: Address, id: &str, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let draining = watch::Sender::new(false);
        let is_draining = draining.subscribe();
        let serve = move |stream: Stream, seen: Arc<Seen>| {
            let (handler, is_draining) = (handler.clone(), is_draining.clone());
            async move {
                let service = service_fn(move |request| {
                    seen.requests.fetch_add(1, Ordering::SeqCst);
                    let (reply, is_draining) = (handler(request), is_draining.clone());
                    async move {
                        let mut response = reply.await;
                        if *is_draining.borrow() {
                            response.headers_mut().insert("connection", HeaderValue::from_static("close"));
                        }
                        Ok::<_, Infallible>(response)
                    }
                });
                // How a connection ends is for the test to judge.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        };
        Self::spawn(id, address, draining, serve).await
    }

    /// Does with every connection whatever `script` does.
    pub async fn raw<F, Fut>(id: &str, script: F) -> Self
    where
        F: Fn(Stream) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let serve = move |stream, seen: Arc<Seen>| {
            seen.requests.fetch_add(1, Ordering::SeqCst);
            script(stream)
        };
        Self::spawn(id, loopback(), watch::Sender::new(false), serve).await
    }

    /// Answers with its own id.
    pub async fn named(id: &str) -> Self {
        let name = id.to_owned();
        Self::new(id, move |request| {
            let name = name.clone();
            async move {
                request.into_body().collect().await.ok();
                Response::new(text(name))
            }
        })
        .await
    }

    /// An address where nobody listens.
    pub async fn absent(id: &str) -> Self {
        let mut origin = Self::named(id).await;
        origin.kill().await;
        origin
    }

    async fn spawn<F, Fut>(id: &str, address: Address, draining: watch::Sender<bool>, serve: F) -> Self
    where
        F: Fn(Stream, Arc<Seen>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let seen = Arc::new(Seen::default());
        let listener = Listener::bind(&address).await.unwrap();
        let address = listener.tcp_address().map_or(address, |bound| Address::Tcp(bound.to_string()));
        let task = tokio::spawn(accept(listener, Arc::clone(&seen), draining.subscribe(), serve));
        Self { id: id.to_owned(), address, seen, draining, task }
    }

    pub fn route(&self) -> ReplicaRoute {
        ReplicaRoute { id: self.id.clone(), version: "v1".to_owned(), address: self.address.clone() }
    }

    /// Dies on the spot, with all its connections.
    pub async fn kill(&mut self) {
        self.task.abort();
        // It was aborted.
        let _ = (&mut self.task).await;
    }

    /// Ends the way replicas do: answers say `connection: close`, new connections are still taken, and only when there
    /// has been none for a while is it over.
    pub async fn drain(mut self) {
        self.draining.send_replace(true);
        soon("the end of draining", &mut self.task).await.unwrap();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn loopback() -> Address {
    "tcp://127.0.0.1:0".parse().unwrap()
}

/// As long as a draining replica waits for one more connection.
const GRACE: Duration = Duration::from_millis(300);

async fn accept<F, Fut>(listener: Listener, seen: Arc<Seen>, mut draining: watch::Receiver<bool>, serve: F)
where
    F: Fn(Stream, Arc<Seen>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let quiet = async {
            // The sender lives as long as the origin.
            let _ = draining.wait_for(|draining| *draining).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let open = Open::new(&seen);
                let connection = serve(stream, Arc::clone(&seen));
                connections.spawn(async move {
                    let _open = open;
                    connection.await;
                });
            }
            Some(_) = connections.join_next() => {}
            () = quiet, if connections.is_empty() => return,
        }
    }
}

struct Open(Arc<Seen>);

impl Open {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.open.send_modify(|open| *open += 1);
        Self(Arc::clone(seen))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// The head of a request, byte by byte, so that nothing of the body is taken.
pub async fn read_head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
