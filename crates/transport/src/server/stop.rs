//! How a server that stops tells its connections.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::http1::Stop;

#[derive(Debug, Clone, Default)]
pub(super) struct Stopping {
    token: CancellationToken,
    /// Says the same. Every reply asks, and the token would take a lock for it.
    begun: Arc<AtomicBool>,
}

impl Stopping {
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Ready when it has begun.
    pub(super) async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// For one connection, which is to be one task. `farewell`: how long it may have nothing to do after that.
    pub(super) fn farewell(&self, farewell: Duration) -> Farewell {
        let cancelled = Box::pin(self.token.clone().cancelled_owned());
        Farewell { begun: Arc::clone(&self.begun), cancelled, waits: false, farewell, sleep: None }
    }
}

pub(super) struct Farewell {
    begun: Arc<AtomicBool>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The task will be woken.
    waits: bool,
    farewell: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Stop for Farewell {
    fn is_near(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    fn poll_now(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_near() {
            let waits = std::mem::replace(&mut self.waits, true);
            if waits || self.cancelled.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.farewell))).as_mut().poll(cx)
    }
}
