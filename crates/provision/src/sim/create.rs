//! Making and changing things, and what stands in the way.

use std::{collections::BTreeMap, time::Duration};

use ipnet::Ipv4Net;
use rand::RngExt as _;
use tokio::time::Instant;

use super::world::World;
use crate::{
    cloud::{CloudError, ErrorKind, Ids, Observed, Wanted},
    resource::{Concrete, Key, Kind, Peer, Ports, Resource, Rule},
};

type Result<T> = std::result::Result<T, CloudError>;

fn fail<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T> {
    Err(CloudError::new(kind, message))
}

impl World {
    pub(super) fn create(&mut self, wanted: &Wanted, now: Instant, bare: bool) -> Result<Ids> {
        self.mentioned(&wanted.resource, now)?;
        self.possible(&wanted.resource, now)?;
        self.free(&wanted.resource, now)?;
        let attached = self.attachable(&wanted.resource);
        let mut actual = wanted.resource.clone();
        if bare || !attached {
            strip(&mut actual);
        }
        let ids = self.name(&wanted.resource);
        let group = matches!(actual, Resource::AutoScalingGroup(_));
        self.take_over(&actual, None);
        let thing = self.insert(wanted.key.clone(), actual.kind(), ids.clone(), Some(actual), now);
        thing.tags = wanted.tags.clone();
        if group {
            self.populate(&ids.id, now);
        }
        match attached {
            true => Ok(ids),
            false => fail(ErrorKind::AlreadyExists, "Resource.AlreadyAssociated"),
        }
    }

    pub(super) fn update(&mut self, current: &Observed, wanted: &Wanted, fields: &[&str], now: Instant) -> Result<()> {
        if self.trespass(current.kind, &current.ids.id) {
            return fail(ErrorKind::Invalid, format!("{} is not yours", current.ids.id));
        }
        self.mentioned(&wanted.resource, now)?;
        let Some(number) = self.number_of(&current.ids.id, current.kind) else {
            return fail(ErrorKind::NotFoundYet, format!("{} is not known", current.ids.id));
        };
        if fields.contains(&"vpc") && !self.attachable(&wanted.resource) {
            return fail(ErrorKind::AlreadyExists, "Resource.AlreadyAssociated");
        }
        let until = now + self.some_lag();
        self.take_over(&wanted.resource, Some(number));
        let Some(thing) = self.things.get_mut(&number) else { return Ok(()) };
        if let Some(actual) = &thing.actual {
            thing.stale = Some((actual.clone(), thing.tags.clone(), until));
            thing.actual = Some(merge(actual, &wanted.resource, fields));
        }
        if fields.contains(&"tags") {
            thing.tags.extend(wanted.tags.clone());
        }
        thing.uses = thing.actual.as_ref().map(Resource::links).unwrap_or_default().into_iter().collect();
        let ids = thing.ids.clone();
        if current.kind == Kind::AutoScalingGroup {
            self.populate(&ids.id, now);
        }
        Ok(())
    }

    /// Whether all that is mentioned exists, and is known here already.
    fn mentioned(&mut self, resource: &Concrete, now: Instant) -> Result<()> {
        for link in resource.links().into_iter().collect::<std::collections::BTreeSet<_>>() {
            if self.foreign.contains(&link) {
                continue;
            }
            let is = |ids: &Ids| ids.is(&link) || ids.dns_name.as_ref() == Some(&link);
            let found = self.things.values().find(|thing| thing.stays() && is(&thing.ids));
            let known = match found.map(|thing| thing.seen.0) {
                Some(seen) if now < seen => self.random.random_bool(0.5),
                Some(_) => true,
                None => false,
            };
            if !known {
                return fail(ErrorKind::NotFoundYet, format!("{link} does not exist"));
            }
        }
        Ok(())
    }

