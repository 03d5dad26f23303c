//! The page that `GET /metrics` answers.

use std::sync::{Arc, PoisonError, Weak};

use telemetry::{Counter, Page, Tracer, catalogue::gateway as families, describe_process};

use super::{ApiMetrics, Metrics, VersionMetrics, lock};
use crate::snapshot::Snapshot;

/// One API while its series are written.
struct Told {
    api: Arc<ApiMetrics>,
    versions: Vec<(String, Arc<VersionMetrics>)>,
}

impl Told {
    fn of(api: Arc<ApiMetrics>) -> Self {
        let held = lock(&api.versions);
        let alive = |(name, version): (&String, &Weak<VersionMetrics>)| Some((name.clone(), version.upgrade()?));
        let versions = held.iter().filter_map(alive).collect();
        drop(held);
        Self { api, versions }
    }

    /// All versions, and what has none.
    fn versions(&self) -> impl Iterator<Item = (&str, &VersionMetrics)> {
        let versions = self.versions.iter().map(|(name, version)| (name.as_str(), &**version));
        [("", &self.api.none)].into_iter().chain(versions)
    }
}

impl Metrics {
    /// `snapshot`: what is served now.
    pub(crate) fn page(&self, snapshot: Option<&Snapshot>, tracer: &Tracer) -> String {
        let apis: Vec<Told> = self.present().into_iter().map(Told::of).collect();
        let mut page = Page::default();
        page.family(&families::INFO).add(&[env!("CARGO_PKG_VERSION")], 1);
        requests(&mut page, &apis);
        durations(&mut page, &apis);
        of_apis(&mut page, &apis);
        self.of_snapshot(&mut page, snapshot);
        page.one(&families::CONNECTIONS, transport::open_connections());
        self.of_certificate(&mut page);
        tracer.describe(&mut page);
        describe_process(&mut page);
        page.text()
    }

    fn of_snapshot(&self, page: &mut Page, snapshot: Option<&Snapshot>) {
        let apis = || snapshot.into_iter().flat_map(Snapshot::apis);
        let mut series = page.family(&families::REPLICAS);
        for api in apis() {
            series.add(&[&api.name], api.replicas.len());
        }
        let mut series = page.family(&families::EJECTED);
        for api in apis() {
            series.add(&[&api.name], api.replicas.iter().filter(|replica| replica.is_out()).count());
        }
        let mut series = page.family(&families::ROUTES);
        if let Some(snapshot) = snapshot {
            series.add(&[snapshot.routes_version.as_deref().unwrap_or_default()], 1);
        }
        page.one(&families::ROUTES_PUBLISHED, self.published.get());
        page.one(&families::STORE_READ, self.store_read.get());
    }

    fn of_certificate(&self, page: &mut Page) {
        let certificates = self.certificates.read().unwrap_or_else(PoisonError::into_inner);
        let mut series = page.family(&families::CERTIFICATE_END);
        if let Some(end) = certificates.iter().map(transport::ServerTls::ends).min() {
            series.add(&[], end);
        }
    }
}

fn requests(page: &mut Page, apis: &[Told]) {
    let mut series = page.family(&families::REQUESTS);
    for told in apis {
        for (version, numbers) in told.versions() {
            for (code, count) in numbers.codes.all() {
                series.add(&[&told.api.name, version, &code.to_string()], count);
            }
            if numbers.no_code.get() > 0 {
                series.add(&[&told.api.name, version, "none"], numbers.no_code.get());
            }
        }
    }
}

fn durations(page: &mut Page, apis: &[Told]) {
    let mut series = page.family(&families::DURATION);
    for told in apis {
        for (version, numbers) in told.versions() {
            series.histogram(&[&told.api.name, version], &numbers.total);
        }
    }
    let mut series = page.family(&families::PHASES);
    for told in apis {
        for (version, numbers) in &told.versions {
            let phases = [
                ("wait", &numbers.wait),
                ("connect", &numbers.connect),
                ("head", &numbers.head),
                ("body", &numbers.body),
            ];
            for (phase, histogram) in phases {
                series.histogram(&[&told.api.name, version, phase], histogram);
            }
        }
    }
}

fn of_apis(page: &mut Page, apis: &[Told]) {
    let mut series = page.family(&families::IN_FLIGHT);
    for Told { api, .. } in apis {
        series.add(&[&api.name], api.open.get());
    }
    // What waits has been routed.
    let routed = || apis.iter().filter(|told| !told.api.name.is_empty());
    let mut series = page.family(&families::QUEUED);
    for Told { api, .. } in routed() {
        series.add(&[&api.name], api.queued.get());
    }
    let mut series = page.family(&families::QUEUE_TIME);
    for Told { api, .. } in routed() {
        series.histogram(&[&api.name], &api.queue);
    }
    let mut series = page.family(&families::ERRORS);
    for Told { api, .. } in apis {
        for (kind, cause, count) in api.errors.all() {
            series.add(&[&api.name, kind, cause], count);
        }
    }
    type Of = fn(&ApiMetrics) -> &Counter;
    let counters: [(_, Of); 4] = [
        (&families::ATTEMPTS, |api| &api.attempts),
        (&families::RETRIES, |api| &api.retries),
        (&families::RECEIVED, |api| &api.received),
        (&families::SENT, |api| &api.sent),
    ];
    for (family, counter) in counters {
        let mut series = page.family(family);
        for Told { api, .. } in apis {
            series.add(&[&api.name], counter(api).get());
        }
    }
}
