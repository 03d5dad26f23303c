//! Asking other processes for their metrics, over their private sockets, many at a time and none for long.

use std::{error::Error as StdError, time::Duration};

use api::wire::ReplicaPhase;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use transport::Address;

use crate::engine::Replica;

/// For one process.
const EACH: Duration = Duration::from_secs(2);
/// For all of them: Prometheus waits 10 s.
const ALL: Duration = Duration::from_secs(8);
const AT_ONCE: usize = 64;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What a process told.
pub(super) struct Told {
    /// `gateway` or `replica`.
    pub(super) target: &'static str,
    /// To be added to its samples.
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) page: Result<String, String>,
}

struct Target {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    address: Address,
}

/// The gateway, and the replicas that run.
pub(super) async fn all(gateway: Option<&Address>, replicas: &[Replica]) -> Vec<Told> {
    let end = Instant::now() + ALL;
    let of_gateway = gateway.map(|address| Target {
        name: "gateway",
        labels: vec![("process", "gateway".to_owned())],
        address: address.clone(),
    });
    let runs = |replica: &&Replica| matches!(replica.phase, ReplicaPhase::Ready | ReplicaPhase::Draining);
    let of_replicas = replicas.iter().filter(runs).map(|replica| Target {
        name: "replica",
        labels: vec![
            ("process", "replica".to_owned()),
            ("api", replica.api.clone()),
            ("version", replica.version.clone()),
            ("replica", replica.id.clone()),
        ],
        address: replica.address.clone(),
    });
    let targets: Vec<_> = of_gateway.into_iter().chain(of_replicas).collect();
    stream::iter(targets).map(|target| target.tell(end)).buffer_unordered(AT_ONCE).collect().await
}

impl Target {
    async fn tell(self, end: Instant) -> Told {
        let until = end.min(Instant::now() + EACH);
        let page = match tokio::time::timeout_at(until, ask(&self.address)).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        Told { target: self.name, labels: self.labels, page }
    }
}

async fn ask(address: &Address) -> Result<String, Box<dyn StdError + Send + Sync>> {
    let stream = address.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(telemetry::PATH)
        .header(HOST, "localhost")
        .header(telemetry::SCRAPE_HEADER, "1")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("HTTP {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?;
        Ok(String::from_utf8(body.to_bytes().into())?)
    };
    // The connection ends with the answer, and so without a task of its own.
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(error.into()),
    }
}
