//! Load balancers: one for everything, or one for APIs and one for the operator.
//!
//! TCP goes through to the nodes, which end TLS with the cluster's own certificate. With a certificate from ACM, whose
//! key nobody can fetch, the load balancer ends TLS for APIs and speaks TLS to the gateway again. The operator is always
//! reached without a stop, since the CLI trusts it by the cluster's own authority.

use spec::cluster::{Certificate, Scheme, Sharing};

use super::{Build, Network, key, security::Groups};
use crate::{
    names, ports,
    resource::{
        HealthCheck, HealthProtocol, Key, Kind, Link, Listener, LoadBalancer, Protocol, Resource, TargetGroup, Tls,
    },
};

/// "Security policies for your Network Load Balancer", Elastic Load Balancing user guide: TLS 1.2 and 1.3, with
/// post-quantum key exchange. What AWS would take by itself is from 2016.
const TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";
const ALPN: &str = "HTTP2Preferred";

/// As long as the gateway takes to finish what it has begun.
const DEREGISTRATION_DELAY_S: u32 = 60;

pub(super) struct Balancing {
    pub api: Key,
    pub operator: Key,
    /// Of the control nodes.
    pub target_groups: Vec<Key>,
}

pub(super) fn add(build: &mut Build<'_>, network: &Network, groups: &Groups) -> Balancing {
    let spec = &build.aws.load_balancers;
    let (schemes, sharing) = ([spec.api.scheme, spec.operator.scheme], spec.sharing);
    let (api, operator, operator_port) = match sharing {
        Sharing::Shared => {
            let shared = balancer(build, network, "shared", schemes[0], &groups.api_balancer);
            (shared.clone(), shared, ports::OPERATOR_SHARED)
        }
        Sharing::Dedicated => {
            let api = balancer(build, network, "api", schemes[0], &groups.api_balancer);
            let operator = balancer(build, network, "operator", schemes[1], &groups.operator_balancer);
            (api, operator, ports::OPERATOR_DEDICATED)
        }
    };
    let tls = match &build.aws.certificate {
        Certificate::Acm { arn } => {
            Some(Tls { certificate_arn: arn.clone(), policy: TLS_POLICY.to_owned(), alpn: ALPN.to_owned() })
        }
        Certificate::Cluster | Certificate::Files { .. } => None,
    };
    // A target group's protocol cannot change, so the two ways to serve APIs have one each.
    let (name, protocol) = if tls.is_some() { ("api-tls", Protocol::Tls) } else { ("api", Protocol::Tcp) };
    let target_groups = vec![
        target_group(build, network, name, protocol, ports::NODE_GATEWAY),
        target_group(build, network, "api-http", Protocol::Tcp, ports::NODE_GATEWAY_PLAIN),
        target_group(build, network, "operator", Protocol::Tcp, ports::NODE_OPERATOR),
    ];
    listener(build, "api", &api, ports::API, tls, &target_groups[0]);
    listener(build, "api-http", &api, ports::API_PLAIN, None, &target_groups[1]);
    listener(build, "operator", &operator, operator_port, None, &target_groups[2]);
    Balancing { api, operator, target_groups }
}

fn balancer(build: &mut Build<'_>, network: &Network, name: &str, scheme: Scheme, group: &Link) -> Key {
    let key = key(Kind::LoadBalancer, &[name]);
    let made = LoadBalancer {
        name: names::balancing(build.cluster, name),
        scheme,
        vpc: network.vpc.clone(),
        subnets: network.balancer_subnets(scheme).clone(),
        security_groups: [group.clone()].into(),
        cross_zone: true,
        deletion_protection: true,
    };
    // Facing the internet needs the way to it.
    let gateway = network.internet_gateway.as_ref().filter(|_| scheme == Scheme::InternetFacing);
    build.add_after(&key, Resource::LoadBalancer(made), gateway.as_slice());
    key
}

fn target_group(build: &mut Build<'_>, network: &Network, name: &str, protocol: Protocol, port: u16) -> Key {
    let key = key(Kind::TargetGroup, &[name]);
    let plain = port == ports::NODE_GATEWAY_PLAIN;
    let health_check = HealthCheck {
        protocol: if plain { HealthProtocol::Http } else { HealthProtocol::Https },
        port,
        path: Some(ports::HEALTH_PATH.to_owned()),
        interval_s: 5,
        timeout_s: 4,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
    };
    let made = TargetGroup {
        name: names::balancing(build.cluster, name),
        vpc: network.vpc.clone(),
        protocol,
        port,
        deregistration_delay_s: DEREGISTRATION_DELAY_S,
        terminate_connections: false,
        preserve_client_ip: true,
        health_check,
    };
    build.add(&key, Resource::TargetGroup(made));
    key
}

fn listener(build: &mut Build<'_>, name: &str, balancer: &Key, port: u16, tls: Option<Tls>, to: &Key) {
    let made = Listener { load_balancer: Link::id(balancer), port, tls, target_group: Link::id(to) };
    build.add(&key(Kind::Listener, &[name]), Resource::Listener(made));
}
