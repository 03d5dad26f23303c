//! Seeing how things are, shared by everybody who wants to know.
//!
//! Whoever asks gets an observation that began after the question; of each kind there is at most one per tick. So a
//! hundred waiters cost as much as one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::Pace;
use crate::{
    cloud::{Cloud, CloudError, ClusterId, Observed},
    resource::Kind,
};

type Seen = Result<Arc<Vec<Observed>>, CloudError>;

pub(crate) struct Look<'a> {
    cloud: &'a dyn Cloud,
    cluster: &'a ClusterId,
    pace: &'a Pace,
    tick: Duration,
    /// The last observation of each kind, and when it began.
    last: BTreeMap<Kind, Mutex<Option<(Instant, Seen)>>>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(cloud: &'a dyn Cloud, cluster: &'a ClusterId, pace: &'a Pace, tick: Duration) -> Self {
        let kinds = Kind::WANTED.iter().chain(Kind::GROWN);
        Self { cloud, cluster, pace, tick, last: kinds.map(|kind| (*kind, Mutex::new(None))).collect() }
    }

    pub(crate) async fn at(&self, kind: Kind) -> Seen {
        let asked = Instant::now();
        let mut last = self.last[&kind].lock().await;
        if let Some((begun, seen)) = &*last {
            if *begun >= asked {
                return seen.clone();
            }
            sleep_until(*begun + self.tick).await;
        }
        let begun = Instant::now();
        let seen = observe_kind(self.cloud, self.cluster, self.pace, kind).await.map(Arc::new);
        *last = Some((begun, seen.clone()));
        seen
    }
}

pub(crate) async fn observe_kind(
    cloud: &dyn Cloud,
    cluster: &ClusterId,
    pace: &Pace,
    kind: Kind,
) -> Result<Vec<Observed>, CloudError> {
    let _turn = pace.enter(kind.service()).await;
    let result = cloud.observe(cluster, kind).await;
    pace.note(kind.service(), &result);
    result
}
