//! The rules of `operator_access`, from the State: read anew for every request, so that a changed rule holds at once.

use std::sync::Arc;

use api::cluster::ACCESS_KEY;
use async_trait::async_trait;
use identity::sts::{AccessSource, OperatorAccess};
use state::State;

pub struct StateAccess {
    state: Arc<dyn State>,
}

impl StateAccess {
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }
}

#[async_trait]
impl AccessSource for StateAccess {
    /// A cluster without the document is one that nobody may use: its absence is not the default.
    async fn access(&self) -> Result<OperatorAccess, String> {
        match state::read(&*self.state, ACCESS_KEY).await {
            Ok(Some((access, _))) => Ok(access),
            Ok(None) => Err("who may use this cluster is not recorded: `cortex cluster update` records it".to_owned()),
            Err(error) => Err(format!("who may use this cluster cannot be read: {error}")),
        }
    }
}
