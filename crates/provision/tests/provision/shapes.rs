//! Random `cluster.yaml` files, over everything that decides about resources.

use std::fmt::Write as _;

use rand::{RngExt as _, rngs::SmallRng};

/// What a random file says; every field can be rolled again without the others.
#[derive(Debug, Clone)]
pub struct Shape {
    network: Network,
    private: bool,
    /// API, operator.
    internal: (bool, bool),
    dedicated: bool,
    white_lists: (Vec<&'static str>, Vec<&'static str>),
    security_group: Option<&'static str>,
    certificate: &'static str,
    api_http: bool,
    policies: usize,
    tags: usize,
    retention: u32,
    bucket: Option<&'static str>,
    control: (u32, &'static str),
    groups: Vec<Group>,
}

#[derive(Debug, Clone)]
enum Network {
    Own { cidr: &'static str, zones: Option<&'static str>, nat_per_zone: bool },
    Brought { subnets: usize, balancers: bool },
}

#[derive(Debug, Clone)]
struct Group {
    name: usize,
    instance_type: &'static str,
    instances: (u32, u32),
    volume: &'static str,
    spot: Option<&'static str>,
}

const CIDRS: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "198.51.100.0/24", "203.0.113.7/32", "0.0.0.0/0"];
const TYPES: &[&str] = &["m5.large", "c6i.xlarge", "g5.xlarge", "t3.medium", "r7a.2xlarge"];
const VOLUMES: &[&str] = &[
    "",
    ", instance_volume_size: 100",
    ", instance_volume_type: gp2",
    ", instance_volume_type: io1, instance_volume_iops: 1000",
    ", instance_volume_iops: 4000, instance_volume_throughput: 250",
];
const SPOTS: &[&str] = &[
    "",
    "max_price: 0.2",
    "instance_distribution: [m5a.large, m5d.large], instance_pools: 2",
    "on_demand_base_capacity: 1, on_demand_percentage_above_base_capacity: 50",
];
const ARN: &str =
    "ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef\n";
const PEM: &str = "ssl_certificate_path: chain.pem\nssl_private_key_path: key.pem\n";

fn pick<T: Copy>(random: &mut SmallRng, from: &[T]) -> T {
    from[random.random_range(0..from.len())]
}

