//! What the gateway serves at one moment: immutable, replaced as a whole.
//!
//! Replicas live longer than snapshots: one that is in the old snapshot and in the new one, with the same id at the same
//! address, is the same [`Upstream`], with its idle connections and its count of requests in flight. One that left is
//! retired: its idle connections are closed at once and the others when their request ends. A draining replica counts
//! on that; it waits for the gateways to hang up. An API's [`Gate`] is the same one for as long as the API is served.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use api::routes::{Keys, ReplicaRoute, Routes};
use arc_swap::{ArcSwapOption, Guard};
use state::Version;
use transport::Address;

use crate::{
    gate::Gate,
    keys::KeySet,
    metrics::{ApiMetrics, Metrics},
    phase::cors::Pages,
    upstream::Upstream,
};

/// One API and the replicas that may get its requests.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) name: Arc<str>,
    pub(crate) replicas: Vec<Arc<Upstream>>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) gate: Arc<Gate>,
    /// For the head of a response, if the API has its own.
    pub(crate) timeout: Option<Duration>,
    /// The same as long as there is an API of this name.
    pub(crate) metrics: Arc<ApiMetrics>,
}

type Upstreams = HashMap<(String, Address), Arc<Upstream>>;

#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) keys: KeySet,
    /// Pages that may call where there is no API.
    pub(crate) pages: Arc<Pages>,
    /// Which version of the routes this is, unless they come from disk.
    pub(crate) routes_version: Option<String>,
    /// By endpoint without a slash at its end; the root's is empty.
    endpoints: HashMap<String, Arc<Api>>,
    /// Length of the longest endpoint: no longer prefix needs to be looked up.
    longest: usize,
    names: HashMap<Arc<str>, Arc<Api>>,
    /// By API and version.
    generations: BTreeMap<String, BTreeMap<String, u64>>,
    upstreams: Upstreams,
}

impl Snapshot {
    #[cfg(test)]
    pub(crate) fn new(routes: &Routes, keys: &Keys, previous: Option<&Self>) -> Self {
        Self::measured(routes, keys, previous, &Metrics::default())
    }

    /// Takes over from `previous` the replicas that are still there.
    fn measured(routes: &Routes, keys: &Keys, previous: Option<&Self>, metrics: &Metrics) -> Self {
        let keys = KeySet::new(keys, previous.map(|previous| &previous.keys));
        let pages = Arc::new(routes.cors.cluster.as_ref().map_or(Pages::None, Pages::new));
        let generations = routes.generations.clone();
        let mut snapshot = Self { keys, pages: Arc::clone(&pages), generations, ..Self::default() };
        for route in &routes.apis {
            let metrics = metrics.api(&route.name);
            let replicas =
                route.replicas.iter().map(|replica| snapshot.upstream(replica, previous, &metrics)).collect();
            let own = routes.cors.apis.get(&route.name).map(|own| Arc::new(Pages::new(own)));
            let pages = own.unwrap_or_else(|| Arc::clone(&pages));
            let known = previous.and_then(|previous| previous.names.get(&*route.name));
            let gate = known.map_or_else(Arc::default, |known| Arc::clone(&known.gate));
            gate.limit(&route.limits);
            let timeout = route.limits.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
            let api = Arc::new(Api { name: route.name.as_str().into(), replicas, pages, gate, timeout, metrics });
            let endpoint = route.endpoint.trim_end_matches('/');
            snapshot.longest = snapshot.longest.max(endpoint.len());
            snapshot.names.insert(Arc::clone(&api.name), Arc::clone(&api));
            snapshot.endpoints.insert(endpoint.to_owned(), api);
        }
        snapshot
    }

    fn upstream(&mut self, route: &ReplicaRoute, previous: Option<&Self>, metrics: &ApiMetrics) -> Arc<Upstream> {
        let identity = (route.id.clone(), route.address.clone());
        let known = self.upstreams.get(&identity).or_else(|| previous?.upstreams.get(&identity));
        let upstream = match known {
            Some(known) if known.version == route.version => Arc::clone(known),
            _ => Arc::new(Upstream::new(route).measured(metrics.version(&route.version))),
        };
        self.upstreams.insert(identity, Arc::clone(&upstream));
        upstream
    }

