//! Which other resources a resource means, without taking it apart.

use super::{Peer, Resource, Rule, Via};

impl<L> Resource<L> {
    /// Every link, in the order of the fields.
    pub fn each_link<'a>(&'a self, f: &mut dyn FnMut(&'a L)) {
        match self {
            Self::Vpc(_)
            | Self::ElasticIp(_)
            | Self::Bucket(_)
            | Self::LogGroup(_)
            | Self::Role(_)
            | Self::EcsCluster(_) => {}
            Self::InternetGateway(r) => r.vpc.iter().for_each(f),
            Self::Subnet(r) => f(&r.vpc),
            Self::NatGateway(r) => [&r.subnet, &r.elastic_ip].into_iter().for_each(f),
            Self::RouteTable(r) => {
                f(&r.vpc);
                r.routes.iter().filter_map(|route| via(&route.via)).for_each(&mut *f);
                r.subnets.iter().for_each(f);
            }
            Self::VpcEndpoint(r) => {
                f(&r.vpc);
                r.route_tables.iter().for_each(f);
            }
            Self::SecurityGroup(r) => {
                f(&r.vpc);
                r.ingress.iter().chain(&r.egress).filter_map(peer).for_each(f);
            }
            Self::LoadBalancer(r) => {
                f(&r.vpc);
                r.subnets.iter().chain(&r.security_groups).for_each(f);
            }
            Self::TargetGroup(r) => f(&r.vpc),
            Self::Listener(r) => [&r.load_balancer, &r.target_group].into_iter().for_each(f),
            Self::Object(r) => {
                f(&r.bucket);
                r.inputs.values().for_each(f);
            }
            Self::InstanceProfile(r) => r.role.iter().for_each(f),
            Self::LaunchTemplate(r) => {
                f(&r.instance_profile);
                r.security_groups.iter().for_each(f);
            }
            Self::AutoScalingGroup(r) => {
                f(&r.launch_template);
                r.subnets.iter().chain(&r.target_groups).for_each(f);
            }
            Self::CapacityProvider(r) => f(&r.auto_scaling_group),
            Self::ClusterCapacity(r) => {
                f(&r.cluster);
                r.providers.iter().for_each(f);
            }
        }
    }

    /// Whether any link is so.
    pub fn any_link(&self, mut is: impl FnMut(&L) -> bool) -> bool {
        let mut any = false;
        self.each_link(&mut |link| any = any || is(link));
        any
    }
}

impl<L: Clone> Resource<L> {
    /// Every link, in the order of the fields.
    pub fn links(&self) -> Vec<L> {
        let mut links = Vec::new();
        self.each_link(&mut |link| links.push(link.clone()));
        links
    }
}

fn via<L>(via: &Via<L>) -> Option<&L> {
    match via {
        Via::InternetGateway(link) | Via::NatGateway(link) => Some(link),
        Via::Other(_) => None,
    }
}

fn peer<L>(rule: &Rule<L>) -> Option<&L> {
    match &rule.peer {
        Peer::SecurityGroup(link) => Some(link),
        Peer::Cidr(_) | Peer::Other(_) => None,
    }
}
