//! Whether the user's server is ready and well.

use std::{future::pending, net::Ipv4Addr, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// For one answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a server that starts: the first, and the longest.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);

pub(super) async fn until_ready(port: u16, path: Option<&str>) {
    let mut pause = FIRST;
    while !is_ready(port, path).await {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Without a path, a connection is enough.
pub(super) async fn is_ready(port: u16, path: Option<&str>) -> bool {
    let look = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let Some(path) = path else { return Some(true) };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = http::Request::get(path).header("host", "localhost").header("connection", "close");
        let request = request.body(Empty::<Bytes>::new()).ok()?;
        // The connection may end together with the answer, or without one, which the request learns.
        let driver = async {
            let _ = connection.await;
            pending().await
        };
        tokio::select! {
            response = sender.send_request(request) => Some(response.ok()?.status().as_u16() < 400),
            none = driver => none,
        }
    };
    timeout(LIMIT, look).await.ok().flatten().unwrap_or(false)
}
