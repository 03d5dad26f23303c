//! Instances that the groups have started, found to be ended.

use aws_sdk_ec2::types::InstanceStateName;
use provision::{
    cloud::{Observed, State},
    resource::{Key, Kind},
};

use super::ec2_tags;
use crate::{
    call::{Call, Found, Result, id},
    classify::{ec2, gone},
    tags,
};

/// The tags are the launch template's, the same for all of a group; the key is made of the id.
pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let pages = call.clients.ec2.describe_instances().filters(call.filter()).into_paginator().items().send();
    let mut observed = Vec::new();
    let reservations = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(ec2)?;
    for instance in reservations.into_iter().filter_map(|reservation| reservation.instances).flatten() {
        let tags = ec2_tags::read(instance.tags.as_deref());
        let Some(instance_id) = instance.instance_id().filter(|_| tags::belongs(call.cluster, &tags)) else { continue };
        let state = match instance.state.as_ref().and_then(|state| state.name()) {
            Some(InstanceStateName::Terminated) => continue,
            Some(InstanceStateName::ShuttingDown) => State::Deleting,
            Some(InstanceStateName::Pending) => State::Pending,
            _ => State::Available,
        };
        let (key, kind, ids) = (Key::new(Kind::Instance, &[instance_id]), Kind::Instance, id(instance_id));
        observed.push(Found { key, kind, ids, tags, state, actual: None, created_at: instance.launch_time }.into());
    }
    Ok(observed)
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.ec2.terminate_instances().instance_ids(&what.ids.id).send().await.map(drop).map_err(ec2))
}
