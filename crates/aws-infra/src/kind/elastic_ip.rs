//! Addresses for NAT gateways.

use aws_sdk_ec2::types::{DomainType, ResourceType};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{ElasticIp, Kind, Resource},
};

use super::ec2_tags;
use crate::{
    call::{Call, Fields, Found, Result, id, missing},
    classify::{ec2, gone},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    // The only describe without pages.
    let reply = call.clients.ec2.describe_addresses().filters(call.filter()).send().await.map_err(ec2)?;
    let mut observed = Vec::new();
    for address in reply.addresses.unwrap_or_default() {
        let tags = ec2_tags::read(address.tags.as_deref());
        let (Some(key), Some(ids)) = (tags::owned(call.cluster, &tags), address.allocation_id().map(id)) else {
            continue;
        };
        let (kind, state, actual) = (Kind::ElasticIp, State::Available, Some(Resource::ElasticIp(ElasticIp {})));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, _: &ElasticIp) -> Result<Ids> {
    let request = call.clients.ec2.allocate_address().domain(DomainType::Vpc);
    let request = request.tag_specifications(tags::specification(ResourceType::ElasticIp, &wanted.tags));
    let made = request.send().await.map_err(ec2)?.allocation_id;
    made.map(id).ok_or_else(|| missing("id of the address"))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    _: &ElasticIp,
    changes: &[Change],
) -> Result<()> {
    Fields::of(Kind::ElasticIp, changes, &[])?;
    ec2_tags::update(call, &current.ids.id, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.ec2.release_address().allocation_id(&what.ids.id).send().await.map(drop).map_err(ec2))
}
