//! How long things take: to show, to order by, and to give up after.
//!
//! Times of AWS as seen in public logs; none of it is promised by anybody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Plan, Step};
use crate::resource::Kind;

/// How long one resource takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Until it exists, and others can be made that mention it.
    pub exists: Duration,
    /// From then on, until it does its work.
    pub ready: Duration,
}

/// What to expect of a creation.
pub fn expected(kind: Kind) -> Timing {
    let (exists_ms, ready_s) = match kind {
        Kind::NatGateway => (1500, 100),
        Kind::LoadBalancer => (1500, 150),
        Kind::AutoScalingGroup => (1500, 35),
        // Until EC2 believes IAM.
        Kind::InstanceProfile => (1500, 8),
        Kind::Bucket => (3000, 0),
        Kind::Object => (8000, 0),
        Kind::SecurityGroup | Kind::RouteTable | Kind::Vpc | Kind::Role => (1500, 0),
        _ => (800, 0),
    };
    Timing { exists: Duration::from_millis(exists_ms), ready: Duration::from_secs(ready_s) }
}

/// When to give up: creation, readiness or deletion. Bad spells of AWS are several times longer than what is expected.
pub fn deadline(kind: Kind) -> Duration {
    Duration::from_secs(match kind {
        Kind::LoadBalancer | Kind::AutoScalingGroup | Kind::Instance => 20 * 60,
        Kind::NatGateway | Kind::EcsCluster => 15 * 60,
        // Deleted after all that is in them.
        Kind::Vpc | Kind::Subnet | Kind::SecurityGroup | Kind::InternetGateway | Kind::Bucket => 15 * 60,
        Kind::Object => 30 * 60,
        _ => 10 * 60,
    })
}

impl Plan {
    /// How long the plan would take if nothing had to wait for anything but what it needs.
    pub fn critical_path(&self, timing: impl Fn(&Step) -> Timing) -> Duration {
        let steps = self.steps();
        let mut ends: Vec<Duration> = Vec::with_capacity(steps.len());
        let mut last = Duration::ZERO;
        for step in &steps {
            let start = step.after.iter().map(|at| ends[*at]).max().unwrap_or_default();
            let took = timing(step);
            ends.push(start + took.exists);
            last = last.max(start + took.exists + took.ready);
        }
        last
    }
}
