//! A proxy in front of the emulator, or of any HTTP server, that loses requests and replies, slows them down and refuses them.
//!
//! It speaks HTTP/1.1 without TLS and passes everything on as it came, `Host` header included, so signatures stay valid.
//! Requests and replies are read whole before they go on: a cut is either before the effect or after it, never
//! in the middle. When it is dropped, all its connections are cut.
//!
//! Rules are asked in the order in which they were added; the first that fires decides about a call, and each counts the
//! calls that match it and that no earlier one took.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Passed on after this time.
    Delay(Duration),
    /// Passed on as soon as [`Faults::release`] has been called.
    Hold,
    /// Refused as AWS refuses who asks too often, each service in its own words. There is no effect.
    Throttle,
    /// The connection is cut; the call is not passed on.
    CutBefore,
    /// The call is passed on, and the connection cut when the reply is there.
    CutAfter,
}

/// Which of a rule's matching calls are hit. The first is number 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    Always,
    /// That one only.
    Nth(u64),
    /// That one and all later ones: whoever makes the calls is as good as dead.
    From(u64),
    /// This share of the calls, the same ones for the same seed.
    Rate {
        share: f64,
        seed: u64,
    },
}

/// One call, as far as it can be told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    /// As in the scope of the signature: `s3`, `ec2`.
    pub service: String,
    /// `CreateVpc`; empty for S3, where method, path and query tell.
    pub action: String,
    pub fault: Option<Fault>,
    /// Of the upstream's reply, even if it was dropped, or ours; none if the call was not passed on.
    pub status: Option<u16>,
}

/// What happens to which calls, and when.
pub struct Rule {
    fault: Fault,
    when: When,
    matches: Box<dyn Fn(&Call) -> bool + Send>,
    seen: u64,
    random: StdRng,
}

impl Rule {
    /// For every call.
    pub fn new(fault: Fault, when: When) -> Self {
        let seed = if let When::Rate { seed, .. } = when { seed } else { 0 };
        Self { fault, when, matches: Box::new(|_| true), seen: 0, random: StdRng::seed_from_u64(seed) }
    }

    /// For those calls only.
    pub fn on(mut self, matches: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        self.matches = Box::new(matches);
        self
    }

    /// For calls of this method only.
    pub fn on_method(self, method: &'static str) -> Self {
        self.on(move |call| call.method == method)
    }

    fn fires(&mut self, call: &Call) -> bool {
        if !(self.matches)(call) {
            return false;
        }
        self.seen += 1;
        match self.when {
            When::Always => true,
            When::Nth(number) => self.seen == number,
            When::From(number) => self.seen >= number,
            When::Rate { share, .. } => self.random.random_bool(share),
        }
    }
}

/// A running proxy.
pub struct Faults {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    upstream: Uri,
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<Call>>,
    released: watch::Sender<bool>,
}

