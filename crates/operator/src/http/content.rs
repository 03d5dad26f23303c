//! Holds a body to the hash that its sender has signed.
//!
//! Identity is proved from the headers, before a body is read, so a body must still turn out to be the one that was
//! signed. This sits between proof and handler on every route that asks for a proof: a handler gets either a body that has
//! been compared as a whole, or (uploads, which do not fit into memory) one that ends in an error unless it is the signed
//! one. No handler can forget it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use api::Endpoint;
use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sha2::{Digest as _, Sha256};

use super::{JSON_BYTES, error::Refusal};

/// Runs the handler with a body that has this hash, lower-case hex.
pub(super) async fn run(request: Request, sha256: String, endpoint: Endpoint, next: Next) -> Response {
    if streams(endpoint) { streamed(request, sha256, next).await } else { whole(request, &sha256, next).await }
}

/// Whether the handler reads the body piece by piece and commits nothing before its end. Everything else is read here.
fn streams(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::PutBundle)
}

async fn whole(request: Request, sha256: &str, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match Limited::new(body, JSON_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Refusal::too_large(JSON_BYTES).into_response(),
        Err(error) => return Refusal::bad_request(format!("the body ended early: {error}")).into_response(),
    };
    if hex::encode(Sha256::digest(&bytes)) != sha256 {
        return Refusal::content_mismatch().into_response();
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

async fn streamed(request: Request, sha256: String, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let differs = Arc::new(AtomicBool::new(false));
    let compared =
        Compared { content: body.into_data_stream(), hash: Sha256::new(), sha256, differs: Arc::clone(&differs) };
    let body = Body::from_stream(stream::try_unfold(Some(compared), Compared::next));
    let response = next.run(Request::from_parts(parts, body)).await;
    // Whatever the handler made of the error: this is what was wrong.
    if differs.load(Ordering::SeqCst) { Refusal::content_mismatch().into_response() } else { response }
}

/// A body on its way to the handler.
struct Compared {
    content: BodyDataStream,
    hash: Sha256,
    sha256: String,
    differs: Arc<AtomicBool>,
}

type Step = Result<Option<(Bytes, Option<Compared>)>, axum::Error>;

impl Compared {
    /// The next piece; an error in place of the end if the whole is not what was signed.
    async fn next(this: Option<Self>) -> Step {
        let Some(mut this) = this else { return Ok(None) };
        match this.content.next().await {
            Some(Ok(bytes)) => {
                this.hash.update(&bytes);
                Ok(Some((bytes, Some(this))))
            }
            Some(Err(error)) => Err(error),
            None if hex::encode(this.hash.finalize()) == this.sha256 => Ok(None),
            None => {
                this.differs.store(true, Ordering::SeqCst);
                Err(axum::Error::new("the content is not what was signed"))
            }
        }
    }
}
