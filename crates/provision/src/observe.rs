//! Everything a cluster has in the account, all kinds at once.

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::sleep;

use crate::{
    cloud::{Cloud, CloudError, ClusterId, Observed},
    execute::{Pace, Retry, Settings},
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
        groups(kinds).into_iter().map(|kinds| patiently(cloud, cluster, &pace, settings, kinds)).collect();
    let mut all = Vec::new();
    while let Some(found) = running.next().await {
        all.extend(found?);
    }
    all.sort_by(|a, b| (a.kind, &a.key, &a.ids.id).cmp(&(b.kind, &b.key, &b.ids.id)));
    Ok(all)
}

/// Those that are better observed together, and each of the others by itself.
fn groups(kinds: &[Kind]) -> Vec<Vec<Kind>> {
    let is_first = |kind: &Kind| !together(kinds, *kind).any(|other| other < *kind);
    kinds.iter().filter(|kind| is_first(kind)).map(|kind| together(kinds, *kind).collect()).collect()
}

/// The kind and those among `kinds` that go with it.
fn together(kinds: &[Kind], kind: Kind) -> impl Iterator<Item = Kind> {
    let family = Kind::TOGETHER.iter().find(|family| family.contains(&kind));
    kinds.iter().copied().filter(move |other| *other == kind || family.is_some_and(|family| family.contains(other)))
}

/// In spite of throttling. All of them are the same service's.
async fn patiently(
    cloud: &dyn Cloud,
    cluster: &ClusterId,
    pace: &Pace,
    settings: &Settings,
    kinds: Vec<Kind>,
) -> Result<Vec<Observed>, CloudError> {
    let Some(first) = kinds.first().copied() else { return Ok(Vec::new()) };
    let mut retry = Retry::new(settings, &Key::new(first, &[]), first);
    loop {
        let turn = pace.enter(first.service()).await;
        let result = cloud.observe_all(cluster, &kinds).await;
        pace.note(first.service(), &result);
        drop(turn);
        match result {
            Ok(found) => return Ok(found),
            Err(error) => match retry.pause(&error) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_observed_once_and_by_one_service() {
        let kinds: Vec<Kind> = Kind::WANTED.iter().chain(Kind::GROWN).copied().collect();
        let groups = groups(&kinds);
        let mut observed: Vec<Kind> = groups.concat();
        observed.sort();
        assert_eq!(observed, kinds);
        assert!(groups.contains(&vec![Kind::LoadBalancer, Kind::TargetGroup, Kind::Listener]), "{groups:?}");
        for group in groups {
            assert!(group.iter().all(|kind| kind.service() == group[0].service()), "{group:?}");
        }
        assert_eq!(super::groups(&[Kind::Listener, Kind::Role]), [vec![Kind::Listener], vec![Kind::Role]]);
    }
}
