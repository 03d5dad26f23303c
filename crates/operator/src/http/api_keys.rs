//! API keys, from HTTP to a use case and back.

use std::sync::Arc;

use api::{
    api_keys::{ApiKeyList, ApiKeyValue, CreateApiKey, RevokedApiKey, RotateApiKey},
    wire::ApiKeyReply,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use identity::Principal;
use serde::de::DeserializeOwned;

use super::{Context, error::Refusal};

type Ctx = State<Arc<Context>>;

pub(super) async fn get_first(State(context): Ctx) -> Result<Json<ApiKeyReply>, Refusal> {
    Ok(Json(context.app.api_key().await?))
}

pub(super) async fn list(State(context): Ctx) -> Result<Json<ApiKeyList>, Refusal> {
    Ok(Json(context.app.api_keys().await?))
}

pub(super) async fn get_named(State(context): Ctx, Path(name): Path<String>) -> Result<Json<ApiKeyValue>, Refusal> {
    Ok(Json(context.app.named_api_key(&name).await?))
}

pub(super) async fn create(
    State(context): Ctx,
    Extension(caller): Extension<Principal>,
    body: Bytes,
) -> Result<Json<ApiKeyValue>, Refusal> {
    let wanted: CreateApiKey = parse(&body, "a request for an API key")?;
    Ok(Json(context.app.create_api_key(&wanted, &caller).await?))
}

pub(super) async fn rotate(
    State(context): Ctx,
    Extension(caller): Extension<Principal>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<ApiKeyValue>, Refusal> {
    let how: RotateApiKey = parse(&body, "a request to rotate an API key")?;
    Ok(Json(context.app.rotate_api_key(&name, &how, &caller).await?))
}

pub(super) async fn revoke(
    State(context): Ctx,
    Extension(caller): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<Json<RevokedApiKey>, Refusal> {
    Ok(Json(context.app.revoke_api_key(&name, &caller).await?))
}

fn parse<T: DeserializeOwned>(body: &Bytes, what: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("not {what}: {error}")))
}
