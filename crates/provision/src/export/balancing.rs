//! Network load balancers.

use serde_json::json;
use spec::cluster::Scheme;

use super::{Address, Block};
use crate::resource::{HealthProtocol, Listener, LoadBalancer, Protocol, TargetGroup};

pub(super) fn load_balancer(of: &LoadBalancer<String>, own: &Address) -> Vec<Block> {
    let body = json!({
        "name": of.name,
        "load_balancer_type": "network",
        "internal": of.scheme == Scheme::Internal,
        "subnets": of.subnets,
        "security_groups": of.security_groups,
        "enable_cross_zone_load_balancing": of.cross_zone,
        "enable_deletion_protection": of.deletion_protection,
    });
    vec![Block::of(own, body)]
}

pub(super) fn target_group(of: &TargetGroup<String>, own: &Address) -> Vec<Block> {
    let health = &of.health_check;
    let body = json!({
        "name": of.name,
        "vpc_id": of.vpc,
        "target_type": "instance",
        "protocol": protocol(of.protocol),
        "port": of.port,
        "deregistration_delay": of.deregistration_delay_s,
        "connection_termination": of.terminate_connections,
        "preserve_client_ip": of.preserve_client_ip,
        "health_check": {
            "protocol": match health.protocol {
                HealthProtocol::Tcp => "TCP",
                HealthProtocol::Http => "HTTP",
                HealthProtocol::Https => "HTTPS",
            },
            "port": health.port,
            "path": health.path,
            "interval": health.interval_s,
            "timeout": health.timeout_s,
            "healthy_threshold": health.healthy_threshold,
            "unhealthy_threshold": health.unhealthy_threshold,
        },
    });
    vec![Block::of(own, body)]
}

pub(super) fn listener(of: &Listener<String>, own: &Address) -> Vec<Block> {
    let tls = of.tls.as_ref();
    let body = json!({
        "load_balancer_arn": of.load_balancer,
        "port": of.port,
        "protocol": protocol(if tls.is_some() { Protocol::Tls } else { Protocol::Tcp }),
        "certificate_arn": tls.map(|tls| &tls.certificate_arn),
        "ssl_policy": tls.map(|tls| &tls.policy),
        "alpn_policy": tls.map(|tls| &tls.alpn),
        "default_action": { "type": "forward", "target_group_arn": of.target_group },
    });
    vec![Block::of(own, body)]
}

fn protocol(of: Protocol) -> &'static str {
    match of {
        Protocol::Tcp => "TCP",
        Protocol::Tls => "TLS",
    }
}
