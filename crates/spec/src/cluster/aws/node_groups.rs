//! Node groups: the list, or the old product's one group in fields of the top level.

use super::{NodeGroup, Spot, Volume, VolumeType, names, written};
use crate::{
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    rules::{only, within},
    yaml::{NodeId, Tree},
};

/// Fields of the one group that may stand at the top level.
const FLAT: &[&str] = &[
    "instance_type",
    "min_instances",
    "max_instances",
    "instance_volume_size",
    "instance_volume_type",
    "instance_volume_iops",
    "instance_volume_throughput",
    "spot",
    "spot_config",
];
const FLAT_NAME: &str = "default";
const MAX_GROUPS: usize = 100;
/// Far above any quota; keeps arithmetic on instances in bounds.
const MAX_INSTANCES: i64 = 10_000;
/// Of the load balancer's target quota; the reason of the old product's limit too.
const MAX_INITIAL_INSTANCES: u32 = 200;

/// Takes its fields out of `written`.
pub(super) fn read(document: &mut Document<'_>, written: &mut written::Written) -> Vec<NodeGroup> {
    let flat: Vec<_> = FLAT.iter().copied().filter(|key| document.has(Tree::ROOT, key)).collect();
    let Some(groups) = written.node_groups.take() else {
        if flat.is_empty() {
            let help = "describe at least one, or a single one by `instance_type` and its neighbours at the top level";
            document.required::<()>(Tree::ROOT, "node_groups", None, help);
            return Vec::new();
        }
        return vec![group(document, one_group(written), Tree::ROOT, Some(FLAT_NAME))];
    };
    for key in flat {
        let refusal =
            Refusal::conflict("not together with `node_groups`").help("write it in the node groups it is for");
        document.refuse_field(Tree::ROOT, key, refusal);
    }
    if !(1..=MAX_GROUPS).contains(&groups.value.len()) {
        let message = format!("there must be 1 to {MAX_GROUPS} node groups, not {}", groups.value.len());
        document.refuse(groups.node, Refusal::range(message));
    }
    let names: Vec<At<String>> = groups.value.iter().filter_map(|group| group.value.name.clone()).collect();
    document.distinct(&names, |name, line| {
        Refusal::new(Kind::DuplicateValue, format!("`{name}` is already the name of the group in line {line}"))
            .help("give each group its own name")
    });
    let node = groups.node;
    let groups: Vec<_> = groups.value.into_iter().map(|g| group(document, g.value, g.node, None)).collect();
    let initial: u32 = groups.iter().map(|group| group.min_instances).sum();
    if initial > MAX_INITIAL_INSTANCES {
        let message =
            format!("the groups begin with {initial} instances, at most {MAX_INITIAL_INSTANCES} are possible");
        document.refuse(node, Refusal::range(message).help("lower `min_instances`; groups can grow later"));
    }
    groups
}

fn one_group(written: &mut written::Written) -> written::NodeGroup {
    written::NodeGroup {
        name: None,
        instance_type: written.instance_type.take(),
        min_instances: written.min_instances.take(),
        max_instances: written.max_instances.take(),
        instance_volume_size: written.instance_volume_size.take(),
        instance_volume_type: written.instance_volume_type.take(),
        instance_volume_iops: written.instance_volume_iops.take(),
        instance_volume_throughput: written.instance_volume_throughput.take(),
        spot: written.spot.take(),
        spot_config: written.spot_config.take(),
    }
}

/// `node` is the mapping that holds the fields; `name` is given if the mapping has no field for it.
fn group(document: &mut Document<'_>, written: written::NodeGroup, node: NodeId, name: Option<&str>) -> NodeGroup {
    let name = name.map(str::to_owned).or_else(|| {
        let name = document.required(node, "name", written.name, "letters, digits and dashes")?;
        document.check(name, group_name)
    });
    let instance_type = document.required(node, "instance_type", written.instance_type, "for example m5.large");
    let instance_type = instance_type.and_then(|field| document.check(field, names::instance_type)).unwrap_or_default();
    let (min_instances, max_instances) = instances(document, written.min_instances, written.max_instances);
    let volume = volume(
        document,
        VolumeFields {
            size: written.instance_volume_size,
            r#type: written.instance_volume_type,
            iops: written.instance_volume_iops,
            throughput: written.instance_volume_throughput,
        },
    );
    // A value that could not be read has been reported; what it decides is not held against the rest.
    let enabled = written.spot.map_or_else(|| document.has(node, "spot"), |spot| spot.value);
    let spot = match written.spot_config {
        Some(config) if !enabled => {
            let refusal = Refusal::conflict("needs `spot: true`").help("add `spot: true`, or remove it");
            document.refuse(config.node, refusal);
            None
        }
        Some(config) => Some(spot(document, config.value, &instance_type, max_instances)),
        None => enabled.then(|| spot_defaults(&instance_type)),
    };
    NodeGroup { name: name.unwrap_or_default(), instance_type, min_instances, max_instances, volume, spot }
}

/// 26 characters leave room for what the names of AWS resources are made from.
fn group_name(name: String) -> Result<String, Refusal> {
    let ok = only(&name, "-") && !name.starts_with('-') && !name.ends_with('-');
    match name.len() {
        1..=26 if ok => Ok(name),
        1..=26 => Err(Refusal::invalid(format!("`{name}` is not a name for a node group"))
            .help("use letters, digits and dashes, no dash at either end")),
        len => Err(Refusal::range(format!("a node group's name has 1 to 26 characters, this has {len}"))),
    }
}

