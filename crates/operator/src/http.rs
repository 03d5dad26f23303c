//! The operator over HTTP: a router made from [`Endpoint::ALL`], with identity checked in front of every handler by the
//! route's own access class. A route without a handler does not compile; one without an access class cannot exist.

mod api_keys;
mod auth;
mod content;
mod cors;
mod error;
mod handlers;
mod metrics;
mod patience;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use http::{HeaderName, HeaderValue, request::Parts};

use api::{
    Endpoint,
    wire::{AuditOutcome, AuditVia},
};
pub(crate) use auth::Sessions;
pub use auth::{
    AuthError, Authenticated, Authenticator, AwsAuthenticator, Budget, Budgets, HttpsSts, InvalidStsEndpoint,
    LocalToken, StateAccess, StateNonces, StsEndpoint, StsSetupError,
};
use error::Refusal;
use transport::Peer;

use crate::{app::App, audit::Audit, metrics::Asked};

/// Largest JSON body. A deploy request holds specifications only.
const JSON_BYTES: usize = 4 * 1024 * 1024;
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Shared by all requests.
pub(crate) struct Context {
    pub(crate) app: App,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) sessions: Sessions,
    pub(crate) audit: Arc<Audit>,
}

/// Of a request.
#[derive(Debug, Clone)]
struct RequestId(String);

/// The whole of the operator's HTTP interface.
pub(crate) fn router(context: Arc<Context>) -> Router {
    let mut router = Router::new();
    for &endpoint in Endpoint::ALL {
        let guard = middleware::from_fn_with_state((Arc::clone(&context), endpoint), authorize);
        router = router.route(endpoint.path(), handler(endpoint).layer(guard));
    }
    router
        .fallback(async || Refusal::not_found("there is no such route").into_response())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed().into_response())
        .layer(DefaultBodyLimit::max(JSON_BYTES))
        .layer(middleware::from_fn_with_state(patience::PATIENCE, patience::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), label))
        .with_state(context)
}

fn handler(endpoint: Endpoint) -> MethodRouter<Arc<Context>> {
    match endpoint {
        Endpoint::Health => get(handlers::health),
        Endpoint::OpenApi => get(handlers::openapi),
        Endpoint::Info => get(handlers::info),
        Endpoint::HasBundle => get(handlers::has_bundle),
        Endpoint::PutBundle => put(handlers::put_bundle),
        Endpoint::Deploy => post(handlers::deploy),
        Endpoint::ListApis => get(handlers::list_apis),
        Endpoint::GetApi => get(handlers::get_api),
        Endpoint::DeleteApi => delete(handlers::delete_api),
        Endpoint::Logs => get(handlers::logs),
        Endpoint::GetApiKey => get(api_keys::get_first),
        Endpoint::ListApiKeys => get(api_keys::list),
        Endpoint::CreateApiKey => post(api_keys::create),
        Endpoint::GetNamedApiKey => get(api_keys::get_named),
        Endpoint::RotateApiKey => post(api_keys::rotate),
        Endpoint::RevokeApiKey => delete(api_keys::revoke),
        Endpoint::GetCors => get(cors::get),
        Endpoint::SetCors => put(cors::set),
        Endpoint::UnsetCors => delete(cors::unset),
        Endpoint::SetApiCors => put(cors::set_of_api),
        Endpoint::UnsetApiCors => delete(cors::unset_of_api),
        Endpoint::Session => post(handlers::session),
        Endpoint::Metrics => get(metrics::metrics),
        Endpoint::Audit => get(handlers::audit),
    }
}

/// Lets a request through if its caller may call the route and its body is what the caller signed; the handler finds
/// principal and subject in the extensions.
async fn authorize(
    State((context, endpoint)): State<(Arc<Context>, Endpoint)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let asked = parts.extensions.get::<Asked>().cloned().unwrap_or_default();
    asked.at(endpoint);
    let Some(role) = auth::required_role(endpoint.access()) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let id = parts.extensions.get::<RequestId>().map_or("", |id| &id.0);
    let mut entry = context.audit.begin(endpoint, id, parts.extensions.get::<Peer>().copied(), parts.uri.path());
    let (Authenticated { principal, subject, content_sha256 }, via) = match prove(&context, &parts, endpoint).await {
        Ok(proved) => proved,
        Err(error) => {
            entry.refused(outcome(&error), error.to_string());
            let refusal = Refusal::unauthenticated(&error, context.authenticator.scheme());
            entry.answered(refusal.status());
            return refusal.into_response();
        }
    };
    entry.proved(&principal, via);
    asked.by(principal.role);
    if principal.role < role {
        let refusal = Refusal::forbidden(&principal, role);
        entry.refused(AuditOutcome::Denied, format!("the role {:?} is not enough", principal.role));
        entry.answered(refusal.status());
        return refusal.into_response();
    }
    parts.extensions.insert(principal);
    parts.extensions.insert(subject);
    let request = Request::from_parts(parts, body);
    let response = match content_sha256 {
        Some(sha256) => content::run(request, sha256, endpoint, next).await,
        None => next.run(request).await,
    };
    entry.answered(response.status());
    response
}

/// Who this is: by a session, or else by a proof of its own.
async fn prove(context: &Context, request: &Parts, endpoint: Endpoint) -> Result<(Authenticated, AuditVia), AuthError> {
    let Some(holder) = context.sessions.holder(&request.headers, endpoint) else {
        return Ok((context.authenticator.authenticate(request, endpoint).await?, AuditVia::Proof));
    };
    let subject = holder?;
    let principal = context.authenticator.judge(&subject).await?;
    Ok((Authenticated { principal, subject, content_sha256: None }, AuditVia::Session))
}

fn outcome(error: &AuthError) -> AuditOutcome {
    match error {
        AuthError::Missing | AuthError::Invalid | AuthError::Refused(_) => AuditOutcome::Unauthenticated,
        AuthError::Denied(_) => AuditOutcome::Denied,
        AuthError::TooMany { .. } => AuditOutcome::Limited,
        AuthError::Unavailable { .. } => AuditOutcome::Unavailable,
    }
}

/// Gives every request an id, and every refusal its body.
async fn label(State(context): State<Arc<Context>>, mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let asked = Asked::default();
    request.extensions_mut().insert(asked.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = refusal.into_body(&id);
    } else if response.status().is_client_error() {
        // Refused by the framework: a bad query, a body that is not what it should be.
        response = Refusal::from_framework(response).await.into_body(&id);
    }
    context.app.metrics.answered(&asked, response.status());
    tracing::info!(request_id = id, %method, path, status = response.status().as_u16(), "answered");
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
