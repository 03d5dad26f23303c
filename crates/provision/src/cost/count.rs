//! How much there is of everything that has a price.

use std::collections::BTreeMap;

use spec::cluster::{Scheme, VolumeType};

use super::{Charge, Origin, Part, Price, Quantity};
use crate::{
    desired::{Graph, template_key},
    resource::{AutoScalingGroup, Key, LaunchTemplate, Link, LoadBalancer, Mixed, Resource},
};

/// Included in the price of a `gp3` volume. "Amazon EBS volume types", EBS user guide.
const GP3_IOPS: u32 = 3000;
/// MiB/s
const GP3_THROUGHPUT: u32 = 125;

pub(super) struct Count {
    pub items: Vec<Counted>,
    /// What one more worker of each node group consists of.
    pub workers: BTreeMap<String, Vec<Counted>>,
    pub not_included: Vec<&'static str>,
}

pub(super) struct Counted {
    pub part: Part,
    pub what: String,
    /// Usually one; of several, nobody knows which it will be.
    pub charges: Vec<Charge>,
    pub quantity: Quantity,
    /// The market decides, up to the price.
    pub at_most: bool,
    /// Instead of what the price list says.
    pub limit: Option<Price>,
}

pub(super) fn count(graph: &Graph) -> Count {
    let mut items = Vec::new();
    let mut workers = BTreeMap::new();
    if let Some((group, template)) = nodes(graph, None) {
        items.extend(instances(&Part::ControlPlane, group, template, &range(group)));
    }
    items.extend(balancers(graph));
    items.extend(nat(graph));
    for name in node_groups(graph) {
        let Some((group, template)) = nodes(graph, Some(name)) else { continue };
        let part = Part::NodeGroup(name.to_owned());
        items.extend(instances(&part, group, template, &range(group)));
        workers.insert(name.to_owned(), instances(&part, group, template, &Range { one: true, ..range(group) }));
    }
    Count { items, workers, not_included: not_included(graph) }
}

/// How many nodes.
struct Range {
    min: u32,
    max: u32,
    /// A single further one, of the cheaper way to buy if there are two.
    one: bool,
}

fn range(group: &AutoScalingGroup<Link>) -> Range {
    Range { min: group.min, max: group.max, one: false }
}

fn instances(
    part: &Part,
    group: &AutoScalingGroup<Link>,
    template: &LaunchTemplate<Link>,
    nodes: &Range,
) -> Vec<Counted> {
    let all = if nodes.one { whole(1, 1) } else { whole(nodes.min, nodes.max) };
    let mut items = bought(part, group.mixed.as_ref(), &template.instance_type, nodes);
    items.extend(volume(part, template, all));
    if template.public_ip {
        items.push(counted(part, "public IPv4 addresses of nodes", Charge::PublicIpv4, all));
    }
    items
}

/// The instances themselves, on demand and as spot instances.
fn bought(part: &Part, mixed: Option<&Mixed>, own: &str, nodes: &Range) -> Vec<Counted> {
    let on_demand = |quantity| counted(part, &format!("{own} instances"), Charge::Instance(own.to_owned()), quantity);
    let Some(mixed) = mixed else {
        return vec![on_demand(if nodes.one { whole(1, 1) } else { whole(nodes.min, nodes.max) })];
    };
    let spot = |quantity| {
        let max_price = mixed.spot_max_price.as_deref().and_then(|price| price.parse().ok());
        Counted {
            part: part.clone(),
            what: format!("spot instances of {}", mixed.instance_types.join(", ")),
            charges: mixed.instance_types.iter().cloned().map(Charge::Instance).collect(),
            quantity,
            at_most: true,
            limit: max_price.map(|usd| Price { usd, from: Origin::Configured }),
        }
    };
    if nodes.one {
        let only_on_demand = mixed.on_demand_percentage_above_base_capacity == 100;
        return vec![if only_on_demand { on_demand(whole(1, 1)) } else { spot(whole(1, 1)) }];
    }
    let (least, most) = (mixed.on_demand(nodes.min), mixed.on_demand(nodes.max));
    vec![on_demand(whole(least, most)), spot(whole(nodes.min - least, nodes.max - most))]
}

