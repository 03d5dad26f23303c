//! The network: what EC2 calls VPC and everything in it.

use std::{collections::BTreeSet, fmt};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{Mapping, map_set};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    pub cidr: Ipv4Net,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    /// The group that AWS makes with the VPC has no rules: nothing can use it by accident.
    pub default_security_group_closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway<L> {
    /// Attached to it. `None` only if found so.
    pub vpc: Option<L>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet<L> {
    pub vpc: L,
    pub availability_zone: String,
    pub cidr: Ipv4Net,
    /// Whatever starts in it gets a public address, asked or not.
    pub auto_assign_public_ip: bool,
}

/// An address for a NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElasticIp {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway<L> {
    pub subnet: L,
    /// The allocation id.
    pub elastic_ip: L,
}

/// A route table with its routes and the subnets that use it. The route within the VPC, and those that a gateway endpoint
/// puts in, are not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct RouteTable<L> {
    pub vpc: L,
    pub routes: BTreeSet<Route<L>>,
    pub subnets: BTreeSet<L>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route<L> {
    pub destination: Ipv4Net,
    pub via: Via<L>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via<L> {
    InternetGateway(L),
    NatGateway(L),
    /// Found, not ours.
    Other(String),
}

/// A gateway endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct VpcEndpoint<L> {
    pub vpc: L,
    /// As in `com.amazonaws.us-east-1.s3`.
    pub service: String,
    pub route_tables: BTreeSet<L>,
}

/// A security group with its rules. AWS adds a rule that lets everything out to each new group: if it is not among these
/// it has to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "L: Serialize", deserialize = "L: Deserialize<'de> + Ord"))]
pub struct SecurityGroup<L> {
    pub vpc: L,
    /// Unique in the VPC.
    pub name: String,
    pub description: String,
    pub ingress: BTreeSet<Rule<L>>,
    pub egress: BTreeSet<Rule<L>>,
}

/// One peer and one range of ports: what AWS calls a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule<L> {
    pub ports: Ports,
    pub peer: Peer<L>,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ports {
    /// Both included.
    Tcp(u16, u16),
    Udp(u16, u16),
    /// Every protocol and port.
    All,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer<L> {
    Cidr(Ipv4Net),
    SecurityGroup(L),
    /// Found, not ours: a prefix list, an IPv6 range.
    Other(String),
}

impl<L> InternetGateway<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<InternetGateway<M>, E> {
        Ok(InternetGateway { vpc: self.vpc.map(f).transpose()? })
    }
}

impl<L> Subnet<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<Subnet<M>, E> {
        let Self { vpc, availability_zone, cidr, auto_assign_public_ip } = self;
        Ok(Subnet { vpc: f(vpc)?, availability_zone, cidr, auto_assign_public_ip })
    }
}

impl<L> NatGateway<L> {
    pub(super) fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<NatGateway<M>, E> {
        Ok(NatGateway { subnet: f(self.subnet)?, elastic_ip: f(self.elastic_ip)? })
    }
}

impl<L> RouteTable<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<RouteTable<M>, E> {
        let route = |route: Route<L>, f: Mapping<'_, L, M, E>| {
            let via = match route.via {
                Via::InternetGateway(to) => Via::InternetGateway(f(to)?),
                Via::NatGateway(to) => Via::NatGateway(f(to)?),
                Via::Other(what) => Via::Other(what),
            };
            Ok(Route { destination: route.destination, via })
        };
        Ok(RouteTable {
            vpc: f(self.vpc)?,
            routes: map_set(self.routes, |r| route(r, f))?,
            subnets: map_set(self.subnets, f)?,
        })
    }
}

impl<L> VpcEndpoint<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<VpcEndpoint<M>, E> {
        Ok(VpcEndpoint { vpc: f(self.vpc)?, service: self.service, route_tables: map_set(self.route_tables, f)? })
    }
}

impl<L> SecurityGroup<L> {
    pub(super) fn try_map<M: Ord, E>(self, f: Mapping<'_, L, M, E>) -> Result<SecurityGroup<M>, E> {
        Ok(SecurityGroup {
            vpc: f(self.vpc)?,
            name: self.name,
            description: self.description,
            ingress: map_set(self.ingress, |r| r.try_map(f))?,
            egress: map_set(self.egress, |r| r.try_map(f))?,
        })
    }
}

impl<L> Rule<L> {
    fn try_map<M, E>(self, f: Mapping<'_, L, M, E>) -> Result<Rule<M>, E> {
        let peer = match self.peer {
            Peer::Cidr(cidr) => Peer::Cidr(cidr),
            Peer::SecurityGroup(to) => Peer::SecurityGroup(f(to)?),
            Peer::Other(what) => Peer::Other(what),
        };
        Ok(Rule { ports: self.ports, peer, description: self.description })
    }
}

impl<L: fmt::Display> fmt::Display for Rule<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Peer::Cidr(cidr) => cidr.fmt(f),
            Peer::SecurityGroup(link) => link.fmt(f),
            Peer::Other(other) => f.write_str(other),
        }?;
        match self.ports {
            Ports::Tcp(first, last) if first == last => write!(f, ": TCP {first}"),
            Ports::Tcp(first, last) => write!(f, ": TCP {first}-{last}"),
            Ports::Udp(first, last) if first == last => write!(f, ": UDP {first}"),
            Ports::Udp(first, last) => write!(f, ": UDP {first}-{last}"),
            Ports::All => write!(f, ": everything"),
        }?;
        write!(f, " ({})", self.description)
    }
}

impl<L: fmt::Display> fmt::Display for Route<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} via ", self.destination)?;
        match &self.via {
            Via::InternetGateway(link) | Via::NatGateway(link) => link.fmt(f),
            Via::Other(other) => f.write_str(other),
        }
    }
}