    /// Of the APIs that are `open`, the one whose endpoint is the longest prefix, at whole segments, of a path that begins
    /// with a slash; and the rest of the path, which is empty or begins with one.
    pub(crate) fn find<'p>(&self, path: &'p str, open: impl Fn(&Api) -> bool) -> Option<(Arc<Api>, &'p str)> {
        let ends = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(position, _)| position);
        ends.chain([path.len()])
            .take_while(|end| *end <= self.longest)
            .filter_map(|end| Some((self.endpoints.get(&path[..end])?, &path[end..])))
            .filter(|(api, _)| open(api))
            .last()
            .map(|(api, rest)| (Arc::clone(api), rest))
    }

    pub(crate) fn apis(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.names.values()
    }

    pub(crate) fn api(&self, name: &str) -> Option<Arc<Api>> {
        self.names.get(name).cloned()
    }

    /// How many deploys it took to make that version of an API, if it is known.
    pub(crate) fn generation(&self, api: &str, version: &str) -> Option<u64> {
        self.generations.get(api)?.get(version).copied()
    }

    /// Retires the replicas that are not in `next`.
    fn retire_for(&self, next: &Self) {
        for (identity, upstream) in &self.upstreams {
            if !next.upstreams.get(identity).is_some_and(|kept| Arc::ptr_eq(kept, upstream)) {
                upstream.retire();
            }
        }
    }
}

/// Holds the present snapshot; empty until there is a first one.
#[derive(Debug, Default)]
pub(crate) struct Table {
    snapshot: ArcSwapOption<Snapshot>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Table {
    pub(crate) fn current(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// The same for a short look, at which no two processors compete for a count of who looks.
    pub(crate) fn look(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.snapshot.load()
    }

    /// There is no snapshot any more.
    pub(crate) fn withdraw(&self) {
        if let Some(old) = self.snapshot.swap(None) {
            old.retire_for(&Snapshot::default());
        }
    }

    /// Replaces the snapshot. Only one task may do so.
    pub(crate) fn publish(&self, routes: &Routes, keys: &Keys, version: Option<&Version>) {
        let old = self.current();
        let mut new = Snapshot::measured(routes, keys, old.as_deref(), &self.metrics);
        new.routes_version = version.map(|version| version.0.clone());
        let new = Arc::new(new);
        self.snapshot.store(Some(Arc::clone(&new)));
        self.metrics.published();
        // Only now, so that a request that still chooses from the old one is the exception.
        if let Some(old) = old {
            old.retire_for(&new);
        }
    }
}

#[cfg(test)]
mod tests {
    use api::routes::ApiRoute;

    use super::*;

    fn routes(replicas: &[(&str, &str, u16)]) -> Routes {
        let replica = |(id, version, port): &(&str, &str, u16)| ReplicaRoute {
            id: (*id).to_owned(),
            version: (*version).to_owned(),
            address: Address::Tcp(format!("127.0.0.1:{port}")),
        };
        let replicas = replicas.iter().map(replica).collect();
        Routes {
            apis: vec![ApiRoute {
                name: "iris".to_owned(),
                endpoint: "/iris".to_owned(),
                replicas,
                ..ApiRoute::default()
            }],
            ..Routes::default()
        }
    }

    #[test]
    fn a_replica_is_the_same_while_id_address_and_version_are() {
        let table = Table::default();
        let replicas = |routes: &Routes| {
            table.publish(routes, &Keys::default(), None);
            table.current().unwrap().api("iris").unwrap().replicas.clone()
        };
        let first = replicas(&routes(&[("a", "1", 1), ("b", "1", 2)]));
        let second = replicas(&routes(&[("b", "1", 2), ("a", "1", 9), ("c", "1", 3)]));
        assert!(Arc::ptr_eq(&first[1], &second[0]));
        assert!(!Arc::ptr_eq(&first[0], &second[1]));
        assert_eq!([first[0].is_retired(), first[1].is_retired()], [true, false]);
        let third = replicas(&routes(&[("b", "2", 2)]));
        assert!(!Arc::ptr_eq(&second[0], &third[0]));
        assert!(second.iter().all(|replica| replica.is_retired()));
        assert!(!third[0].is_retired());
    }

    #[test]
    fn an_api_keeps_its_gate() {
        let table = Table::default();
        let gate = |routes: &Routes| {
            table.publish(routes, &Keys::default(), None);
            Arc::clone(&table.current().unwrap().api("iris").unwrap().gate)
        };
        let first = gate(&routes(&[("a", "1", 1)]));
        assert!(Arc::ptr_eq(&first, &gate(&routes(&[]))));
    }

    #[test]
    fn a_replica_of_two_apis_is_one_replica() {
        let mut two = routes(&[("a", "1", 1)]);
        let mut twin = two.apis[0].clone();
        (twin.name, twin.endpoint) = ("rose".to_owned(), "/rose".to_owned());
        two.apis.push(twin);
        let snapshot = Snapshot::new(&two, &Keys::default(), None);
        let [iris, rose] = ["iris", "rose"].map(|name| snapshot.api(name).unwrap());
        assert!(Arc::ptr_eq(&iris.replicas[0], &rose.replicas[0]));
    }
}
