//! Pages that may call, from HTTP to a use case and back.

use std::sync::Arc;

use api::cors::{Cors, CorsSettings};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use http::StatusCode;
use identity::Principal;

use super::{Context, error::Refusal};

type Ctx = State<Arc<Context>>;
type Caller = Extension<Principal>;

pub(super) async fn get(State(context): Ctx) -> Result<Json<CorsSettings>, Refusal> {
    Ok(Json(context.app.cors().await?))
}

pub(super) async fn set(State(context): Ctx, Extension(caller): Caller, body: Bytes) -> Result<Json<Cors>, Refusal> {
    Ok(Json(context.app.set_cors(None, &parse(&body)?, &caller).await?))
}

pub(super) async fn unset(State(context): Ctx, Extension(caller): Caller) -> Result<StatusCode, Refusal> {
    context.app.unset_cors(None, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_of_api(
    State(context): Ctx,
    Extension(caller): Caller,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Cors>, Refusal> {
    Ok(Json(context.app.set_cors(Some(&name), &parse(&body)?, &caller).await?))
}

pub(super) async fn unset_of_api(
    State(context): Ctx,
    Extension(caller): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    context.app.unset_cors(Some(&name), &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(body: &Bytes) -> Result<Cors, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("not a list of origins: {error}")))
}
