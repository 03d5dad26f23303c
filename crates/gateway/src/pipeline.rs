//! The phases in their order, for one request.

use std::{sync::Arc, time::SystemTime};

use api::wire::GatewayHealth;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE},
};
use telemetry::Tracer;
use transport::{Incoming, Peer, is_plainly_framed};

use crate::{
    Timeouts, browser,
    error::Error,
    headers,
    metrics::Metrics,
    monitor,
    phase::{
        authenticate::{Keys, authenticate, has_key},
        cors::{self, Grant},
        deliver::deliver,
        forward::Forwarded,
        identify::identify,
        record::Record,
        route::{self, pages, route},
    },
    predictive_services::{self, Call, Circumstances, OldClients},
    respond::{self, ResponseBody},
    snapshot::{Api, Snapshot, Table},
    trace::Trace,
    tunnel::Switch,
    upstream::RequestBody,
};

/// Whether the gateway serves; for load balancers, and without a key.
const HEALTH: &str = "/healthz";

pub(crate) struct Pipeline {
    table: Arc<Table>,
    timeouts: Timeouts,
    old_clients: OldClients,
    tracer: Tracer,
}

enum Decision {
    /// What the answer to a preflight says.
    Preflight(HeaderMap),
    To(Arc<Api>),
    /// With the keys of the headers, if there are any.
    OldClient(Call, Option<Keys>, Arc<Snapshot>),
}