    /// Whether what is mentioned can be used for this.
    fn possible(&self, resource: &Concrete, now: Instant) -> Result<()> {
        let gateway = |vpc: &str| {
            let of =
                |actual: &Concrete| matches!(actual, Resource::InternetGateway(g) if g.vpc.as_deref() == Some(vpc));
            self.things.values().any(|thing| thing.stays() && thing.actual.as_ref().is_some_and(of))
        };
        let ours = |vpc: &str| !self.foreign.contains(vpc);
        match resource {
            Resource::LoadBalancer(r) => {
                let faces = r.scheme == spec::cluster::Scheme::InternetFacing;
                let mixed = r.subnets.iter().any(|subnet| self.vpc_of(subnet).is_some_and(|vpc| vpc != r.vpc));
                match (faces && ours(&r.vpc) && !gateway(&r.vpc), mixed) {
                    (true, _) => fail(ErrorKind::Invalid, "InvalidSubnet: no internet gateway"),
                    (_, true) => fail(ErrorKind::Invalid, "InvalidSubnet: another VPC"),
                    _ => Ok(()),
                }
            }
            Resource::NatGateway(r) if self.vpc_of(&r.subnet).is_some_and(|vpc| !gateway(&vpc)) => {
                fail(ErrorKind::Invalid, "Gateway.NotAttached")
            }
            Resource::Listener(r) => {
                match (self.of(&r.load_balancer, Kind::LoadBalancer), self.of(&r.target_group, Kind::TargetGroup)) {
                    (Some(Resource::LoadBalancer(b)), Some(Resource::TargetGroup(g))) if b.vpc != g.vpc => {
                        fail(ErrorKind::Invalid, "InvalidConfigurationRequest: another VPC")
                    }
                    _ => Ok(()),
                }
            }
            Resource::AutoScalingGroup(r) => {
                let template = self.of(&r.launch_template, Kind::LaunchTemplate);
                let Some(Resource::LaunchTemplate(template)) = template else { return Ok(()) };
                let profile = self.named(&template.instance_profile, Kind::InstanceProfile);
                match profile.is_some_and(|profile| profile.ready <= now) {
                    true => Ok(()),
                    false => fail(ErrorKind::NotFoundYet, "Invalid IamInstanceProfile"),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether there is room for it: names, ranges and ports are taken by what exists.
    fn free(&self, resource: &Concrete, now: Instant) -> Result<()> {
        let overlap = |a: &Ipv4Net, b: &Ipv4Net| a.contains(b) || b.contains(a);
        let clashes = |other: &Concrete| match (resource, other) {
            (Resource::Subnet(a), Resource::Subnet(b)) => a.vpc == b.vpc && overlap(&a.cidr, &b.cidr),
            (Resource::SecurityGroup(a), Resource::SecurityGroup(b)) => a.vpc == b.vpc && a.name == b.name,
            (Resource::NatGateway(a), Resource::NatGateway(b)) => a.elastic_ip == b.elastic_ip,
            (Resource::VpcEndpoint(a), Resource::VpcEndpoint(b)) => {
                a.vpc == b.vpc && !a.route_tables.is_disjoint(&b.route_tables)
            }
            (Resource::Listener(a), Resource::Listener(b)) => a.load_balancer == b.load_balancer && a.port == b.port,
            (Resource::Object(a), Resource::Object(b)) => a.bucket == b.bucket && a.object_key == b.object_key,
            (a, b) => a.kind() == b.kind() && name_of(a).is_some() && name_of(a) == name_of(b),
        };
        match self.existing(now).find(|thing| thing.actual.as_ref().is_some_and(clashes)) {
            Some(other) => fail(ErrorKind::AlreadyExists, format!("{} is in the way", other.ids.id)),
            None => Ok(()),
        }
    }

    /// An internet gateway is made and attached by two requests; the second fails if the VPC has one.
    fn attachable(&self, resource: &Concrete) -> bool {
        let Resource::InternetGateway(gateway) = resource else { return true };
        let taken = |actual: &Concrete| matches!(actual, Resource::InternetGateway(other) if other.vpc == gateway.vpc);
        !self.things.values().any(|thing| thing.stays() && thing.actual.as_ref().is_some_and(taken))
    }

    /// A subnet has one route table: the last that asked for it.
    fn take_over(&mut self, resource: &Concrete, own: Option<u64>) {
        let Resource::RouteTable(table) = resource else { return };
        for (_, thing) in self.things.iter_mut().filter(|(number, _)| Some(**number) != own) {
            if let Some(Resource::RouteTable(other)) = &mut thing.actual
                && !other.subnets.is_disjoint(&table.subnets)
            {
                other.subnets.retain(|subnet| !table.subnets.contains(subnet));
                thing.uses.retain(|used| !table.subnets.contains(used));
            }
        }
    }

    fn of(&self, id: &str, kind: Kind) -> Option<&Concrete> {
        self.named(id, kind).and_then(|thing| thing.actual.as_ref())
    }

    fn vpc_of(&self, subnet: &str) -> Option<String> {
        match self.of(subnet, Kind::Subnet) {
            Some(Resource::Subnet(subnet)) => Some(subnet.vpc.clone()),
            _ => None,
        }
    }

    fn name(&mut self, resource: &Concrete) -> Ids {
        let number = self.number();
        let name = name_of(resource);
        let arn = |service: &str| Some(format!("arn:aws:{service}:{}/{number}", name.clone().unwrap_or_default()));
        let numbered =
            |prefix: &str| Ids { id: format!("{prefix}-{number:08x}"), name: name.clone(), ..Ids::default() };
        let by_name = |arn| Ids { id: name.clone().unwrap_or_default(), arn, name: name.clone(), dns_name: None };
        match resource {
            Resource::Vpc(_) => numbered("vpc"),
            Resource::InternetGateway(_) => numbered("igw"),
            Resource::Subnet(_) => numbered("subnet"),
            Resource::ElasticIp(_) => numbered("eipalloc"),
            Resource::NatGateway(_) => numbered("nat"),
            Resource::RouteTable(_) => numbered("rtb"),
            Resource::VpcEndpoint(_) => numbered("vpce"),
            Resource::SecurityGroup(_) => numbered("sg"),
            Resource::LaunchTemplate(_) => numbered("lt"),
            Resource::LoadBalancer(r) => {
                let arn = arn("elasticloadbalancing");
                let dns_name = Some(format!("{}-{number}.elb.example.com", r.name));
                Ids { id: arn.clone().unwrap_or_default(), arn, name: name.clone(), dns_name }
            }
            Resource::TargetGroup(_) | Resource::Listener(_) => {
                let arn = arn("elasticloadbalancing");
                Ids { id: arn.clone().unwrap_or_default(), arn, name: name.clone(), dns_name: None }
            }
            Resource::Role(_) | Resource::InstanceProfile(_) => by_name(arn("iam")),
            Resource::AutoScalingGroup(_) => by_name(arn("autoscaling")),
            Resource::EcsCluster(_) | Resource::CapacityProvider(_) => by_name(arn("ecs")),
            Resource::ClusterCapacity(r) => Ids { id: format!("{}/capacity", r.cluster), ..Ids::default() },
            Resource::Bucket(_) | Resource::LogGroup(_) | Resource::Object(_) => by_name(None),
        }
    }

    /// A group has as many instances as it should have, where it should have them.
    fn populate(&mut self, group: &str, now: Instant) {
        let Some(thing) = self.named(group, Kind::AutoScalingGroup) else { return };
        let ready = thing.ready.max(now + Duration::from_secs(30));
        let (Some(Resource::AutoScalingGroup(actual)), key) = (thing.actual.clone(), thing.key.clone()) else { return };
        let mut count = 0;
        for instance in self.things.values_mut().filter(|t| t.stays() && t.group.as_deref() == Some(group)) {
            match actual.subnets.iter().any(|subnet| instance.uses.contains(subnet)) {
                true => count += 1,
                false => instance.gone = Some(now + Duration::from_secs(40)),
            }
        }
        let template = self.named(&actual.launch_template, Kind::LaunchTemplate).and_then(|t| t.actual.clone());
        let groups = match template {
            Some(Resource::LaunchTemplate(template)) => template.security_groups,
            _ => Default::default(),
        };
        for number in count..actual.desired.unwrap_or(actual.min).max(actual.min) as usize {
            let subnet = actual.subnets.iter().nth(number % actual.subnets.len().max(1)).cloned();
            let vpc = subnet.as_deref().and_then(|subnet| self.vpc_of(subnet));
            let ids = Ids { id: format!("i-{:08x}", self.number()), ..Ids::default() };
            let instance = self.insert(Key::new(Kind::Instance, &[key.rest()]), Kind::Instance, ids, None, now);
            instance.group = Some(group.to_owned());
            instance.uses = groups.iter().cloned().chain(subnet).chain(vpc).collect();
            instance.ready = ready;
        }
    }
}

fn name_of(resource: &Concrete) -> Option<String> {
    let name = match resource {
        Resource::SecurityGroup(r) => &r.name,
        Resource::LoadBalancer(r) => &r.name,
        Resource::TargetGroup(r) => &r.name,
        Resource::Bucket(r) => &r.name,
        Resource::Object(r) => &r.object_key,
        Resource::LogGroup(r) => &r.name,
        Resource::Role(r) => &r.name,
        Resource::InstanceProfile(r) => &r.name,
        Resource::LaunchTemplate(r) => &r.name,
        Resource::AutoScalingGroup(r) => &r.name,
        Resource::EcsCluster(r) => &r.name,
        Resource::CapacityProvider(r) => &r.name,
        Resource::ClusterCapacity(r) => &r.cluster,
        _ => return None,
    };
    Some(name.clone())
}

/// Of what exists, with the named fields as wanted.
fn merge(actual: &Concrete, wanted: &Concrete, fields: &[&str]) -> Concrete {
    let value = |resource| serde_json::to_value(resource).expect("resources are plain data");
    let (mut merged, new) = (value(actual), value(wanted));
    for field in fields.iter().filter(|field| new.get(**field).is_some()) {
        merged[*field] = new[*field].clone();
    }
    serde_json::from_value(merged).expect("of the same kind")
}

/// What the first of several requests leaves, if the others never come.
fn strip(resource: &mut Concrete) {
    match resource {
        Resource::Vpc(r) => (r.dns_hostnames, r.default_security_group_closed) = (false, false),
        Resource::InternetGateway(r) => r.vpc = None,
        Resource::RouteTable(r) => {
            r.routes.clear();
            r.subnets.clear();
        }
        Resource::SecurityGroup(r) => {
            r.ingress.clear();
            let everywhere = Peer::Cidr(Ipv4Net::default());
            r.egress = [Rule { ports: Ports::All, peer: everywhere, description: String::new() }].into();
        }
        Resource::LoadBalancer(r) => r.cross_zone = false,
        Resource::TargetGroup(r) => (r.deregistration_delay_s, r.preserve_client_ip) = (300, false),
        Resource::Bucket(r) => {
            (r.versioned, r.policy, r.lifecycle) = (false, None, BTreeMap::new());
        }
        Resource::LogGroup(r) => r.retention_days = None,
        Resource::Role(r) => {
            r.inline_policies.clear();
            r.managed_policy_arns.clear();
        }
        Resource::InstanceProfile(r) => r.role = None,
        _ => {}
    }
}
