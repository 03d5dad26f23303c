//! One replica without a cluster: what `cargo xtask bench replica` measures.
//!
//! `serve FILE`: what an engine would tell it (`api::replica::ReplicaSpec`), as JSON. It ends at Ctrl-C or SIGTERM.

use api::replica::ReplicaSpec;
use tokio::signal::unix::{SignalKind, signal};

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let path = std::env::args().nth(1).expect("serve FILE");
    let text = std::fs::read(path).expect("the file can be read");
    let spec: ReplicaSpec = serde_json::from_slice(&text).expect("the file holds what a replica is told");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be waited for");
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    if let Err(error) = replica::run(spec, stop, telemetry::Tracer::default()).await {
        panic!("{error}");
    }
}
