//! What goes on on an HTTP/1.1 connection after its protocol was switched (RFC 9110, 7.8).

use std::{any::Any, future::Future, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Carried by the extensions of a request that asks for another protocol.
///
/// A tunnel is the server's as the connection was: it holds the same places, a stopping server waits for it, and ends it
/// when the drain limit is reached.
#[derive(Clone)]
pub struct Tunnels {
    tasks: TaskTracker,
    end: CancellationToken,
    held: Arc<dyn Any + Send + Sync>,
}

impl Tunnels {
    /// `held`: the connection's places.
    pub(super) fn new(tasks: &TaskTracker, end: &CancellationToken, held: Arc<dyn Any + Send + Sync>) -> Self {
        Self { tasks: tasks.clone(), end: end.clone(), held }
    }

    /// Runs the tunnel to its end.
    pub fn run(&self, tunnel: impl Future<Output = ()> + Send + 'static) {
        let held = Arc::clone(&self.held);
        let tunnel = async move {
            let _held = held;
            tunnel.await;
        };
        let end = self.end.clone();
        self.tasks.spawn(async move {
            end.run_until_cancelled_owned(tunnel).await;
        });
    }
}
