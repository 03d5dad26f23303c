//! Target groups of instances.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetGroup as Sdk, TargetGroupAttribute, TargetTypeEnum};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{HealthCheck, HealthProtocol, Kind, Protocol, Resource, TargetGroup},
};

use super::{balancing::Ours, elb_tags};
use crate::{
    call::{Call, Fields, Found, Result, int, missing, port, uint},
    classify::{elb, gone, present},
    tags,
};

const DELAY: &str = "deregistration_delay.timeout_seconds";
const TERMINATE: &str = "deregistration_delay.connection_termination.enabled";
const CLIENT_IP: &str = "preserve_client_ip.enabled";

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    for Ours { arn, key, tags, sdk } in call.balancing().await?.target_groups.iter().cloned() {
        let Some(attributes) = present(attributes(call, &arn).await)? else { continue };
        let name = sdk.target_group_name().map(str::to_owned);
        let ids = Ids { id: arn.clone(), arn: Some(arn), name, dns_name: None };
        let actual = Some(Resource::TargetGroup(read(&sdk, &attributes)));
        let (kind, state) = (Kind::TargetGroup, State::Available);
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

async fn attributes(call: Call<'_>, arn: &str) -> Result<Vec<TargetGroupAttribute>> {
    let request = call.clients.elb.describe_target_group_attributes().target_group_arn(arn);
    Ok(request.send().await.map_err(elb)?.attributes.unwrap_or_default())
}

fn read(group: &Sdk, attributes: &[TargetGroupAttribute]) -> TargetGroup<String> {
    let attribute = |name| attributes.iter().find(|a| a.key() == Some(name)).and_then(TargetGroupAttribute::value);
    let group_port = port(group.port());
    let check_port = group.health_check_port().and_then(|port| port.parse().ok());
    let health_check = HealthCheck {
        protocol: match group.health_check_protocol() {
            Some(ProtocolEnum::Http) => HealthProtocol::Http,
            Some(ProtocolEnum::Https) => HealthProtocol::Https,
            _ => HealthProtocol::Tcp,
        },
        // Or `traffic-port`.
        port: check_port.unwrap_or(group_port),
        path: group.health_check_path().map(str::to_owned),
        interval_s: uint(group.health_check_interval_seconds()),
        timeout_s: uint(group.health_check_timeout_seconds()),
        healthy_threshold: uint(group.healthy_threshold_count()),
        unhealthy_threshold: uint(group.unhealthy_threshold_count()),
    };
    TargetGroup {
        name: group.target_group_name().unwrap_or_default().to_owned(),
        vpc: group.vpc_id().unwrap_or_default().to_owned(),
        protocol: match group.protocol() {
            Some(ProtocolEnum::Tls) => Protocol::Tls,
            _ => Protocol::Tcp,
        },
        port: group_port,
        deregistration_delay_s: attribute(DELAY).and_then(|delay| delay.parse().ok()).unwrap_or_default(),
        terminate_connections: attribute(TERMINATE) == Some("true"),
        preserve_client_ip: attribute(CLIENT_IP) == Some("true"),
        health_check,
    }
}

fn health_protocol(protocol: HealthProtocol) -> ProtocolEnum {
    match protocol {
        HealthProtocol::Tcp => ProtocolEnum::Tcp,
        HealthProtocol::Http => ProtocolEnum::Http,
        HealthProtocol::Https => ProtocolEnum::Https,
    }
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, group: &TargetGroup<String>) -> Result<Ids> {
    let arn = call.begun(wanted, make(call, wanted, group)).await?;
    set_attributes(call, &arn, group).await?;
    Ok(Ids { id: arn.clone(), arn: Some(arn), name: Some(group.name.clone()), dns_name: None })
}

async fn make(call: Call<'_>, wanted: &Wanted, group: &TargetGroup<String>) -> Result<String> {
    let check = &group.health_check;
    let request = call.clients.elb.create_target_group().name(&group.name).vpc_id(&group.vpc);
    let request = request.target_type(TargetTypeEnum::Instance).port(group.port.into());
    let request = request.protocol(match group.protocol {
        Protocol::Tcp => ProtocolEnum::Tcp,
        Protocol::Tls => ProtocolEnum::Tls,
    });
    let request = request
        .health_check_enabled(true)
        .health_check_protocol(health_protocol(check.protocol))
        .health_check_port(check.port.to_string())
        .set_health_check_path(check.path.clone())
        .health_check_interval_seconds(int(check.interval_s))
        .health_check_timeout_seconds(int(check.timeout_s))
        .healthy_threshold_count(int(check.healthy_threshold))
        .unhealthy_threshold_count(int(check.unhealthy_threshold))
        .set_tags(Some(tags::elb(&wanted.tags)));
    let made = request.send().await.map_err(elb)?.target_groups.and_then(|made| made.into_iter().next());
    made.and_then(|made| made.target_group_arn).ok_or_else(|| missing("ARN of the target group"))
}

async fn set_attributes(call: Call<'_>, arn: &str, group: &TargetGroup<String>) -> Result<()> {
    let attribute = |key: &str, value: String| TargetGroupAttribute::builder().key(key).value(value).build();
    let request = call.clients.elb.modify_target_group_attributes().target_group_arn(arn);
    let request = request.attributes(attribute(DELAY, group.deregistration_delay_s.to_string()));
    let request = request.attributes(attribute(TERMINATE, group.terminate_connections.to_string()));
    let request = request.attributes(attribute(CLIENT_IP, group.preserve_client_ip.to_string()));
    request.send().await.map(drop).map_err(elb)
}

async fn set_health_check(call: Call<'_>, arn: &str, check: &HealthCheck) -> Result<()> {
    let request = call.clients.elb.modify_target_group().target_group_arn(arn);
    let request = request
        .health_check_protocol(health_protocol(check.protocol))
        .health_check_port(check.port.to_string())
        .set_health_check_path(check.path.clone())
        .health_check_interval_seconds(int(check.interval_s))
        .health_check_timeout_seconds(int(check.timeout_s))
        .healthy_threshold_count(int(check.healthy_threshold))
        .unhealthy_threshold_count(int(check.unhealthy_threshold));
    request.send().await.map(drop).map_err(elb)
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    group: &TargetGroup<String>,
    changes: &[Change],
) -> Result<()> {
    let attributes = ["deregistration_delay_s", "terminate_connections", "preserve_client_ip"];
    let can = [attributes.as_slice(), &["health_check"]].concat();
    let fields = Fields::of(Kind::TargetGroup, changes, &can)?;
    let arn = &current.ids.id;
    if fields.has("health_check") {
        set_health_check(call, arn, &group.health_check).await?;
    }
    if fields.has_any(&attributes) {
        set_attributes(call, arn, group).await?;
    }
    elb_tags::update(call, arn, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.elb.delete_target_group().target_group_arn(&what.ids.id).send().await.map(drop).map_err(elb))
}