impl Pipeline {
    pub(crate) fn new(table: Arc<Table>, timeouts: Timeouts, tracer: Tracer) -> Self {
        Self { table, timeouts, old_clients: OldClients::default(), tracer }
    }

    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.table.metrics)
    }

    /// `encrypted`: the client spoke TLS.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        encrypted: bool,
    ) -> Response<ResponseBody> {
        let id = identify(request.headers());
        let method = request.method().clone();
        if is_for_health(&request) {
            return self.health(id, &method);
        }
        if let Some(page) = monitor::page(&self.table, &self.tracer, &request) {
            return respond::page(page, id, &method);
        }
        let mut request = request.map(RequestBody::new);
        let trace = Trace::begin(&self.tracer, &mut request);
        let mut record = Record::begin(&self.table.metrics, &id, peer, &method, request.body().progress(), trace);
        let is_http1 = request.version() <= Version::HTTP_11;
        // Who waits for 100 would get it by that.
        let reads = is_http1 && !request.headers().contains_key(EXPECT);
        let switch = Switch::asked(&mut request);
        let opens_page = browser::opens_page(&request);
        let open_inference = respond::is_of_open_inference(request.uri().path());
        let asks_old_health = request.uri().path() == predictive_services::HEALTH && is_look(&method);
        let mut grant = Grant::Nothing;
        let outcome = match self.decide(&mut request, &id, peer, encrypted, &mut grant) {
            Ok(Decision::Preflight(granted)) => return respond::preflight(granted, &grant, id, &method, record),
            Ok(Decision::To(api)) => {
                if let Some(switch) = &switch {
                    headers::switch(request.headers_mut(), switch.protocols.clone());
                }
                deliver(&self.table, &self.timeouts, api, request, reads, &mut record).await
            }
            Ok(Decision::OldClient(call, keys, snapshot)) => {
                let (table, timeouts) = (&self.table, &self.timeouts);
                let around = Circumstances { table, snapshot: &snapshot, timeouts, id: &id, peer, encrypted };
                let served = self.old_clients.serve(call, keys, request, &around, &mut grant, &mut record);
                match Box::pin(served).await {
                    Ok(response) => return respond::whole(response, &grant, id, &method, record),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Forwarded::Reply(response)) => respond::reply(response, &grant, id, &method, record),
            Ok(Forwarded::Switched(response, replica)) => match switch {
                Some(switch) => {
                    let response = respond::switched(response, &grant, id, &mut record);
                    switch.run(replica, record, self.timeouts.tunnel);
                    response
                }
                None => {
                    let error = Error::BadReply("101 without an Upgrade".into());
                    respond::refusal(&error, open_inference, &grant, id, &method, record)
                }
            },
            // Unless an API has that path.
            Err(Error::ApiNotFound) if asks_old_health => {
                let response = self.health(id, &method);
                record.answered(response.status());
                record.complete();
                response
            }
            Err(error) => {
                let mut response = respond::refusal(&error, open_inference, &grant, id, &method, record);
                if opens_page && matches!(error, Error::NoKey | Error::WrongKey) {
                    response.headers_mut().insert(WWW_AUTHENTICATE, browser::CHALLENGE);
                }
                if is_http1 && error.ends_connection() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    /// Everything that is decided from the request's head. `grant`: which page may see what comes of it, as far as it is
    /// known.
    fn decide(
        &self,
        request: &mut Request<RequestBody>,
        id: &HeaderValue,
        peer: Peer,
        encrypted: bool,
        grant: &mut Grant,
    ) -> Result<Decision, Error> {
        let look = self.table.look();
        let snapshot = look.as_ref().ok_or(Error::Starting)?;
        if !is_plainly_framed(request.headers()) {
            return Err(Error::BadRequest("the request has another Transfer-Encoding than `chunked`"));
        }
        if cors::is_preflight(request) {
            *grant = pages(request.uri().path(), snapshot).grant(request.headers());
            return cors::preflight(request.headers(), grant).map(Decision::Preflight);
        }
        let from_another_page = browser::sent_for_another_page(request);
        let call = route::normal(request.uri().path()).ok().and_then(|path| Call::of(request.method(), path));
        let keys = match authenticate(request.headers_mut(), &snapshot.keys, SystemTime::now()) {
            Ok(keys) => keys,
            Err(error) => {
                *grant = pages(request.uri().path(), snapshot).grant(request.headers());
                return match call {
                    // Who looks with a browser is looking for an API's page.
                    Some(Call::Handshake) if browser::opens_page(request) => Err(error),
                    Some(call) if matches!(error, Error::NoKey) => {
                        Ok(Decision::OldClient(call, None, Arc::clone(snapshot)))
                    }
                    _ => Err(error),
                };
            }
        };
        if from_another_page {
            *grant = pages(request.uri().path(), snapshot).grant(request.headers());
            if !matches!(grant, Grant::This(_) | Grant::All) {
                return Err(Error::Origin);
            }
        }
        // As far as this key can see, there may be no API.
        *grant = snapshot.pages.grant(request.headers());
        let host = headers::host(request)?;
        let api = match (route(request, snapshot, |api| keys.open(&api.name)), call) {
            (Err(Error::ApiNotFound), Some(call)) => {
                return Ok(Decision::OldClient(call, Some(keys), Arc::clone(snapshot)));
            }
            (routed, _) => routed?,
        };
        *grant = api.pages.grant(request.headers());
        headers::for_replica(request, host, id, peer, encrypted);
        Ok(Decision::To(api))
    }

    /// What is asked at the private socket, which only the cluster itself can reach: the metrics, without a key.
    pub(crate) fn privately<B>(&self, request: &Request<B>) -> Response<ResponseBody> {
        let (id, method) = (identify(request.headers()), request.method());
        if request.uri().path() == telemetry::PATH {
            return respond::page(self.table.metrics.page(self.table.current().as_deref(), &self.tracer), id, method);
        }
        let mut response = respond::page(String::new(), id, method);
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    fn health(&self, id: HeaderValue, method: &Method) -> Response<ResponseBody> {
        let snapshot = self.table.current();
        let health = GatewayHealth {
            status: if snapshot.is_some() { "ok" } else { "starting" }.to_owned(),
            routes_version: snapshot.as_ref().and_then(|snapshot| snapshot.routes_version.clone()),
        };
        let mut response = respond::own(&health, id, method);
        if snapshot.is_none() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, respond::SOON);
        }
        response
    }
}

/// A key makes the second path one of an API's.
fn is_for_health<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let asked = path == HEALTH || path == predictive_services::HEALTH && !has_key(request.headers());
    asked && is_look(request.method())
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
