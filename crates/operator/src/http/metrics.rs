//! Metrics of this operator and of what it can ask, as one page.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use http::header;

use super::{Context, error::Refusal};

pub(super) async fn metrics(State(context): State<Arc<Context>>) -> Result<impl IntoResponse, Refusal> {
    let text = context.app.metrics(&*context.authenticator, context.audit.lost.get()).await?;
    Ok(([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], text))
}
