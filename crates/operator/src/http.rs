//! The operator over HTTP: a router made from [`Endpoint::ALL`], with identity checked in front of every handler by the
//! route's own access class. A route without a handler does not compile; one without an access class cannot exist.

mod auth;
mod error;
mod handlers;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, head, post, put},
};
use http::{HeaderName, HeaderValue};

pub use auth::{AuthError, Authenticator, LocalToken};
use error::Refusal;

use crate::app::App;
use api::{Access, Endpoint};

/// Largest JSON body. A deploy request holds specifications only.
const JSON_BYTES: usize = 4 * 1024 * 1024;
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Shared by all requests.
pub(crate) struct Context {
    pub(crate) app: App,
    pub(crate) authenticator: Arc<dyn Authenticator>,
}

/// The whole of the operator's HTTP interface.
pub(crate) fn router(context: Arc<Context>) -> Router {
    let mut router = Router::new();
    for &endpoint in Endpoint::ALL {
        let guard = middleware::from_fn_with_state((Arc::clone(&context), endpoint.access()), authorize);
        router = router.route(endpoint.path(), handler(endpoint).layer(guard));
    }
    router
        .fallback(async || Refusal::not_found("there is no such route").into_response())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed().into_response())
        .layer(DefaultBodyLimit::max(JSON_BYTES))
        .layer(middleware::from_fn(label))
        .with_state(context)
}

fn handler(endpoint: Endpoint) -> MethodRouter<Arc<Context>> {
    match endpoint {
        Endpoint::Health => get(handlers::health),
        Endpoint::Info => get(handlers::info),
        Endpoint::HasBundle => head(handlers::has_bundle),
        Endpoint::PutBundle => put(handlers::put_bundle),
        Endpoint::Deploy => post(handlers::deploy),
        Endpoint::ListApis => get(handlers::list_apis),
        Endpoint::GetApi => get(handlers::get_api),
        Endpoint::DeleteApi => delete(handlers::delete_api),
        Endpoint::Logs => get(handlers::logs),
        Endpoint::GetApiKey => get(handlers::get_api_key),
    }
}

/// Lets a request through if its caller may call the route; the handler finds the principal in the extensions.
async fn authorize(State((context, access)): State<(Arc<Context>, Access)>, request: Request, next: Next) -> Response {
    let Some(role) = auth::required_role(access) else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    match context.authenticator.authenticate(&parts).await {
        Ok(principal) if principal.role >= role => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Ok(principal) => Refusal::forbidden(&principal, role).into_response(),
        Err(error) => Refusal::from(error).into_response(),
    }
}

/// Gives every request an id, and every refusal its body.
async fn label(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = refusal.into_body(&id);
    } else if response.status().is_client_error() {
        // Refused by the framework: a bad query, a body that is not what it should be.
        response = Refusal::from_framework(response).await.into_body(&id);
    }
    tracing::info!(request_id = id, %method, path, status = response.status().as_u16(), "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