fn volume(part: &Part, template: &LaunchTemplate<Link>, nodes: Quantity) -> Vec<Counted> {
    let volume = &template.volume;
    let of = volume.r#type;
    let name = String::from(Charge::VolumeGb(of));
    let name = name.split('/').nth(1).unwrap_or_default();
    let each = |what: &str, charge, count: u32| counted(part, &format!("{name} disks{what}"), charge, nodes.of(count));
    let (iops, throughput) = match of {
        VolumeType::Gp2 => (0, 0),
        VolumeType::Io1 => (volume.iops.unwrap_or(0), 0),
        VolumeType::Gp3 => (
            volume.iops.unwrap_or(0).saturating_sub(GP3_IOPS),
            volume.throughput.unwrap_or(0).saturating_sub(GP3_THROUGHPUT),
        ),
    };
    vec![
        each("", Charge::VolumeGb(of), volume.size_gib),
        each(", IOPS", Charge::VolumeIops(of), iops),
        each(", throughput", Charge::VolumeThroughput(of), throughput),
    ]
}

fn balancers(graph: &Graph) -> Vec<Counted> {
    let all = || {
        graph.nodes.values().filter_map(|node| match &node.resource {
            Resource::LoadBalancer(balancer) => Some(balancer),
            _ => None,
        })
    };
    let facing = |balancer: &&LoadBalancer<Link>| balancer.scheme == Scheme::InternetFacing;
    // One in each zone, and one subnet in each zone.
    let addresses: usize = all().filter(facing).map(|balancer| balancer.subnets.len()).sum();
    let part = Part::LoadBalancers;
    vec![
        counted(&part, "network load balancers", Charge::LoadBalancer, fixed(all().count())),
        counted(&part, "public IPv4 addresses of load balancers", Charge::PublicIpv4, fixed(addresses)),
    ]
}

fn nat(graph: &Graph) -> Vec<Counted> {
    let of =
        |wanted: fn(&Resource<Link>) -> bool| fixed(graph.nodes.values().filter(|node| wanted(&node.resource)).count());
    let gateways = of(|resource| matches!(resource, Resource::NatGateway(_)));
    let addresses = of(|resource| matches!(resource, Resource::ElasticIp(_)));
    vec![
        counted(&Part::Nat, "NAT gateways", Charge::NatGateway, gateways),
        counted(&Part::Nat, "public IPv4 addresses of NAT gateways", Charge::PublicIpv4, addresses),
    ]
}

fn not_included(graph: &Graph) -> Vec<&'static str> {
    let has = |wanted: fn(&Resource<Link>) -> bool| graph.nodes.values().any(|node| wanted(&node.resource));
    let unlimited = |resource: &Resource<Link>| matches!(resource, Resource::LaunchTemplate(made) if made.instance_type.starts_with("t3"));
    let mut names = vec![
        "capacity units (NLCU) of the load balancers",
        "traffic to the internet and between availability zones",
        "requests to the bucket, and what is kept in it",
        "CloudWatch Logs: what is written, kept and read",
    ];
    if has(|resource| matches!(resource, Resource::NatGateway(_))) {
        names.push("each GB through a NAT gateway");
    }
    if has(unlimited) {
        names.push("CPU credits of t3 and t3a instances that are busy beyond their baseline for long");
    }
    names
}

/// The group and its template; of the control nodes if no node group is named.
fn nodes<'a>(graph: &'a Graph, name: Option<&str>) -> Option<(&'a AutoScalingGroup<Link>, &'a LaunchTemplate<Link>)> {
    let template = template_key(name);
    let made = graph.nodes.get(&template).and_then(|node| match &node.resource {
        Resource::LaunchTemplate(made) => Some(made),
        _ => None,
    })?;
    let group = graph.nodes.values().find_map(|node| match &node.resource {
        Resource::AutoScalingGroup(group) if group.launch_template.key() == Some(&template) => Some(group),
        _ => None,
    })?;
    Some((group, made))
}

fn node_groups(graph: &Graph) -> impl Iterator<Item = &str> {
    let templates = graph.nodes.values().filter(|node| matches!(node.resource, Resource::LaunchTemplate(_)));
    let rest = templates.map(|node| Key::rest(&node.key));
    rest.filter_map(|rest| rest.strip_prefix("node/"))
}

fn counted(part: &Part, what: &str, charge: Charge, quantity: Quantity) -> Counted {
    Counted { part: part.clone(), what: what.to_owned(), charges: vec![charge], quantity, at_most: false, limit: None }
}

fn whole(min: u32, max: u32) -> Quantity {
    Quantity { min: f64::from(min), max: f64::from(max) }
}

fn fixed(count: usize) -> Quantity {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    whole(count, count)
}

impl Quantity {
    /// So many of something for each.
    fn of(self, each: u32) -> Self {
        Self { min: self.min * f64::from(each), max: self.max * f64::from(each) }
    }
}
