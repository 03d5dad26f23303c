//! The cluster's State, which is in its bucket.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_infra::load;
use aws_node::{S3State, Settings};
use spec::{Secret, cluster::Credentials};
use state::{State, read};

use super::{NodeConfig, RuntimeKeys, account};
use crate::report::Failure;

/// By the given credentials; `account_id` says whose bucket it has to be, where that is known.
pub fn cluster_state(config: &SdkConfig, bucket: &str, account_id: Option<&str>) -> S3State {
    let account_id = account_id.map(str::to_owned);
    S3State::new(config, Settings { account_id, ..Settings::new(bucket) })
}

/// What a process on a control node works with: the credentials of its instance, or the keys that the cluster was given.
pub async fn node_state(node: &NodeConfig) -> Result<(SdkConfig, Arc<dyn State>), Failure> {
    let instance = load(Some(&node.region), None).await.map_err(account::setup)?;
    let state = cluster_state(&instance, &node.bucket, Some(&node.account_id));
    let Some(object) = &node.runtime_keys else { return Ok((instance, Arc::new(state))) };
    let Some((keys, _)) = read::<RuntimeKeys>(&state, object).await? else {
        return Err(Failure::internal(format!("the keys that the cluster runs with are not in its bucket ({object})"))
            .hint("run `cortex cluster up` again with both keys set"));
    };
    let pair =
        Credentials { access_key_id: keys.access_key_id, secret_access_key: Secret::new(&keys.secret_access_key) };
    let config = load(Some(&node.region), Some(&pair)).await.map_err(account::setup)?;
    let state = cluster_state(&config, &node.bucket, Some(&node.account_id));
    Ok((config, Arc::new(state)))
}