fn some(random: &mut SmallRng, from: &[&'static str]) -> Vec<&'static str> {
    let chosen: Vec<_> = from.iter().copied().filter(|_| random.random_bool(0.4)).collect();
    if chosen.is_empty() { vec![pick(random, from)] } else { chosen }
}

impl Shape {
    pub fn random(random: &mut SmallRng) -> Self {
        let mut shape = Self {
            network: Network::Brought { subnets: 2, balancers: false },
            private: false,
            internal: (false, false),
            dedicated: false,
            white_lists: (Vec::new(), Vec::new()),
            security_group: None,
            certificate: "",
            api_http: false,
            policies: 0,
            tags: 0,
            retention: 30,
            bucket: None,
            control: (1, "t3.small"),
            groups: Vec::new(),
        };
        (0..FIELDS).for_each(|field| shape.roll(field, random));
        shape
    }

    /// The same with a few fields rolled again: mostly such as may change, now and then any.
    pub fn changed(&self, random: &mut SmallRng) -> Self {
        let mut shape = self.clone();
        let first = if random.random_bool(0.4) { 0 } else { DECIDED_ONCE };
        for _ in 0..random.random_range(1..4) {
            shape.roll(random.random_range(first..FIELDS), random);
        }
        shape
    }

    fn roll(&mut self, field: usize, random: &mut SmallRng) {
        match field {
            0 => self.network = network(random),
            1 => self.private = random.random_bool(0.5),
            2 => self.internal = (random.random_bool(0.4), random.random_bool(0.4)),
            3 => self.dedicated = random.random_bool(0.3),
            4 => self.bucket = random.random_bool(0.2).then_some("a-bucket-of-mine"),
            5 => self.white_lists = (some(random, CIDRS), some(random, CIDRS)),
            6 => self.security_group = pick(random, &[None, None, None, Some("clients"), Some("sg-0123456789abcdef0")]),
            7 => self.certificate = pick(random, &["", "", PEM, ARN]),
            8 => self.api_http = random.random_bool(0.3),
            9 => self.policies = random.random_range(0..4),
            10 => self.tags = random.random_range(0..4),
            11 => self.retention = pick(random, &[1, 7, 30, 365]),
            12 => self.control = (random.random_range(1..6), pick(random, &["t3.small", "m5.large"])),
            13 => {
                if let Network::Own { nat_per_zone, .. } = &mut self.network {
                    *nat_per_zone = random.random_bool(0.5);
                }
            }
            // Twice as likely as anything else.
            _ => self.roll_groups(random),
        }
    }

    /// Adds some, removes some, and changes some.
    fn roll_groups(&mut self, random: &mut SmallRng) {
        self.groups.retain(|_| random.random_bool(0.8));
        for group in &mut self.groups {
            if random.random_bool(0.5) {
                *group = self::group(group.name, random);
            }
        }
        let most = pick(random, &[1, 1, 2, 2, 3, 5]);
        for name in 0..most {
            if self.groups.iter().all(|group| group.name != name) {
                self.groups.push(group(name, random));
            }
        }
        self.groups.truncate(5);
    }

    pub fn yaml(&self) -> String {
        let mut yaml = "cluster_name: demo\nregion: us-east-1\n".to_owned();
        self.write(&mut yaml).expect("a string takes everything");
        yaml
    }

    fn write(&self, yaml: &mut String) -> std::fmt::Result {
        let mut internal = self.internal;
        match &self.network {
            Network::Own { cidr, zones, nat_per_zone } => {
                writeln!(yaml, "vpc_cidr: {cidr}")?;
                if let Some(zones) = zones {
                    writeln!(yaml, "availability_zones: {zones}")?;
                }
                if self.private {
                    writeln!(yaml, "nat_gateway: {}", if *nat_per_zone { "highly_available" } else { "single" })?;
                }
            }
            Network::Brought { subnets, balancers } => {
                list(yaml, "subnets", 0, *subnets)?;
                match balancers {
                    true => list(yaml, "load_balancer_subnets", 3, *subnets)?,
                    false if self.private => internal = (true, true),
                    false => {}
                }
            }
        }
        writeln!(yaml, "subnet_visibility: {}", if self.private { "private" } else { "public" })?;
        let scheme = |internal| if internal { "internal" } else { "internet-facing" };
        writeln!(yaml, "api_load_balancer_scheme: {}", scheme(internal.0))?;
        writeln!(yaml, "operator_load_balancer_scheme: {}", scheme(internal.1))?;
        if self.dedicated {
            writeln!(yaml, "load_balancer: dedicated")?;
        }
        writeln!(yaml, "api_load_balancer_cidr_white_list: [{}]", self.white_lists.0.join(", "))?;
        writeln!(yaml, "operator_load_balancer_cidr_white_list: [{}]", self.white_lists.1.join(", "))?;
        // A group that exists is in the network that exists.
        let own = matches!(self.network, Network::Own { .. });
        if let Some(group) = self.security_group.filter(|group| !(own && group.starts_with("sg-"))) {
            writeln!(yaml, "security_group: {group}")?;
        }
        writeln!(yaml, "{}api_http: {}", self.certificate, self.api_http)?;
        let policies: Vec<String> =
            (0..self.policies).map(|n| format!("arn:aws:iam::123456789012:policy/mine-{n}")).collect();
        writeln!(yaml, "iam_policy_arns: [{}]", policies.join(", "))?;
        let tags: Vec<String> = (0..self.tags).map(|n| format!("tag{n}: value{}", self.tags)).collect();
        writeln!(yaml, "tags: {{{}}}\nlog_retention_days: {}", tags.join(", "), self.retention)?;
        if let Some(bucket) = self.bucket {
            writeln!(yaml, "bucket: {bucket}")?;
        }
        writeln!(yaml, "control_plane: {{instances: {}, instance_type: {}}}", self.control.0, self.control.1)?;
        writeln!(yaml, "node_groups:")?;
        self.groups.iter().try_for_each(|group| group.write(yaml))
    }
}

const FIELDS: usize = 16;
/// The first fields are those that a living cluster cannot change, or not always.
const DECIDED_ONCE: usize = 5;

impl Group {
    fn write(&self, yaml: &mut String) -> std::fmt::Result {
        let Self { name, instance_type, instances: (min, max), volume, spot } = self;
        write!(yaml, "  - {{name: g{name}, instance_type: {instance_type}, ")?;
        write!(yaml, "min_instances: {min}, max_instances: {max}{volume}")?;
        match spot {
            Some("") => write!(yaml, ", spot: true")?,
            Some(config) => write!(yaml, ", spot: true, spot_config: {{{config}}}")?,
            None => {}
        }
        writeln!(yaml, "}}")
    }
}

fn network(random: &mut SmallRng) -> Network {
    if random.random_bool(0.3) {
        return Network::Brought { subnets: random.random_range(2..4), balancers: random.random_bool(0.5) };
    }
    let cidr = pick(random, &["10.0.0.0/16", "10.0.0.0/16", "192.168.7.0/24"]);
    let zones =
        pick(random, &[None, None, Some("[us-east-1a, us-east-1b, us-east-1c]"), Some("[us-east-1b, us-east-1c]")]);
    Network::Own { cidr, zones, nat_per_zone: random.random_bool(0.5) }
}

fn group(name: usize, random: &mut SmallRng) -> Group {
    let min = random.random_range(0..4);
    let (volume, spot) = (pick(random, VOLUMES), random.random_bool(0.3).then(|| pick(random, SPOTS)));
    Group {
        name,
        instance_type: pick(random, TYPES),
        instances: (min, random.random_range(min.max(1)..8)),
        volume,
        spot,
    }
}

fn list(yaml: &mut String, field: &str, first: usize, count: usize) -> std::fmt::Result {
    writeln!(yaml, "{field}:")?;
    for at in 0..count {
        let zone = ["a", "b", "c"][at];
        let number = first + at;
        writeln!(yaml, "  - {{availability_zone: us-east-1{zone}, subnet_id: subnet-0123456789abcdef{number}}}")?;
    }
    Ok(())
}
