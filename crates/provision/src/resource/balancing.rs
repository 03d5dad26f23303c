//! Network load balancers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use spec::cluster::Scheme;

use super::{Mapping, map_set};

/// A network load balancer. Can have security groups only if it had some when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct LoadBalancer<L> {
    /// At most 32 characters, unique in account and region.
    pub name: String,
    pub scheme: Scheme,
    /// Follows from the subnets, and can never change.
    pub vpc: L,
    pub subnets: BTreeSet<L>,
    pub security_groups: BTreeSet<L>,
    /// `load_balancing.cross_zone.enabled`
    pub cross_zone: bool,
    /// `deletion_protection.enabled`
    pub deletion_protection: bool,
}

/// Takes instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetGroup<L> {
    /// At most 32 characters, unique in account and region.
    pub name: String,
    pub vpc: L,
    pub protocol: Protocol,
    pub port: u16,
    /// `deregistration_delay.timeout_seconds`
    pub deregistration_delay_s: u32,
    /// `deregistration_delay.connection_termination.enabled`
    pub terminate_connections: bool,
    /// `preserve_client_ip.enabled`
    pub preserve_client_ip: bool,
    pub health_check: HealthCheck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Tls,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    pub protocol: HealthProtocol,
    pub port: u16,
    /// Not with TCP.
    pub path: Option<String>,
    pub interval_s: u32,
    pub timeout_s: u32,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthProtocol {
    Tcp,
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener<L> {
    /// ARN.
    pub load_balancer: L,
    pub port: u16,
    /// Present: the load balancer ends TLS. Absent: TCP is passed through.
    pub tls: Option<Tls>,
    /// ARN of where everything is forwarded to.
    pub target_group: L,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    pub certificate_arn: String,
    /// Security policy: versions and ciphers.
    pub policy: String,
    /// ALPN policy.
    pub alpn: String,
}

impl<L> LoadBalancer<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<LoadBalancer<M>, E> {
        let Self { name, scheme, vpc, subnets, security_groups, cross_zone, deletion_protection } = self;
        let (vpc, subnets) = (f(vpc)?, map_set(subnets, &mut *f)?);
        let security_groups = map_set(security_groups, f)?;
        Ok(LoadBalancer { name, scheme, vpc, subnets, security_groups, cross_zone, deletion_protection })
    }
}

impl<L> TargetGroup<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<TargetGroup<M>, E> {
        Ok(TargetGroup {
            name: self.name,
            vpc: f(self.vpc)?,
            protocol: self.protocol,
            port: self.port,
            deregistration_delay_s: self.deregistration_delay_s,
            terminate_connections: self.terminate_connections,
            preserve_client_ip: self.preserve_client_ip,
            health_check: self.health_check,
        })
    }
}

impl<L> Listener<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<Listener<M>, E> {
        let Self { load_balancer, port, tls, target_group } = self;
        Ok(Listener { load_balancer: f(load_balancer)?, port, tls, target_group: f(target_group)? })
    }
}
