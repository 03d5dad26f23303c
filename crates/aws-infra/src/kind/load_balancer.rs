//! Network load balancers.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::{
    IpAddressType, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum,
};
use provision::{
    cloud::{Change, ErrorKind, Ids, Observed, State, Wanted},
    resource::{Kind, LoadBalancer, Resource},
};
use spec::cluster::Scheme;

use super::{balancing::Ours, elb_tags};
use crate::{
    call::{Call, Fields, Found, Result, missing},
    classify::{elb, gone, present},
    tags,
};

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    for Ours { arn, key, tags, sdk } in call.balancing().await?.balancers.iter().cloned() {
        let Some((cross_zone, deletion_protection)) = present(attributes(call, &arn).await)? else { continue };
        let zones = sdk.availability_zones.unwrap_or_default();
        let name = sdk.load_balancer_name.unwrap_or_default();
        let actual = LoadBalancer {
            name: name.clone(),
            vpc: sdk.vpc_id.unwrap_or_default(),
            scheme: match sdk.scheme {
                Some(LoadBalancerSchemeEnum::Internal) => Scheme::Internal,
                _ => Scheme::InternetFacing,
            },
            subnets: zones.into_iter().filter_map(|zone| zone.subnet_id).collect(),
            security_groups: sdk.security_groups.unwrap_or_default().into_iter().collect(),
            cross_zone,
            deletion_protection,
        };
        let state = match sdk.state.as_ref().and_then(|state| state.code()) {
            Some(LoadBalancerStateEnum::Provisioning) => State::Pending,
            Some(LoadBalancerStateEnum::Failed) => {
                let reason = sdk.state.as_ref().and_then(|state| state.reason()).unwrap_or("failed");
                State::Failed(reason.to_owned())
            }
            _ => State::Available,
        };
        let ids = Ids { id: arn.clone(), arn: Some(arn), name: Some(name), dns_name: sdk.dns_name };
        let (kind, created_at) = (Kind::LoadBalancer, sdk.created_time);
        let actual = Some(Resource::LoadBalancer(actual));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at }.into());
    }
    Ok(observed)
}

/// Cross-zone, deletion protection.
async fn attributes(call: Call<'_>, arn: &str) -> Result<(bool, bool)> {
    let request = call.clients.elb.describe_load_balancer_attributes().load_balancer_arn(arn);
    let attributes = request.send().await.map_err(elb)?.attributes.unwrap_or_default();
    let on = |name| attributes.iter().any(|a| a.key() == Some(name) && a.value() == Some("true"));
    Ok((on(CROSS_ZONE), on(DELETION_PROTECTION)))
}

/// The first call tells everything but the attributes; those are what a second attempt still has to set.
pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, balancer: &LoadBalancer<String>) -> Result<Ids> {
    // The ids of an earlier attempt, DNS name included, as one text.
    let made = call.begun(wanted, make(call, wanted, balancer)).await?;
    let (arn, dns_name) = made.split_once(' ').unwrap_or((&made, ""));
    set_attributes(call, arn, balancer).await?;
    let (id, name) = (arn.to_owned(), Some(balancer.name.clone()));
    Ok(Ids { arn: Some(id.clone()), id, name, dns_name: Some(dns_name.to_owned()) })
}

async fn make(call: Call<'_>, wanted: &Wanted, balancer: &LoadBalancer<String>) -> Result<String> {
    let request = call.clients.elb.create_load_balancer().name(&balancer.name).r#type(LoadBalancerTypeEnum::Network);
    let request = request.scheme(match balancer.scheme {
        Scheme::Internal => LoadBalancerSchemeEnum::Internal,
        Scheme::InternetFacing => LoadBalancerSchemeEnum::InternetFacing,
    });
    let request = request.ip_address_type(IpAddressType::Ipv4);
    let request = request.set_subnets(Some(balancer.subnets.iter().cloned().collect()));
    let request = request.set_security_groups(Some(balancer.security_groups.iter().cloned().collect()));
    let request = request.set_tags(Some(tags::elb(&wanted.tags)));
    let made = request.send().await.map_err(elb)?.load_balancers.and_then(|made| made.into_iter().next());
    let ids = made.and_then(|made| Some(format!("{} {}", made.load_balancer_arn?, made.dns_name?)));
    ids.ok_or_else(|| missing("ARN and DNS name of the load balancer"))
}

/// Where a zone gets another subnet, one call is refused and two are needed: "SetSubnets", Elastic Load Balancing API
/// reference.
async fn set_subnets(call: Call<'_>, current: &Observed, balancer: &LoadBalancer<String>) -> Result<()> {
    let set = async |subnets: &BTreeSet<String>| {
        let request = call.clients.elb.set_subnets().load_balancer_arn(&current.ids.id);
        request.set_subnets(Some(subnets.iter().cloned().collect())).send().await.map(drop).map_err(elb)
    };
    let Err(refused) = set(&balancer.subnets).await else { return Ok(()) };
    let Some(Resource::LoadBalancer(before)) = &current.actual else { return Err(refused) };
    let stay: BTreeSet<String> = before.subnets.intersection(&balancer.subnets).cloned().collect();
    if refused.kind != ErrorKind::Invalid || stay.is_empty() {
        return Err(refused);
    }
    set(&stay).await?;
    set(&balancer.subnets).await
}

async fn set_attributes(call: Call<'_>, arn: &str, balancer: &LoadBalancer<String>) -> Result<()> {
    let attribute = |key: &str, on: bool| LoadBalancerAttribute::builder().key(key).value(on.to_string()).build();
    let request = call.clients.elb.modify_load_balancer_attributes().load_balancer_arn(arn);
    let request = request.attributes(attribute(CROSS_ZONE, balancer.cross_zone));
    let request = request.attributes(attribute(DELETION_PROTECTION, balancer.deletion_protection));
    request.send().await.map(drop).map_err(elb)
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    balancer: &LoadBalancer<String>,
    changes: &[Change],
) -> Result<()> {
    let can = ["subnets", "security_groups", "cross_zone", "deletion_protection"];
    let fields = Fields::of(Kind::LoadBalancer, changes, &can)?;
    let arn = &current.ids.id;
    if fields.has("subnets") {
        set_subnets(call, current, balancer).await?;
    }
    if fields.has("security_groups") {
        let groups = balancer.security_groups.iter().cloned().collect();
        let request = call.clients.elb.set_security_groups().load_balancer_arn(arn).set_security_groups(Some(groups));
        request.send().await.map_err(elb)?;
    }
    if fields.has_any(&["cross_zone", "deletion_protection"]) {
        set_attributes(call, arn, balancer).await?;
    }
    elb_tags::update(call, arn, wanted, changes).await
}

/// Whoever deletes has been asked: protection is lifted.
pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    let arn = &what.ids.id;
    if let Some(Resource::LoadBalancer(actual)) = &what.actual
        && actual.deletion_protection
    {
        gone(set_attributes(call, arn, &LoadBalancer { deletion_protection: false, ..actual.clone() }).await)?;
    }
    gone(call.clients.elb.delete_load_balancer().load_balancer_arn(arn).send().await.map(drop).map_err(elb))
}
