//! Bodies that do not come, and bodies whose end can be read in two ways.
//!
//! How long headers may take is the server's to say. A body is waited for piece by piece: an upload may take an hour
//! as long as it moves.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body::Body as _;
use transport::is_plainly_framed;

use super::error::Refusal;

/// How long a body may stand still.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the handler with a body that ends in an error when it stands still for too long.
pub(super) async fn guard(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    if !is_plainly_framed(request.headers()) {
        let message = "the request has another Transfer-Encoding than `chunked`";
        return Refusal::bad_request(message).into_response();
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let stalled = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| Body::from_stream(moving(body.into_data_stream(), patience, &stalled)));
    let response = next.run(request).await;
    // Whatever the handler made of the error: this is what was wrong.
    if stalled.load(Ordering::SeqCst) { Refusal::stalled(patience).into_response() } else { response }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>;

/// Waits only while somebody wants the next piece: a handler that is busy with the last one costs the caller nothing.
fn moving(body: BodyDataStream, patience: Duration, stalled: &Arc<AtomicBool>) -> Pieces {
    let stalled = Arc::clone(stalled);
    Box::pin(stream::try_unfold(body, move |mut body| {
        let stalled = Arc::clone(&stalled);
        async move {
            match tokio::time::timeout(patience, body.next()).await {
                Ok(piece) => Ok(piece.transpose()?.map(|bytes| (bytes, body))),
                Err(_) => {
                    stalled.store(true, Ordering::SeqCst);
                    Err(axum::Error::new("the body stands still"))
                }
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware, routing::put};
    use http::StatusCode;
    use tower_service::Service as _;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// What becomes of a body of these pieces, sent at this pace, after which nothing more comes if `ends` is not set.
    async fn outcome(pieces: usize, pace: Duration, ends: bool) -> StatusCode {
        let handler = async |body: Bytes| body.len().to_string();
        let guard = middleware::from_fn_with_state(SHORT, guard);
        let mut router: Router = Router::new().route("/", put(handler)).layer(guard);
        let moving = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pace).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        let body = if ends { Body::from_stream(moving) } else { Body::from_stream(moving.chain(stream::pending())) };
        let request = Request::put("/").body(body).expect("a request");
        router.call(request).await.expect("it cannot fail").status()
    }

    #[tokio::test]
    async fn a_body_may_be_slow_but_not_stand_still() {
        assert_eq!(outcome(10, SHORT / 5, true).await, StatusCode::OK);
        assert_eq!(outcome(3, SHORT / 5, false).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(outcome(0, SHORT / 5, false).await, StatusCode::REQUEST_TIMEOUT);
    }
}
