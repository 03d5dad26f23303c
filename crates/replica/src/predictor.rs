//! The seam between the server and what answers requests.

use serde_json::{Map, Value};
use telemetry::{Page, catalogue::replica as families};

use crate::{
    container::Upstream,
    error::Error,
    exchange::{Reply, Request},
};

/// Why there is no reply, by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PredictError {
    /// The caller's: the text helps to correct the request.
    #[error("{0}")]
    BadRequest(String),
    /// The caller's: the predictor answers no such path.
    #[error("{0}")]
    NotFound(String),
    /// The predictor's: an exception, of this type if known. Its text and traceback are in the log only.
    #[error("the predictor raised {}", exception.as_deref().unwrap_or("an exception"))]
    Raised { exception: Option<String> },
    /// The predictor's: it answered something that cannot be sent.
    #[error("{0}")]
    BadResponse(String),
    /// The process that worked on the request ended.
    #[error("the process that worked on this request ended before it answered")]
    Died,
    /// It took longer than a request may, and its process was ended.
    #[error(
        "the predictor took too long for this request, and its process was ended; `predictor.request_timeout` says how long it may take"
    )]
    TimedOut,
}

/// Turns requests into replies, many at a time.
#[async_trait::async_trait]
pub(crate) trait Predictor: Send + Sync + 'static {
    async fn predict(&self, request: Request) -> Result<Reply, PredictError>;

    /// The reply, if it can be had without waiting; `None` to have [`Self::predict`] asked.
    fn at_once(&self, _: &Request) -> Option<Result<Reply, PredictError>> {
        None
    }

    /// What a GET of a path besides `/` is answered; `None` if the predictor knows no such path. It neither waits in the
    /// queue nor counts as in flight.
    fn page(&self, _path: &str, _draining: bool) -> Option<Result<Reply, PredictError>> {
        None
    }

    /// The server to which requests are passed on as they come, in place of being read and predicted.
    fn upstream(&self) -> Option<&Upstream> {
        None
    }

    /// How many requests are worth having in flight; more wait in the server's queue. `None`: as many as come, since the
    /// predictor has a queue of its own.
    fn concurrency(&self) -> Option<usize>;

    /// How many of those that it has wait in that queue; each is told by [`crate::exchange::Turn`] when its turn has come.
    fn waiting(&self) -> usize {
        0
    }

    /// Whether dropping [`Predictor::predict`] is enough when the caller has gone. If not, the server lets it end.
    fn forgets_callers(&self) -> bool {
        false
    }

    /// What callers may know of it, as fields of the JSON that `GET /` answers.
    fn describe(&self) -> Map<String, Value>;

    /// What of its own there is to tell those who watch the replica: families of [`telemetry::catalogue::replica`] that are
    /// about workers.
    fn measure(&self, page: &mut Page) {
        let _ = page.family(&families::WORKERS);
        let _ = page.family(&families::REPLACED);
    }

    /// Whether it can answer anything at all, now or soon.
    fn alive(&self) -> bool {
        true
    }

    /// Waits until the predictor cannot go on; yields the reason once. Safe to drop and call again.
    async fn failed(&self) -> Error {
        std::future::pending().await
    }

    /// Ends it in good order; called once, after the last request.
    async fn close(&self) {}
}
