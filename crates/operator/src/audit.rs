//! Who asked the operator for what, and whether it was allowed.
//!
//! Every request to a route that is not public becomes an event: a line in the operator's log at once, and a line of an
//! object in the State with the other events of the same seconds. What is refused is kept too, with bounds, so that
//! strangers can fill neither memory nor store: equal reads and equal refusals of one batch are one event with a count, and
//! beyond [`MAX_DISTINCT`] of them only their number is kept. A change is never merged with another and never left out.

mod batch;
mod store;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use api::{
    Endpoint,
    wire::{AuditEvent, AuditOutcome, AuditVia},
};
use identity::Principal;
use state::State;
use telemetry::Counter;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use transport::Peer;

use batch::Batch;
pub(crate) use store::read;

/// Events of so long are written together.
const FLUSH: Duration = Duration::from_secs(5);
/// Reads and refusals of one batch that are told apart.
const MAX_DISTINCT: usize = 1_000;
/// Changes that wait to be written; more than people and pipelines make while the State is away for hours.
const MAX_CHANGES: usize = 100_000;

/// Takes events from requests and brings them to the State.
pub(crate) struct Audit {
    state: Arc<dyn State>,
    batch: Mutex<Batch>,
    /// Held by the one that writes.
    writing: tokio::sync::Mutex<()>,
    /// Requests whose event was only counted.
    pub(crate) lost: Counter,
}

impl Audit {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        Self { state, batch: Mutex::default(), writing: tokio::sync::Mutex::default(), lost: Counter::default() }
    }

    /// Begins the entry of a request.
    pub(crate) fn begin(
        self: &Arc<Self>,
        endpoint: Endpoint,
        request_id: &str,
        peer: Option<Peer>,
        path: &str,
    ) -> Entry {
        let event = AuditEvent {
            time: OffsetDateTime::now_utc(),
            request_id: request_id.to_owned(),
            outcome: AuditOutcome::Unauthenticated,
            principal: None,
            via: None,
            peer: peer.map(|peer| peer.to_string()).unwrap_or_default(),
            method: endpoint.method().to_string(),
            // Whatever a stranger writes there is not kept.
            path: endpoint.path().to_owned(),
            status: None,
            reason: None,
            count: 1,
        };
        Entry { audit: Arc::clone(self), endpoint, path: path.to_owned(), event: Some(event) }
    }

    fn take(&self, event: AuditEvent, change: bool) {
        log(&event);
        if !self.lock().add(event, change) {
            self.lost.add(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes batches until `stop`, and then what is left.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut last_day = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(FLUSH) => {}
                () = stop.cancelled() => return self.flush().await,
            }
            self.flush().await;
            let today = OffsetDateTime::now_utc().date();
            if last_day != Some(today) {
                match store::delete_old(&*self.state, today).await {
                    Ok(()) => last_day = Some(today),
                    Err(error) => tracing::warn!(%error, "old audit events could not be deleted"),
                }
            }
        }
    }

    /// Writes everything that has been taken until now; what could not be written stays for the next time. In a task of
    /// its own: whoever waits for it may go away in the middle.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let audit = Arc::clone(self);
        let written = tokio::spawn(async move { audit.write().await });
        if let Err(error) = written.await {
            tracing::error!(%error, "audit events were not written");
        }
    }

    async fn write(&self) {
        let _alone = self.writing.lock().await;
        let events = self.lock().drain();
        if events.is_empty() {
            return;
        }
        if let Err(error) = store::write(&*self.state, &events).await {
            tracing::warn!(%error, events = events.len(), "audit events could not be written; trying again");
            self.lock().put_back(events);
        }
    }
}

/// The event of one request, written when the request is over, however it ends.
pub(crate) struct Entry {
    audit: Arc<Audit>,
    endpoint: Endpoint,
    path: String,
    event: Option<AuditEvent>,
}

impl Entry {
    fn event(&mut self) -> &mut AuditEvent {
        self.event.as_mut().expect("it is taken at the end only")
    }

    /// Somebody has proved who it is.
    pub(crate) fn proved(&mut self, principal: &Principal, via: AuditVia) {
        let path = std::mem::take(&mut self.path);
        let event = self.event();
        (event.outcome, event.principal, event.via, event.path) =
            (AuditOutcome::Allowed, Some(principal.clone()), Some(via), path);
    }

    pub(crate) fn refused(&mut self, outcome: AuditOutcome, reason: String) {
        let event = self.event();
        (event.outcome, event.reason) = (outcome, Some(reason));
    }

    pub(crate) fn answered(mut self, status: http::StatusCode) {
        self.event().status = Some(status.as_u16());
    }
}

impl Drop for Entry {
    /// Without a status: the caller went away before there was an answer.
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            let change = self.endpoint.changes() && event.outcome == AuditOutcome::Allowed;
            self.audit.take(event, change);
        }
    }
}

fn log(event: &AuditEvent) {
    let AuditEvent { request_id, outcome, via, peer, method, path, status, reason, .. } = event;
    let (principal, id) = match &event.principal {
        Some(principal) => (principal.to_string(), principal.id.as_str()),
        None => (String::new(), ""),
    };
    tracing::info!(
        request_id,
        ?outcome,
        ?via,
        principal,
        id,
        peer,
        method,
        path,
        ?status,
        reason = reason.as_deref().unwrap_or_default(),
        "asked"
    );
}
