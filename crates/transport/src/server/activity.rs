//! What goes on on one HTTP/2 connection, whose end hyper leaves to the client.
//!
//! A client that keeps answering pings may be idle for ever, and one that resets each request as soon as it has sent it
//! ("rapid reset", CVE-2023-44487) has the server begin requests without limit, whatever the number it may have open. h2
//! counts the resets of requests that nobody has looked at yet; those that were handed out are counted here.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    /// Requests abandoned by the client less those it has waited for; not below 0 for long.
    abandoned: AtomicI64,
    limit: i64,
    /// Cancelled when there are more than that.
    abused: CancellationToken,
}

impl Activity {
    pub(super) fn new(limit: u32) -> Self {
        Self(Arc::new(Counts {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            abandoned: AtomicI64::new(0),
            limit: i64::from(limit),
            abused: CancellationToken::new(),
        }))
    }

    /// Counts one request by what becomes of it.
    pub(super) async fn watch<T>(self, reply: impl Future<Output = T>) -> T {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        let mut request = Request { counts: &self.0, answered: false };
        let reply = reply.await;
        request.answered = true;
        reply
    }

    /// Ready when the client has abandoned too many requests.
    pub(super) async fn abused(&self) {
        self.0.abused.cancelled().await;
    }

    /// Ready after one to two of these periods in which no request began and none was being answered.
    pub(super) async fn idle(&self, period: Duration) {
        let mut before = None;
        loop {
            tokio::time::sleep(period).await;
            let (begun, ended) = (self.0.begun.load(Ordering::Relaxed), self.0.ended.load(Ordering::Relaxed));
            if begun == ended && before == Some(begun) {
                return;
            }
            before = Some(begun);
        }
    }
}

struct Request<'a> {
    counts: &'a Counts,
    answered: bool,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let counts = self.counts;
        counts.ended.fetch_add(1, Ordering::Relaxed);
        if !self.answered {
            if counts.abandoned.fetch_add(1, Ordering::Relaxed) >= counts.limit {
                counts.abused.cancel();
            }
        } else if counts.abandoned.load(Ordering::Relaxed) > 0 {
            counts.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
