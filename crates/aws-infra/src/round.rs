//! What has been told already in one look at several kinds. What more than one of them needs is asked once, and forgotten
//! with the look: nothing here is older than the question.

use std::{collections::BTreeSet, sync::Arc};

use provision::resource::Kind;
use tokio::sync::OnceCell;

use crate::{
    call::{Call, Result},
    kind::{
        balancing::{self, Balancing},
        bucket, ecs_cluster,
    },
};

#[derive(Default)]
pub(crate) struct Round {
    /// What is looked at.
    kinds: BTreeSet<Kind>,
    balancing: OnceCell<Arc<Balancing>>,
    buckets: OnceCell<Arc<[bucket::Ours]>>,
    ecs_cluster: OnceCell<Option<Arc<ecs_cluster::Ours>>>,
}

impl Round {
    pub(crate) fn of(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.iter().copied().collect(), ..Self::default() }
    }
}

impl Call<'_> {
    pub(crate) async fn balancing(&self) -> Result<Arc<Balancing>> {
        let look = async || balancing::look(*self, &self.round.kinds).await.map(Arc::new);
        self.round.balancing.get_or_try_init(look).await.cloned()
    }

    pub(crate) async fn buckets(&self) -> Result<Arc<[bucket::Ours]>> {
        self.round.buckets.get_or_try_init(async || bucket::ours(*self).await.map(Arc::from)).await.cloned()
    }

    /// If it exists and is ours; also the one on its way out.
    pub(crate) async fn ecs_cluster(&self) -> Result<Option<Arc<ecs_cluster::Ours>>> {
        let look = async || Ok(ecs_cluster::ours(*self).await?.map(Arc::new));
        self.round.ecs_cluster.get_or_try_init(look).await.cloned()
    }
}
