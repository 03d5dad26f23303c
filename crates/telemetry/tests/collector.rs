//! Spans on their way to a collector.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use telemetry::{Settings, Tracer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Address of a collector, and the names of the spans it gets, one request at a time.
async fn collector() -> (String, mpsc::UnboundedReceiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (told, spans) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut length, mut line) = (0, String::new());
                while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    if line.trim().is_empty() {
                        let mut body = vec![0; length];
                        stream.read_exact(&mut body).await.expect("a whole body");
                        let _ = told.send(names(&serde_json::from_slice(&body).expect("JSON")));
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("it is read");
                    }
                    line.clear();
                }
            });
        }
    });
    (address, spans)
}

fn names(told: &Value) -> Vec<String> {
    let spans = told["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("a list");
    spans.iter().map(|span| span["name"].as_str().expect("text").to_owned()).collect()
}

fn settings(endpoint: &str) -> Option<Settings> {
    let variables = BTreeMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned())]);
    Settings::read(|name| variables.get(name).cloned(), "test").expect("they mean something")
}

fn span(tracer: &Tracer, name: &'static str) {
    tracer.end(tracer.server(name, None).expect("it is on"));
}

fn provider() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn what_waits_is_sent_before_the_end() {
    provider();
    let (address, mut spans) = collector().await;
    let tracer = Tracer::start(settings(&address)).expect("a client");
    // More than one request takes.
    for _ in 0..700 {
        span(&tracer, "last");
    }
    tracer.flush(LIMIT).await;
    // By now, and not a while later.
    let mut sent = 0;
    while let Ok(names) = spans.try_recv() {
        sent += names.len();
    }
    assert_eq!(sent, 700);
    // With nothing to send it does not wait, and without a collector neither.
    tracer.flush(LIMIT).await;
    Tracer::default().flush(LIMIT).await;
}

#[tokio::test]
async fn a_collector_that_does_not_answer_does_not_hold_up_the_end() {
    provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let tracer = Tracer::start(settings(&address)).expect("a client");
    span(&tracer, "last");
    tokio::time::timeout(LIMIT, tracer.flush(Duration::from_millis(50))).await.expect("it ends");
}

#[tokio::test]
async fn another_collector_gets_what_comes_from_then_on() {
    provider();
    let ((first, mut of_first), (second, mut of_second)) = (collector().await, collector().await);
    let tracer = Tracer::start(settings(&first)).expect("a client");
    span(&tracer, "before");
    assert_eq!(tracer.follow(settings(&first)), Ok(false));
    assert_eq!(tracer.follow(settings(&second)), Ok(true));
    span(&tracer, "after");
    tracer.flush(LIMIT).await;
    assert_eq!(of_second.try_recv(), Ok(vec!["after".to_owned()]));
    assert_eq!(of_first.recv().await, Some(vec!["before".to_owned()]));
    assert_eq!(tracer.follow(None), Ok(true));
    assert!(!tracer.is_on() && tracer.server("off", None).is_none());
}
