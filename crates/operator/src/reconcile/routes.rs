//! `routes.json`: which replicas the gateways may use, computed from what is deployed and what is ready.

use api::{
    cors::CorsSettings,
    routes::{ApiRoute, ROUTES_KEY, ReplicaRoute, Routes},
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
    let change = |present: Option<Routes>| (present.as_ref() != Some(&wanted)).then(|| wanted.clone());
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
        ApiRoute { name: api.name.clone(), endpoint: api.networking.endpoint.clone(), replicas: ready }
    };
    Routes { apis: deployments.iter().map(route).collect(), cors }
}
