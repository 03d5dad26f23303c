//! A plan as people read it: one line per resource that does not stay as it is, one more per changed field.

use std::fmt;

use super::{Choice, DeleteReason, Entry, Order, Plan};
use crate::resource::{Desired, Link, Resource, RouteTable, SecurityGroup};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        let mut parts = Vec::new();
        for (count, what) in [
            (counts.create, "to create"),
            (counts.update, "to change"),
            (counts.replace, "to replace"),
            (counts.delete, "to delete"),
            (counts.keep, "unchanged"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        writeln!(f, "{}: {}", self.cluster, parts.join(", "))?;
        let shown = self.entries.iter().filter(|entry| entry.choice != Choice::Keep);
        let width = shown.clone().map(|entry| entry.key.as_str().len()).filter(|len| *len <= 48).max().unwrap_or(0);
        for entry in shown {
            line(f, entry, width)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, entry: &Entry, width: usize) -> fmt::Result {
    let (sign, note) = match &entry.choice {
        Choice::Create => ("+", entry.wanted.as_ref().map(|node| summary(&node.resource)).unwrap_or_default()),
        Choice::Update { .. } => ("~", String::new()),
        Choice::Replace { reason, order: Order::CreateFirst } => {
            ("±", format!("new, then without the old one: {reason}"))
        }
        Choice::Replace { reason, order: Order::DeleteFirst } => {
            ("∓", format!("without the old one, then new: {reason}"))
        }
        Choice::Delete { reason: DeleteReason::Unwanted } => ("-", String::new()),
        Choice::Delete { reason: DeleteReason::Duplicate } => ("-", "one too many".to_owned()),
        Choice::Keep => return Ok(()),
    };
    let id = match (&entry.current, &entry.choice) {
        (Some(current), Choice::Delete { .. } | Choice::Replace { .. }) => format!(" ({})", current.ids.id),
        _ => String::new(),
    };
    let mut lines = note.lines();
    let head = format!("{sign} {:width$}  {}{id}", entry.key.as_str(), lines.next().unwrap_or_default());
    writeln!(f, "{}", head.trim_end())?;
    for more in lines {
        writeln!(f, "    {more}")?;
    }
    if let Choice::Update { changes } = &entry.choice {
        for change in changes {
            writeln!(f, "    {}", change.to_string().replace('\n', "\n    "))?;
        }
    }
    Ok(())
}

/// What distinguishes the resource, in few words; for what decides who reaches whom, all of it.
fn summary(resource: &Desired) -> String {
    match resource {
        Resource::Vpc(r) => r.cidr.to_string(),
        Resource::Subnet(r) => format!("{} in {}", r.cidr, r.availability_zone),
        Resource::NatGateway(r) => format!("in {}", r.subnet),
        Resource::RouteTable(r) => route_table(r),
        Resource::VpcEndpoint(r) => r.service.clone(),
        Resource::SecurityGroup(r) => security_group(r),
        Resource::LoadBalancer(r) => format!("{}, in {}", scheme(r.scheme), list(&r.subnets)),
        Resource::TargetGroup(r) => format!("port {}", r.port),
        Resource::Listener(r) => {
            let how = if r.tls.is_some() { "TLS" } else { "TCP" };
            format!("{how} {} of {} to {}", r.port, r.load_balancer, r.target_group)
        }
        Resource::Bucket(r) => r.name.clone(),
        Resource::Object(r) => r.source.clone(),
        Resource::LogGroup(r) => match r.retention_days {
            Some(days) => format!("{}, kept for {days} days", r.name),
            None => r.name.clone(),
        },
        Resource::Role(r) => r.name.clone(),
        Resource::InstanceProfile(r) => r.name.clone(),
        Resource::LaunchTemplate(r) => format!("{}, {}, {} GiB", r.instance_type, r.image_id, r.volume.size_gib),
        Resource::AutoScalingGroup(r) => {
            let spot = if r.mixed.is_some() { ", spot" } else { "" };
            format!("{} to {} instances{spot}, in {}", r.min, r.max, list(&r.subnets))
        }
        Resource::EcsCluster(r) => r.name.clone(),
        Resource::CapacityProvider(r) => format!("of {}", r.auto_scaling_group),
        Resource::ClusterCapacity(r) => list(&r.providers),
        Resource::InternetGateway(_) | Resource::ElasticIp(_) => String::new(),
    }
}

fn scheme(scheme: spec::cluster::Scheme) -> &'static str {
    match scheme {
        spec::cluster::Scheme::InternetFacing => "internet-facing",
        spec::cluster::Scheme::Internal => "internal",
    }
}

fn route_table(table: &RouteTable<Link>) -> String {
    let routes: String = table.routes.iter().map(|route| format!("\n{route}")).collect();
    format!("for {}{routes}", list(&table.subnets))
}

fn security_group(group: &SecurityGroup<Link>) -> String {
    let ingress = group.ingress.iter().map(|rule| format!("\nfrom {rule}"));
    let rules: String = ingress.chain(group.egress.iter().map(|rule| format!("\nto {rule}"))).collect();
    format!("{}{rules}", group.description)
}

fn list<'a>(links: impl IntoIterator<Item = &'a Link>) -> String {
    links.into_iter().map(Link::to_string).collect::<Vec<_>>().join(", ")
}
