//! A steady load and what it waits: COUNT connections that together send RATE requests a second for SECONDS, each at its
//! time whether or not the one before was slow, and latency counted from that time. So a server that stalls does not hide
//! it by holding up its own load ("coordinated omission").
//!
//! `load ADDRESS PATH KEY COUNT RATE SECONDS [CA]`: over TLS if there is a CA file. Prints one line of JSON, times in
//! microseconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep_until,
};
use tokio_rustls::TlsConnector;

const BODY: &str = r#"{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}"#;

#[derive(Default)]
struct Tally {
    latencies: Vec<u64>,
    errors: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, path, key, count, rate, seconds, ca @ ..] = &arguments[..] else { panic!("see the top of the file") };
    let number = |text: &String| text.parse::<f64>().expect("a number");
    let (count, rate, length) = (number(count), number(rate), Duration::from_secs_f64(number(seconds)));
    let tls = ca.first().map(|path| {
        let pem = std::fs::read_to_string(path).expect("the CA can be read");
        let mut config = transport::client_config(&pem).expect("the CA is one");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    });
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let pace = Duration::from_secs_f64(count / rate);
    let begin = Instant::now() + Duration::from_millis(500);
    let mut connections = JoinSet::new();
    for number in 0..count as u32 {
        let (tls, address, request) = (tls.clone(), address.clone(), request.clone());
        let begin = begin + pace.mul_f64(f64::from(number) / count);
        connections.spawn(async move {
            let stream = TcpStream::connect(&address).await.expect("it listens");
            stream.set_nodelay(true).expect("a socket");
            match tls {
                Some(tls) => {
                    let name = "localhost".try_into().expect("a name");
                    let stream = tls.connect(name, stream).await.expect("the handshake succeeds");
                    drive(stream, &request, begin, pace, length).await
                }
                None => drive(stream, &request, begin, pace, length).await,
            }
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = connections.join_next().await {
        let tally = tally.expect("no connection fails");
        all.latencies.extend(tally.latencies);
        all.errors += tally.errors;
    }
    all.latencies.sort_unstable();
    let at = |share: f64| all.latencies[((all.latencies.len() - 1) as f64 * share) as usize];
    println!(
        r#"{{"requests":{},"errors":{},"p50":{},"p99":{},"p999":{}}}"#,
        all.latencies.len(),
        all.errors,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

async fn drive(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    begin: Instant,
    pace: Duration,
    length: Duration,
) -> Tally {
    let mut tally = Tally::default();
    let mut buffer = vec![0; 16 * 1024];
    let mut due = begin;
    while due < begin + length {
        sleep_until(due.into()).await;
        stream.write_all(request.as_bytes()).await.expect("the server takes it");
        stream.flush().await.expect("the server takes it");
        let mut filled = 0;
        while !is_complete(&buffer[..filled]) {
            match stream.read(&mut buffer[filled..]).await.expect("the server answers") {
                0 => panic!("the server closed the connection"),
                read => filled += read,
            }
        }
        tally.errors += u64::from(!buffer.starts_with(b"HTTP/1.1 200"));
        tally.latencies.push(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
        due += pace;
    }
    tally
}

/// Whether this is a whole response with a Content-Length.
fn is_complete(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= head + 4 + length)
}
