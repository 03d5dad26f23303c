//! Availability zones in which everything can run.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{AvailabilityZoneState, Filter, LocationType};

use super::FactsError;
use crate::{Clients, classify::ec2};

/// Zones that take no new network load balancers or instances of current types, by id, which is the same in all
/// accounts. Known from eksctl, which leaves them out too.
const CROWDED: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];

/// In order of their names.
pub(super) async fn usable(clients: &Clients, types: &BTreeSet<&str>) -> Result<Vec<String>, FactsError> {
    let (zones, offers) = futures_util::try_join!(Box::pin(open(clients)), Box::pin(offers(clients, types)))?;
    // Said of a type that nobody has heard of, that no zone offers it would lead astray.
    if let Some(unknown) = types.iter().find(|of| !offers.contains_key(**of)) {
        return Err(FactsError::NoSuchInstanceType((*unknown).to_owned()));
    }
    Ok(zones.into_iter().filter(|zone| offers.values().all(|of| of.contains(zone))).collect())
}

async fn open(clients: &Clients) -> Result<BTreeSet<String>, FactsError> {
    let reply = clients.ec2.describe_availability_zones().send().await.map_err(ec2)?;
    let zones = reply.availability_zones.unwrap_or_default().into_iter().filter(|zone| {
        // Neither local nor wavelength zones; those of a region need no opting in.
        zone.state() == Some(&AvailabilityZoneState::Available)
            && zone.zone_type().is_none_or(|of| of == "availability-zone")
            && !zone.zone_id().is_some_and(|id| CROWDED.contains(&id))
    });
    Ok(zones.filter_map(|zone| zone.zone_name).collect())
}

/// By instance type, the zones that offer it.
async fn offers(clients: &Clients, types: &BTreeSet<&str>) -> Result<BTreeMap<String, BTreeSet<String>>, FactsError> {
    let request = clients.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone);
    let wanted = types.iter().map(|of| (*of).to_owned()).collect();
    let request = request.filters(Filter::builder().name("instance-type").set_values(Some(wanted)).build());
    let pages = request.into_paginator().items().send();
    let mut offers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for offer in pages.collect::<Result<Vec<_>, _>>().await.map_err(ec2)? {
        let (Some(of), Some(zone)) = (offer.instance_type, offer.location) else { continue };
        if types.contains(of.as_str()) {
            offers.entry(of.as_str().to_owned()).or_default().insert(zone);
        }
    }
    Ok(offers)
}
