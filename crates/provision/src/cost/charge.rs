//! What AWS asks money for, as a key that prices are looked up by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use spec::cluster::VolumeType;

use super::HOURS_PER_MONTH;

/// Written `instance/m5.large`, `volume/gp3/gb`, `volume/gp3/iops`, `volume/gp3/throughput`, `load-balancer`,
/// `public-ipv4`, `nat-gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Charge {
    /// Linux, on demand, shared tenancy.
    Instance(String),
    VolumeGb(VolumeType),
    /// `io1`: every provisioned one; `gp3`: those above what is included.
    VolumeIops(VolumeType),
    /// `gp3`, above what is included.
    VolumeThroughput(VolumeType),
    /// Network; its hours alone, not its capacity units.
    LoadBalancer,
    /// In use or not.
    PublicIpv4,
    /// Its hours alone, not what goes through it.
    NatGateway,
}

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Hour,
    GbMonth,
    IopsMonth,
    /// MiB/s
    ThroughputMonth,
}

/// Not the name of anything AWS charges for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that is charged for")]
pub struct NotACharge(String);

impl Charge {
    pub fn unit(&self) -> Unit {
        match self {
            Self::Instance(_) | Self::LoadBalancer | Self::PublicIpv4 | Self::NatGateway => Unit::Hour,
            Self::VolumeGb(_) => Unit::GbMonth,
            Self::VolumeIops(_) => Unit::IopsMonth,
            Self::VolumeThroughput(_) => Unit::ThroughputMonth,
        }
    }
}

impl Unit {
    /// How many hours the price is for.
    pub(super) fn hours(self) -> f64 {
        match self {
            Self::Hour => 1.0,
            Self::GbMonth | Self::IopsMonth | Self::ThroughputMonth => HOURS_PER_MONTH,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::GbMonth => "GB-month",
            Self::IopsMonth => "IOPS-month",
            Self::ThroughputMonth => "MiB/s-month",
        }
    }
}

fn volume(r#type: VolumeType) -> &'static str {
    match r#type {
        VolumeType::Gp2 => "gp2",
        VolumeType::Gp3 => "gp3",
        VolumeType::Io1 => "io1",
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(instance_type) => write!(f, "instance/{instance_type}"),
            Self::VolumeGb(of) => write!(f, "volume/{}/gb", volume(*of)),
            Self::VolumeIops(of) => write!(f, "volume/{}/iops", volume(*of)),
            Self::VolumeThroughput(of) => write!(f, "volume/{}/throughput", volume(*of)),
            Self::LoadBalancer => f.write_str("load-balancer"),
            Self::PublicIpv4 => f.write_str("public-ipv4"),
            Self::NatGateway => f.write_str("nat-gateway"),
        }
    }
}

impl FromStr for Charge {
    type Err = NotACharge;

    fn from_str(text: &str) -> Result<Self, NotACharge> {
        let refuse = || NotACharge(text.to_owned());
        let volume = |name: &str| {
            let types = [VolumeType::Gp2, VolumeType::Gp3, VolumeType::Io1];
            types.into_iter().find(|of| volume(*of) == name).ok_or_else(refuse)
        };
        match *text.split('/').collect::<Vec<_>>() {
            ["instance", instance_type] if instance_type.contains('.') => Ok(Self::Instance(instance_type.to_owned())),
            ["volume", of, "gb"] => Ok(Self::VolumeGb(volume(of)?)),
            ["volume", of, "iops"] => Ok(Self::VolumeIops(volume(of)?)),
            ["volume", of, "throughput"] => Ok(Self::VolumeThroughput(volume(of)?)),
            ["load-balancer"] => Ok(Self::LoadBalancer),
            ["public-ipv4"] => Ok(Self::PublicIpv4),
            ["nat-gateway"] => Ok(Self::NatGateway),
            _ => Err(refuse()),
        }
    }
}

impl From<Charge> for String {
    fn from(charge: Charge) -> Self {
        charge.to_string()
    }
}

impl TryFrom<String> for Charge {
    type Error = NotACharge;

    fn try_from(text: String) -> Result<Self, NotACharge> {
        text.parse()
    }
}
