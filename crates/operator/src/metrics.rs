//! What an operator counts of its own doing. It answers few requests, so a lock is no matter here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use api::Endpoint;
use http::StatusCode;
use identity::Role;
use telemetry::{Counter, Gauge, Histogram, Page, catalogue::operator as families};

#[derive(Default)]
pub(crate) struct Metrics {
    /// By route, role and code; of each there are only so many.
    requests: Mutex<BTreeMap<(String, &'static str, u16), u64>>,
    pub(crate) reconcile: Histogram,
    pub(crate) reconcile_failures: Counter,
    /// 1 if this operator is the one that reconciles.
    pub(crate) lease: Gauge,
}

/// What is learned of a request on its way in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Arc<(OnceLock<Endpoint>, OnceLock<Role>)>);

impl Asked {
    pub(crate) fn at(&self, endpoint: Endpoint) {
        self.0.0.get_or_init(|| endpoint);
    }

    pub(crate) fn by(&self, role: Role) {
        self.0.1.get_or_init(|| role);
    }
}

impl Metrics {
    pub(crate) fn answered(&self, asked: &Asked, status: StatusCode) {
        let (endpoint, role) = &*asked.0;
        let route = endpoint.get().map(|endpoint| format!("{} {}", endpoint.method(), endpoint.path()));
        let role = role.get().map_or("", |role| match role {
            Role::Read => "read",
            Role::Deploy => "deploy",
            Role::Admin => "admin",
        });
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route.unwrap_or_default(), role, status.as_u16())).or_default() += 1;
    }

    pub(crate) fn measure(&self, page: &mut Page) {
        page.family(&families::INFO).add(&[env!("CARGO_PKG_VERSION")], 1);
        let mut series = page.family(&families::REQUESTS);
        for ((route, role, code), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            series.add(&[route, role, &code.to_string()], count);
        }
        page.family(&families::RECONCILE).histogram(&[], &self.reconcile);
        page.one(&families::RECONCILE_FAILURES, self.reconcile_failures.get());
        page.one(&families::LEASE, self.lease.get());
    }
}
