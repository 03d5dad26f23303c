//! From HTTP to a use case and back.

use std::{convert::Infallible, sync::Arc, time::Duration};

use api::wire::{ApiDetail, ApiList, AuditQuery, AuditReply, DeployReply, DeployRequest, Info, LogQuery, SessionReply};
use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future};
use http::{StatusCode, header};
use identity::{Principal, Subject};

use super::{Context, error::Refusal};
use crate::app::AppError;

/// How long a refused upload is read on.
const LINGER: Duration = Duration::from_secs(30);

type Ctx = State<Arc<Context>>;

/// A followed log says at least this often that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], api::openapi::document()).into_response()
}

pub(super) async fn info(State(context): Ctx) -> Result<Json<Info>, Refusal> {
    Ok(Json(context.app.info().await?))
}

pub(super) async fn has_bundle(State(context): Ctx, Path(sha256): Path<String>) -> Result<StatusCode, Refusal> {
    match context.app.has_bundle(&sha256).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(AppError::NoSuchBundle(sha256).into()),
    }
}

pub(super) async fn put_bundle(
    State(context): Ctx,
    Path(sha256): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mut content = body.into_data_stream().map_err(|error| error.to_string());
    let outcome = context.app.put_bundle(&sha256, &mut content).await;
    if outcome.is_err() {
        linger(&mut content).await;
    }
    outcome?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads what a refused caller is still sending. Over HTTP/1 a connection that is closed with unread bytes in it is
/// reset, and the reset may overtake the answer (RFC 9112, 9.6): the caller would never learn why.
async fn linger(rest: &mut (impl Stream<Item = Result<Bytes, String>> + Unpin)) {
    let read = async { while let Some(Ok(_)) = rest.next().await {} };
    // Late or not, the answer goes out.
    let _ = tokio::time::timeout(LINGER, read).await;
}

pub(super) async fn deploy(
    State(context): Ctx,
    Extension(caller): Extension<Principal>,
    body: Bytes,
) -> Result<Json<DeployReply>, Refusal> {
    let request: DeployRequest = serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request(format!("not a deploy request: {error}")))?;
    Ok(Json(context.app.deploy(&request, &caller).await?))
}

pub(super) async fn list_apis(State(context): Ctx) -> Result<Json<ApiList>, Refusal> {
    Ok(Json(context.app.list().await?))
}

pub(super) async fn get_api(State(context): Ctx, Path(name): Path<String>) -> Result<Json<ApiDetail>, Refusal> {
    Ok(Json(context.app.api(&name).await?))
}

pub(super) async fn delete_api(
    State(context): Ctx,
    Extension(caller): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    context.app.delete(&name, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// JSON lines; empty ones in between only keep the connection alive.
pub(super) async fn logs(
    State(context): Ctx,
    Path(name): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Refusal> {
    let lines = context.app.logs(&name, &query).await?.map(|line| {
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        Some(Bytes::from(bytes))
    });
    let ended = futures_util::stream::once(future::ready(None));
    let beats = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(HEARTBEAT).await;
        Some((Some(Bytes::from_static(b"\n")), ()))
    });
    let content = futures_util::stream::select(lines.chain(ended), beats)
        .take_while(|chunk| future::ready(chunk.is_some()))
        .filter_map(future::ready)
        .map(Ok::<_, Infallible>);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(content)).into_response())
}

pub(super) async fn session(State(context): Ctx, Extension(subject): Extension<Subject>) -> Json<SessionReply> {
    Json(context.sessions.give(subject))
}

pub(super) async fn audit(State(context): Ctx, Query(query): Query<AuditQuery>) -> Result<Json<AuditReply>, Refusal> {
    context.audit.flush().await;
    Ok(Json(context.app.audit(&query).await?))
}