fn instances(document: &mut Document<'_>, min: Option<At<i64>>, max: Option<At<i64>>) -> (u32, u32) {
    let node = max.as_ref().or(min.as_ref()).map(|field| field.node);
    let least = document.optional(min, within::<u32>(0..=MAX_INSTANCES));
    let written_max = max.is_some();
    let most = document.optional(max, within::<u32>(1..=MAX_INSTANCES));
    if written_max && most.is_none() {
        return (least.unwrap_or(1), 5);
    }
    let (least, most) = (least.unwrap_or(1), most.unwrap_or(5));
    if let Some(node) = node.filter(|_| least > most) {
        let default = if written_max { "" } else { " (its default)" };
        let message = format!("`min_instances` is {least}, more than `max_instances`, {most}{default}");
        document.refuse(node, Refusal::conflict(message));
    }
    (least, most)
}

struct VolumeFields {
    size: Option<At<i64>>,
    r#type: Option<At<VolumeType>>,
    iops: Option<At<i64>>,
    throughput: Option<At<i64>>,
}

/// Limits and ratios: "Amazon EBS volume types", EBS user guide; 30 GiB is the ECS-optimised image.
fn volume(document: &mut Document<'_>, fields: VolumeFields) -> Volume {
    let r#type = fields.r#type.map_or(VolumeType::Gp3, |t| t.value);
    let size_gib = document.optional(fields.size, within::<u32>(30..=16384)).unwrap_or(50);
    let iops_node = fields.iops.as_ref().map(|field| field.node);
    let throughput_node = fields.throughput.as_ref().map(|field| field.node);
    let (iops, per_gib) = match r#type {
        VolumeType::Gp2 => {
            refuse_for(
                document,
                iops_node,
                "a gp2 volume's operations follow from its size",
                "use gp3 or io1, or remove it",
            );
            (None, None)
        }
        VolumeType::Gp3 => (Some(document.optional(fields.iops, within(3000..=16000)).unwrap_or(3000)), Some(500)),
        VolumeType::Io1 => {
            let default = (50 * size_gib).min(3000);
            (Some(document.optional(fields.iops, within(100..=64000)).unwrap_or(default)), Some(50))
        }
    };
    if let (Some(iops), Some(per_gib), Some(node)) = (iops, per_gib, iops_node)
        && iops > per_gib * size_gib
    {
        let message =
            format!("{iops} operations per second are too many for {size_gib} GiB: at most {per_gib} per GiB");
        document.refuse(node, Refusal::conflict(message).help("raise `instance_volume_size`, or lower it"));
    }
    let throughput = match r#type {
        VolumeType::Gp3 => Some(document.optional(fields.throughput, within(125..=1000)).unwrap_or(125)),
        _ => {
            refuse_for(
                document,
                throughput_node,
                "only a gp3 volume's throughput can be chosen",
                "use gp3, or remove it",
            );
            None
        }
    };
    if let (Some(iops), Some(throughput), Some(node)) = (iops, throughput, throughput_node)
        && throughput > iops / 4
    {
        let message = format!("{throughput} MiB/s need {} operations per second, there are {iops}", throughput * 4);
        document.refuse(node, Refusal::conflict(message).help("raise `instance_volume_iops`, or lower it"));
    }
    Volume { r#type, size_gib, iops, throughput }
}

fn refuse_for(document: &mut Document<'_>, node: Option<NodeId>, why: &str, help: &str) {
    if let Some(node) = node {
        document.refuse(node, Refusal::conflict(why).help(help));
    }
}

fn spot_defaults(instance_type: &str) -> Spot {
    Spot {
        instance_distribution: vec![instance_type.to_owned()],
        on_demand_base_capacity: 0,
        on_demand_percentage_above_base_capacity: 0,
        max_price: None,
        instance_pools: 1,
    }
}

fn spot(document: &mut Document<'_>, written: written::SpotConfig, instance_type: &str, max_instances: u32) -> Spot {
    let mut instance_distribution = vec![instance_type.to_owned()];
    if let Some(list) = written.instance_distribution {
        document.distinct(&list.value, |name, line| {
            Refusal::new(Kind::DuplicateValue, format!("`{name}` is already in line {line}"))
                .help("keep one of the two")
        });
        let checked = list.value.into_iter().filter_map(|name| document.check(name, names::instance_type));
        let others: Vec<String> = checked.filter(|name| name != instance_type).collect();
        instance_distribution.extend(others);
    }
    let base = document.optional(written.on_demand_base_capacity, |base| {
        let base: u32 = within(0..=MAX_INSTANCES)(base)?;
        match base <= max_instances {
            true => Ok(base),
            false => Err(Refusal::conflict(format!("{base} is more than `max_instances`, {max_instances}"))),
        }
    });
    let pools = i64::try_from(instance_distribution.len()).unwrap_or(20).min(20);
    Spot {
        on_demand_base_capacity: base.unwrap_or(0),
        on_demand_percentage_above_base_capacity: document
            .optional(written.on_demand_percentage_above_base_capacity, within(0..=100))
            .unwrap_or(0),
        max_price: document.optional(written.max_price, price),
        instance_pools: document
            .optional(written.instance_pools, within(1..=20))
            .unwrap_or_else(|| u32::try_from(pools).unwrap_or(1)),
        instance_distribution,
    }
}

fn price(price: f64) -> Result<f64, Refusal> {
    match price.is_finite() && price > 0.0 {
        true => Ok(price),
        false => Err(Refusal::range(format!("{price} is not a price: it must be more than 0"))),
    }
}