impl Faults {
    /// Listens on loopback and passes on to `upstream`, `http://host:port`. No rules yet.
    pub async fn before(upstream: &str) -> Self {
        let upstream: Uri = upstream.parse().unwrap_or_else(|error| panic!("{upstream}: {error}"));
        assert!(upstream.scheme_str() == Some("http") && upstream.authority().is_some(), "{upstream}: not http://");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (rules, calls, released) = (Mutex::default(), Mutex::default(), watch::Sender::new(false));
        let shared = Arc::new(Shared { upstream, rules, calls, released });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// What clients are told instead of the upstream's.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Lets go what is held; from now on nothing is held any more.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// From now on nothing is hit.
    pub fn relent(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Every call so far, in the order in which they came to their ends.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// How many calls were hit.
    pub fn hits(&self) -> usize {
        lock(&self.shared.calls).iter().filter(|call| call.fault.is_some()).count()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections end with this task, which holds them.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(&shared, request));
            // It ends with an error whenever a rule cuts it.
            let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An error means that the connection is cut.
async fn answer(shared: &Shared, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(head, Full::new(body.clone()));
    let mut call = describe(&request, &body);
    call.fault = lock(&shared.rules).iter_mut().find_map(|rule| rule.fires(&call).then_some(rule.fault));
    let outcome = match call.fault {
        Some(Fault::CutBefore) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Throttle) => Ok(throttled(&call, request.headers().contains_key("x-amz-target"))),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            forward(&shared.upstream, request).await
        }
        Some(Fault::Hold) => {
            let mut released = shared.released.subscribe();
            released.wait_for(|released| *released).await.map_err(io::Error::other)?;
            forward(&shared.upstream, request).await
        }
        Some(Fault::CutAfter) | None => forward(&shared.upstream, request).await,
    };
    call.status = outcome.as_ref().ok().map(|reply| reply.status().as_u16());
    let cut = call.fault == Some(Fault::CutAfter);
    lock(&shared.calls).push(call);
    if cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { outcome }
}

async fn forward(upstream: &Uri, mut request: Request<Full<Bytes>>) -> io::Result<Response<Full<Bytes>>> {
    let authority = upstream.authority().map_or("", http::uri::Authority::as_str);
    let stream = TcpStream::connect((upstream.host().unwrap_or(authority), upstream.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    // One connection per call: nothing of it is to be seen in the reply.
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    let reply = sender.send_request(request).await.map_err(io::Error::other)?;
    let (mut head, body) = reply.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    head.headers.remove(header::CONNECTION);
    head.headers.remove(header::TRANSFER_ENCODING);
    Ok(Response::from_parts(head, Full::new(body)))
}

fn describe<B>(request: &Request<B>, body: &[u8]) -> Call {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // `Credential=<key>/<day>/<region>/<service>/aws4_request`
    let service = header("authorization").split('/').nth(3).unwrap_or_default();
    let target = header("x-amz-target").rsplit('.').next().unwrap_or_default();
    let form = std::str::from_utf8(body).ok().filter(|_| header("content-type").contains("x-www-form-urlencoded"));
    let action = form.and_then(|form| form.split('&').find_map(|pair| pair.strip_prefix("Action=")));
    Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        service: service.to_owned(),
        action: action.unwrap_or(target).to_owned(),
        fault: None,
        status: None,
    }
}

/// Sources: "Error responses" of Amazon S3, Amazon EC2 and the query API, "Common error types" of the JSON services.
fn throttled(call: &Call, json: bool) -> Response<Full<Bytes>> {
    const ID: &str = "00000000-0000-0000-0000-000000000000";
    let (status, content_type, body) = match call.service.as_str() {
        "s3" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "application/xml",
            format!(
                "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message><RequestId>{ID}</RequestId></Error>"
            ),
        ),
        "ec2" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "text/xml",
            format!(
                "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>\
                 </Errors><RequestID>{ID}</RequestID></Response>"
            ),
        ),
        _ if json => (
            StatusCode::BAD_REQUEST,
            "application/x-amz-json-1.1",
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#.to_owned(),
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>\
                 <RequestId>{ID}</RequestId></ErrorResponse>"
            ),
        ),
    };
    // S3 has no bodies in replies to HEAD.
    let body = if call.method == "HEAD" { Bytes::new() } else { Bytes::from(body) };
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    reply
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Answers every request with how many there were.
    async fn counting() -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            let count = Arc::new(std::sync::atomic::AtomicU64::new(1));
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let service = service_fn(|_: Request<Incoming>| async {
                        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(number.to_string()))))
                    });
                    server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        url
    }

    /// The reply's body; `None` if the connection was cut.
    async fn ask(url: &str, method: &str) -> Option<String> {
        let uri: Uri = url.parse().expect("a URL");
        let request = Request::builder()
            .method(method)
            .uri("/a?b=c")
            .header("host", "signed.example")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request")
            .body(Full::new(Bytes::new()))
            .expect("a request");
        let reply = forward(&uri, request).await.ok()?;
        Some(String::from_utf8(reply.into_body().collect().await.ok()?.to_bytes().to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn the_nth_call_of_a_kind_is_hit_and_no_other() {
        let proxy = Faults::before(&counting().await).await;
        proxy.add(Rule::new(Fault::CutBefore, When::Nth(2)).on_method("PUT"));
        proxy.add(Rule::new(Fault::CutAfter, When::Nth(3)).on_method("PUT"));
        let mut seen = Vec::new();
        for method in ["PUT", "GET", "PUT", "PUT", "GET", "PUT", "PUT"] {
            seen.push(ask(&proxy.url(), method).await);
        }
        // The one cut before did not get through, the one cut after did.
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(seen, [text("1"), text("2"), None, text("3"), text("4"), None, text("6")]);
        let faults: Vec<_> = proxy.calls().into_iter().map(|call| (call.fault, call.status)).collect();
        assert_eq!(faults[2], (Some(Fault::CutBefore), None));
        assert_eq!(faults[5], (Some(Fault::CutAfter), Some(200)));
        assert_eq!(proxy.hits(), 2);
        proxy.relent();
        assert_eq!(ask(&proxy.url(), "PUT").await, text("7"));
    }

    #[tokio::test]
    async fn the_dead_stay_dead() {
        let proxy = Faults::before(&counting().await).await;
        proxy.add(Rule::new(Fault::CutBefore, When::From(2)));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(ask(&proxy.url(), "PUT").await.is_some());
        }
        assert_eq!(seen, [true, false, false, false]);
    }

    #[tokio::test]
    async fn a_seed_gives_the_same_calls_again() {
        let mut runs = Vec::new();
        for seed in [7, 7, 8] {
            let proxy = Faults::before(&counting().await).await;
            proxy.add(Rule::new(Fault::Throttle, When::Rate { share: 0.2, seed }));
            for _ in 0..100 {
                ask(&proxy.url(), "GET").await.expect("nothing is cut");
            }
            runs.push(proxy.calls().iter().map(|call| call.status).collect::<Vec<_>>());
        }
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
        let throttled = runs[0].iter().filter(|status| **status == Some(503)).count();
        assert!((10..=30).contains(&throttled), "{throttled} of 100");
    }

    #[tokio::test]
    async fn what_is_held_goes_on_when_released() {
        let proxy = Faults::before(&counting().await).await;
        proxy.add(Rule::new(Fault::Hold, When::Nth(1)));
        let url = proxy.url();
        let held = tokio::spawn(async move { ask(&url, "PUT").await });
        crate::eventually("the call has come", async || {
            lock(&proxy.shared.rules)[0].seen.eq(&1).then_some(()).ok_or_else(|| "not yet".to_owned())
        })
        .await;
        assert!(!held.is_finished());
        proxy.release();
        assert_eq!(held.await.expect("no panic").as_deref(), Some("1"));
    }

    #[test]
    fn each_service_refuses_in_its_own_words() {
        let body = "Action=CreateVpc&Version=2016-11-15";
        let request = Request::builder()
            .method("POST")
            .uri("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/ec2/aws4_request")
            .body(())
            .expect("a request");
        let call = describe(&request, body.as_bytes());
        assert_eq!((call.service.as_str(), call.action.as_str()), ("ec2", "CreateVpc"));
        assert_eq!(throttled(&call, false).status(), 503);
        let other = |service: &str| Call { service: service.to_owned(), ..call.clone() };
        assert_eq!(throttled(&other("s3"), false).status(), 503);
        assert_eq!(throttled(&other("iam"), false).status(), 400);
        assert_eq!(throttled(&other("ecs"), true).headers()["content-type"], "application/x-amz-json-1.1");
    }
}
