//! Everything a cluster has in the account, all kinds at once.

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::sleep;

use crate::{
    cloud::{Cloud, CloudError, ClusterId, Observed},
    execute::{Pace, Retry, Settings, observe_kind},
    resource::{Key, Kind},
};

/// Everything of these kinds, in the order of kinds, keys and ids.
///
/// # Errors
///
/// The first kind that cannot be observed.
pub async fn observe(
    cloud: &dyn Cloud,
    cluster: &ClusterId,
    kinds: &[Kind],
    settings: &Settings,
) -> Result<Vec<Observed>, CloudError> {
    let pace = Pace::new(settings);
    let mut running: FuturesUnordered<_> =
        kinds.iter().map(|kind| patiently(cloud, cluster, &pace, settings, *kind)).collect();
    let mut all = Vec::new();
    while let Some(found) = running.next().await {
        all.extend(found?);
    }
    all.sort_by(|a, b| (a.kind, &a.key, &a.ids.id).cmp(&(b.kind, &b.key, &b.ids.id)));
    Ok(all)
}

/// One kind, in spite of throttling.
async fn patiently(
    cloud: &dyn Cloud,
    cluster: &ClusterId,
    pace: &Pace,
    settings: &Settings,
    kind: Kind,
) -> Result<Vec<Observed>, CloudError> {
    let mut retry = Retry::new(settings, &Key::new(kind, &[]), kind);
    loop {
        match observe_kind(cloud, cluster, pace, kind).await {
            Ok(found) => return Ok(found),
            Err(error) => match retry.pause(&error) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}
