//! Listeners of the cluster's load balancers.

use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, Certificate, Listener as Sdk, ProtocolEnum};
use provision::{
    cloud::{Change, Ids, Observed, State, Wanted},
    resource::{Kind, Listener, Resource, Tls},
};

use super::{balancing::Ours, elb_tags};
use crate::{
    call::{Call, Fields, Found, Result, missing, port},
    classify::{elb, gone},
    tags,
};

pub(crate) async fn observe(call: Call<'_>) -> Result<Vec<Observed>> {
    let mut observed = Vec::new();
    for Ours { arn, key, tags, sdk } in call.balancing().await?.listeners.iter().cloned() {
        let ids = arn_ids(&arn);
        let (kind, state, actual) = (Kind::Listener, State::Available, Some(Resource::Listener(read(&sdk))));
        observed.push(Found { key, kind, ids, tags, state, actual, created_at: None }.into());
    }
    Ok(observed)
}

fn arn_ids(arn: &str) -> Ids {
    Ids { id: arn.to_owned(), arn: Some(arn.to_owned()), ..Ids::default() }
}

fn read(listener: &Sdk) -> Listener<String> {
    let ends_tls = listener.protocol() == Some(&ProtocolEnum::Tls);
    let tls = ends_tls.then(|| Tls {
        certificate_arn: listener
            .certificates()
            .iter()
            .find_map(|c| c.certificate_arn())
            .unwrap_or_default()
            .to_owned(),
        policy: listener.ssl_policy().unwrap_or_default().to_owned(),
        alpn: listener.alpn_policy().first().cloned().unwrap_or_default(),
    });
    Listener {
        load_balancer: listener.load_balancer_arn().unwrap_or_default().to_owned(),
        port: port(listener.port()),
        tls,
        target_group: listener.default_actions().iter().find_map(target).unwrap_or_default().to_owned(),
    }
}

/// AWS tells a single target group in both ways.
fn target(action: &Action) -> Option<&str> {
    let listed = || action.forward_config()?.target_groups().first()?.target_group_arn();
    action.target_group_arn().or_else(listed)
}

fn forward(listener: &Listener<String>) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&listener.target_group).build()
}

fn protocol(listener: &Listener<String>) -> ProtocolEnum {
    if listener.tls.is_some() { ProtocolEnum::Tls } else { ProtocolEnum::Tcp }
}

fn certificate(tls: &Tls) -> Certificate {
    Certificate::builder().certificate_arn(&tls.certificate_arn).build()
}

pub(crate) async fn create(call: Call<'_>, wanted: &Wanted, listener: &Listener<String>) -> Result<Ids> {
    let request = call.clients.elb.create_listener().load_balancer_arn(&listener.load_balancer);
    let request = request.port(listener.port.into()).protocol(protocol(listener)).default_actions(forward(listener));
    let request = match &listener.tls {
        None => request,
        Some(tls) => request.certificates(certificate(tls)).ssl_policy(&tls.policy).alpn_policy(&tls.alpn),
    };
    let request = request.set_tags(Some(tags::elb(&wanted.tags)));
    let made = request.send().await.map_err(elb)?.listeners.and_then(|made| made.into_iter().next());
    let arn = made.and_then(|made| made.listener_arn).ok_or_else(|| missing("ARN of the listener"))?;
    Ok(arn_ids(&arn))
}

pub(crate) async fn update(
    call: Call<'_>,
    current: &Observed,
    wanted: &Wanted,
    listener: &Listener<String>,
    changes: &[Change],
) -> Result<()> {
    let can = ["port", "tls", "target_group"];
    let arn = &current.ids.id;
    if Fields::of(Kind::Listener, changes, &can)?.has_any(&can) {
        let request = call.clients.elb.modify_listener().listener_arn(arn);
        let request = request.port(listener.port.into()).protocol(protocol(listener));
        let request = request.default_actions(forward(listener));
        let request = match &listener.tls {
            None => request,
            Some(tls) => request.certificates(certificate(tls)).ssl_policy(&tls.policy).alpn_policy(&tls.alpn),
        };
        request.send().await.map_err(elb)?;
    }
    elb_tags::update(call, arn, wanted, changes).await
}

pub(crate) async fn delete(call: Call<'_>, what: &Observed) -> Result<()> {
    gone(call.clients.elb.delete_listener().listener_arn(&what.ids.id).send().await.map(drop).map_err(elb))
}
