//! Deleting things, and what stands in the way.

use std::time::Duration;

use tokio::time::Instant;

use super::world::{Thing, World};
use crate::{
    cloud::{CloudError, ErrorKind},
    resource::{Kind, Resource},
};

impl World {
    pub(super) fn delete(&mut self, kind: Kind, id: &str, now: Instant) -> Result<(), CloudError> {
        if self.trespass(kind, id) {
            return Err(CloudError::new(ErrorKind::Invalid, format!("{id} is not yours")));
        }
        let Some(number) = self.number_of(id, kind) else { return Ok(()) };
        if kind == Kind::CapacityProvider {
            self.dissociate(id);
        }
        let thing = &self.things[&number];
        if let Some(other) = self.in_use(thing, now) {
            let message = format!("DependencyViolation: {id} is used by {other}");
            return Err(CloudError::new(ErrorKind::DependencyViolation, message));
        }
        let takes = Duration::from_secs(match kind {
            Kind::NatGateway => 50,
            Kind::AutoScalingGroup => 45,
            Kind::Instance => 40,
            _ => 0,
        });
        for number in self.parts(number) {
            self.end(number, now + takes);
        }
        if kind == Kind::LoadBalancer {
            let uses = self.things[&number].uses.clone();
            self.interfaces.push((uses, now + Duration::from_secs(25)));
        }
        Ok(())
    }

    fn end(&mut self, number: u64, gone: Instant) {
        let forgotten = gone + self.some_lag();
        if let Some(thing) = self.things.get_mut(&number) {
            thing.gone = Some(gone);
            thing.seen.1 = Some(forgotten);
        }
    }

    /// It, and what ends with it.
    fn parts(&self, number: u64) -> Vec<u64> {
        let whole = &self.things[&number];
        let part = |thing: &Thing| match whole.kind {
            Kind::AutoScalingGroup => thing.group.as_deref() == Some(whole.ids.id.as_str()),
            Kind::LoadBalancer => thing.kind == Kind::Listener && uses(thing, whole),
            Kind::Bucket => thing.kind == Kind::Object && uses(thing, whole),
            Kind::EcsCluster => thing.kind == Kind::ClusterCapacity && uses(thing, whole),
            _ => false,
        };
        let parts = self.things.iter().filter(|(_, thing)| thing.stays() && part(thing)).map(|(number, _)| *number);
        parts.chain([number]).collect()
    }

    fn dissociate(&mut self, provider: &str) {
        for thing in self.things.values_mut() {
            if let Some(Resource::ClusterCapacity(capacity)) = &mut thing.actual {
                capacity.providers.remove(provider);
                thing.uses.remove(provider);
            }
        }
    }

    fn in_use(&self, target: &Thing, now: Instant) -> Option<String> {
        let by_thing = self.existing(now).find(|thing| holds(thing, target)).map(|thing| thing.ids.id.clone());
        let left_behind = matches!(target.kind, Kind::Subnet | Kind::SecurityGroup | Kind::Vpc);
        let interfaces = self.interfaces.iter().filter(|(_, until)| now < *until);
        let mut by_interface = interfaces.clone().filter(|(inside, _)| inside.iter().any(|id| target.ids.is(id)));
        let public = match &target.actual {
            Some(Resource::InternetGateway(gateway)) => self.public(gateway.vpc.as_deref(), now),
            _ => None,
        };
        let interface = left_behind.then(|| by_interface.next().map(|_| "a network interface".to_owned())).flatten();
        by_thing.or(interface).or(public)
    }

    /// Something in the VPC that has a public address.
    fn public(&self, vpc: Option<&str>, now: Instant) -> Option<String> {
        let vpc = vpc?;
        let inside = |subnets: &std::collections::BTreeSet<String>| {
            subnets.contains(vpc)
                || subnets
                    .iter()
                    .any(|subnet| self.named(subnet, Kind::Subnet).is_some_and(|subnet| subnet.uses.contains(vpc)))
        };
        let kinds = [Kind::NatGateway, Kind::LoadBalancer, Kind::Instance];
        let thing = self.existing(now).find(|thing| kinds.contains(&thing.kind) && inside(&thing.uses));
        let interface = self.interfaces.iter().find(|(uses, until)| now < *until && inside(uses));
        thing.map(|thing| thing.ids.id.clone()).or(interface.map(|_| "a network interface".to_owned()))
    }
}

fn uses(thing: &Thing, other: &Thing) -> bool {
    thing.uses.iter().any(|id| other.ids.is(id))
}

/// Whether `target` cannot go while `thing` exists.
fn holds(thing: &Thing, target: &Thing) -> bool {
    use Kind::*;
    let clings = match target.kind {
        Vpc => matches!(
            thing.kind,
            Subnet | RouteTable | SecurityGroup | VpcEndpoint | InternetGateway | LoadBalancer | Instance
        ),
        Subnet => matches!(thing.kind, NatGateway | LoadBalancer | Instance),
        SecurityGroup => matches!(thing.kind, LoadBalancer | Instance | SecurityGroup),
        ElasticIp => thing.kind == NatGateway,
        TargetGroup => thing.kind == Listener,
        Role => thing.kind == InstanceProfile,
        // Tasks run on instances.
        EcsCluster | CapacityProvider | ClusterCapacity => return thing.kind == EcsService,
        _ => false,
    };
    clings && uses(thing, target)
}
