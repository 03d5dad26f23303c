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
        let networking = &api.networking;
        let limits = Limits {
            timeout_s: networking.timeout,
            max_in_flight: networking.max_in_flight,
            max_queue_length: networking.max_queue_length,
        };
        ApiRoute { name: api.name.clone(), endpoint: networking.endpoint.clone(), replicas: ready, limits }
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
