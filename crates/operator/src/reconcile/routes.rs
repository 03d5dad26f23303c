//! `routes.json`: which replicas the gateways may use, computed from what is deployed and what is ready.

use std::collections::BTreeMap;

use api::{
    cors::CorsSettings,
    routes::{ApiRoute, Limits, ROUTES_KEY, ReplicaRoute, Routes},
    wire::ReplicaPhase,
};
use state::{State, StateError, update};

use crate::{app::Deployment, engine::Replica};

/// Writes the routes if they are not what they should be.
pub(super) async fn publish(
    state: &dyn State,
    deployments: &[Deployment],
    replicas: &[Replica],
    cors: CorsSettings,
) -> Result<(), StateError> {
    let wanted = routes(deployments, replicas, cors);
    let change = |present: Option<Routes>| {
        let known = present.as_ref().map(|present| &present.generations);
        let wanted = Routes { generations: generations(deployments, &wanted, known), ..wanted.clone() };
        (present.as_ref() != Some(&wanted)).then_some(wanted)
    };
    update(state, ROUTES_KEY, change).await.map(drop)
}

/// Every deployed API is listed, with its ready replicas of whatever version: during an update both serve.
fn routes(deployments: &[Deployment], replicas: &[Replica], cors: CorsSettings) -> Routes {
    let route = |deployment: &Deployment| {
        let api = &deployment.specification.api;
        let usable = |replica: &&Replica| replica.api == api.name && replica.phase == ReplicaPhase::Ready;
        let mut ready: Vec<_> = replicas
            .iter()
            .filter(usable)
            .map(|replica| ReplicaRoute {
                id: replica.id.clone(),
                version: replica.version.clone(),
                address: replica.address.clone(),
            })
            .collect();
        ready.sort_by(|left, right| left.id.cmp(&right.id));
        let (endpoint, limits) = (api.networking.endpoint.clone(), Limits::from(&api.networking));
        ApiRoute { name: api.name.clone(), endpoint, replicas: ready, limits }
    };
    Routes { apis: deployments.iter().map(route).collect(), cors, ..Routes::default() }
}

type Generations = BTreeMap<String, BTreeMap<String, u64>>;

/// Of every version that serves. Nothing but the routes remembers the generation of a version that is being replaced; where they
/// were lost meanwhile, it has none.
fn generations(deployments: &[Deployment], routes: &Routes, known: Option<&Generations>) -> Generations {
    let of_api = |(deployment, route): (&Deployment, &ApiRoute)| {
        let (present, generation) = (deployment.replica_version(), deployment.head.generation);
        let former = known.and_then(|known| known.get(&route.name));
        let of_version = |replica: &ReplicaRoute| match replica.version == present {
            true => Some((replica.version.clone(), generation)),
            false => Some((replica.version.clone(), *former?.get(&replica.version)?)),
        };
        (route.name.clone(), route.replicas.iter().filter_map(of_version).collect())
    };
    let all = deployments.iter().zip(&routes.apis).map(of_api);
    all.filter(|(_, versions): &(_, BTreeMap<_, _>)| !versions.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use transport::Address;

    use super::*;
    use crate::app::{Head, Specification};

    fn deployment(path: &str, generation: u64) -> Deployment {
        let yaml = format!("- name: iris\n  kind: RealtimeAPI\n  predictor:\n    type: python\n    path: {path}\n");
        let mut apis = spec::realtime::parse("test", &yaml).expect("it is good");
        let api = apis.pop().expect("there is one");
        let head =
            Head { spec: String::new(), generation, updated_at: OffsetDateTime::UNIX_EPOCH, updated_by: String::new() };
        Deployment { head, specification: Specification { api, bundle: "b".to_owned() } }
    }

    fn served(versions: &[&str]) -> Routes {
        let replica = |version: &&str| ReplicaRoute {
            id: (*version).to_owned(),
            version: (*version).to_owned(),
            address: Address::Tcp("127.0.0.1:1".to_owned()),
        };
        let replicas = versions.iter().map(replica).collect();
        let iris =
            ApiRoute { name: "iris".to_owned(), endpoint: "/iris".to_owned(), limits: Default::default(), replicas };
        Routes { apis: vec![iris], ..Routes::default() }
    }

    #[test]
    fn a_version_keeps_its_generation_while_it_serves() {
        let (first, second) = (deployment("a.py", 1), deployment("b.py", 2));
        let (one, two) = (first.replica_version(), second.replica_version());
        let of = |pairs: &[(&String, u64)]| {
            let versions = pairs.iter().map(|(version, generation)| ((*version).clone(), *generation)).collect();
            Generations::from([("iris".to_owned(), versions)])
        };
        let begun = generations(&[first], &served(&[&one]), None);
        assert_eq!(begun, of(&[(&one, 1)]));
        let during = generations(std::slice::from_ref(&second), &served(&[&one, &two]), Some(&begun));
        assert_eq!(during, of(&[(&one, 1), (&two, 2)]));
        let after = generations(std::slice::from_ref(&second), &served(&[&two]), Some(&during));
        assert_eq!(after, of(&[(&two, 2)]));
        let lost = generations(std::slice::from_ref(&second), &served(&[&one]), None);
        assert_eq!(lost, Generations::new(), "nobody knows any more");
        // A deploy that changes no replica is a deploy.
        let counted = generations(&[deployment("b.py", 3)], &served(&[&two]), Some(&after));
        assert_eq!(counted, of(&[(&two, 3)]));
    }
}
