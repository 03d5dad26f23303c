//! Names that AWS has rules for. Sources: the service's own documentation, named at each rule.

use ipnet::Ipv4Net;

use super::SecurityGroup;
use crate::{
    problem::{Kind, Refusal},
    rules::only,
};

/// The form of a region's name; whether there is such a region is for preflight, since AWS adds regions.
pub(super) fn region(name: String) -> Result<String, Refusal> {
    let parts: Vec<&str> = name.split('-').collect();
    let ok = parts.len() >= 3
        && parts[0].len() == 2
        && parts.last().is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
        && parts[..parts.len() - 1].iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()));
    if ok {
        return Ok(name);
    }
    let help = match name.char_indices().next_back() {
        Some((last, 'a'..='f')) if region(name[..last].to_owned()).is_ok() => {
            format!("this is a zone; its region is `{}`", &name[..last])
        }
        _ => "for example us-east-1, eu-central-1".to_owned(),
    };
    Err(Refusal::invalid(format!("`{name}` is not the name of an AWS region")).help(help))
}

/// A zone: the region's name and one letter. Local zones (`us-west-2-lax-1a`) lack services a cluster needs.
pub(super) fn zone(name: &str, region: Option<&str>) -> Result<(), Refusal> {
    let (of, letter) = name.split_at_checked(name.len().saturating_sub(1)).unwrap_or((name, ""));
    let form = letter.bytes().all(|b| b.is_ascii_lowercase()) && self::region(of.to_owned()).is_ok();
    if !form || letter.is_empty() {
        return Err(Refusal::invalid(format!("`{name}` is not the name of an availability zone"))
            .help("for example us-east-1a; local zones and zone ids are not supported"));
    }
    match region {
        Some(region) if of != region => Err(Refusal::conflict(format!("`{name}` is not a zone of {region}"))),
        _ => Ok(()),
    }
}

/// Families a network load balancer cannot have as instance targets (Elastic Load Balancing user guide, "Target
/// groups for your Network Load Balancers").
const NO_LOAD_BALANCER: &[&str] =
    &["c1", "cc1", "cc2", "cg1", "cg2", "cr1", "g1", "g2", "hi1", "hs1", "m1", "m2", "m3", "t1"];
/// Accelerators that need drivers the ECS-optimised image lacks.
const NO_DRIVERS: &[(&str, &str)] = &[("f", "FPGA"), ("vt", "media accelerator"), ("dl", "Gaudi"), ("trn", "Trainium")];

/// An instance type nodes can have. Whether the zones offer it is for preflight.
pub(super) fn instance_type(name: String) -> Result<String, Refusal> {
    let refuse = |why: &str| Err(Refusal::invalid(format!("`{name}` {why}")));
    let Some((family, size)) = name.split_once('.') else {
        return refuse("is not an instance type").map_err(|r: Refusal| r.help("for example m5.large"));
    };
    let lower = |text: &str| !text.is_empty() && only(text, "-") && !text.bytes().any(|b| b.is_ascii_uppercase());
    let generation = family.find(|c: char| c.is_ascii_digit());
    let (Some(generation), true) = (generation.filter(|at| *at > 0), lower(family) && lower(size)) else {
        return refuse("is not an instance type").map_err(|r| r.help("for example m5.large"));
    };
    let (letters, rest) = family.split_at(generation);
    if matches!(size, "nano" | "micro") {
        return refuse("has too little memory for a node").map_err(|r| r.help("take a small one at least"));
    }
    if NO_LOAD_BALANCER.contains(&family) {
        return refuse("cannot stand behind a network load balancer").map_err(|r| r.help("take a newer family"));
    }
    if letters.starts_with("mac") {
        return refuse("runs macOS, not Linux");
    }
    if let Some((_, what)) = NO_DRIVERS.iter().find(|(prefix, _)| *prefix == letters) {
        return refuse(&format!("has a {what}, for which there are no drivers"));
    }
    if family == "g4ad" {
        return refuse("has an AMD GPU, for which there are no drivers");
    }
    if family == "a1" || rest.contains('g') {
        let help = "take its x86 relative, for example m6i instead of m6g";
        return Err(
            Refusal::new(Kind::NotSupportedYet, format!("`{name}` has an ARM processor: not supported yet")).help(help)
        );
    }
    Ok(name)
}

/// An IPv4 range without host bits.
pub(super) fn cidr(text: &str) -> Result<Ipv4Net, Refusal> {
    if text.parse::<ipnet::Ipv6Net>().is_ok() {
        return Err(Refusal::new(Kind::NotSupportedYet, format!("`{text}` is an IPv6 range: not supported yet"))
            .help("the load balancers have IPv4 addresses only"));
    }
    let net: Ipv4Net = text.parse().map_err(|_| {
        let refusal = Refusal::invalid(format!("`{text}` is not an IPv4 range"));
        match text.parse::<std::net::Ipv4Addr>() {
            Ok(address) => refusal.help(format!("for this one address write `{address}/32`")),
            Err(_) => refusal.help("for example 203.0.113.0/24"),
        }
    })?;
    if net.addr() != net.network() {
        return Err(Refusal::invalid(format!("`{text}` has bits set behind its prefix"))
            .help(format!("write `{}`", net.trunc())));
    }
    Ok(net)
}

/// The range of a VPC: /16 to /24, so that every zone gets a useful subnet.
pub(super) fn vpc_cidr(text: String) -> Result<Ipv4Net, Refusal> {
    let net = cidr(&text)?;
    if !(16..=24).contains(&net.prefix_len()) {
        return Err(Refusal::range(format!("/{} is out of range: it must be from /16 to /24", net.prefix_len())));
    }
    let address = net.addr();
    let special =
        address.octets()[0] == 0 || address.is_loopback() || address.is_link_local() || address.octets()[0] >= 224;
    if special {
        return Err(Refusal::invalid(format!("`{text}` cannot be the range of a VPC"))
            .help("take a private one: in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"));
    }
    Ok(net)
}

/// "General purpose bucket naming rules", Amazon S3 user guide; dots besides, since TLS to such a bucket fails.
pub(super) fn bucket(name: String) -> Result<String, Refusal> {
    const PREFIXES: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", "--x-s3", "--table-s3"];
    let edges = |c: Option<char>| c.is_some_and(|c| c != '-');
    let ok = (3..=63).contains(&name.len())
        && only(&name, "-")
        && !name.bytes().any(|b| b.is_ascii_uppercase())
        && edges(name.chars().next())
        && edges(name.chars().next_back());
    let reserved = PREFIXES.iter().any(|p| name.starts_with(p)) || SUFFIXES.iter().any(|s| name.ends_with(s));
    match (ok, reserved) {
        (true, false) => Ok(name),
        (true, true) => Err(Refusal::invalid(format!("`{name}` has a beginning or an end that S3 keeps for itself"))),
        _ => Err(Refusal::invalid(format!("`{name}` is not a name for a bucket"))
            .help("3 to 63 lower-case letters, digits and dashes; no dash at either end, no dots")),
    }
}

/// An id such as `subnet-0123456789abcdef0`: 8 or 17 hexadecimal digits.
fn resource_id(prefix: &str, id: &str) -> bool {
    let digits = id.strip_prefix(prefix);
    digits.is_some_and(|d| matches!(d.len(), 8 | 17) && d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

pub(super) fn subnet_id(id: String) -> Result<String, Refusal> {
    match resource_id("subnet-", &id) {
        true => Ok(id),
        false => {
            Err(Refusal::invalid(format!("`{id}` is not the id of a subnet"))
                .help("for example subnet-0123456789abcdef0"))
        }
    }
}

/// "CreateSecurityGroup", EC2 API reference: at most 255 characters of a small alphabet.
pub(super) fn security_group(text: String) -> Result<SecurityGroup, Refusal> {
    if text.starts_with("sg-") {
        return match resource_id("sg-", &text) {
            true => Ok(SecurityGroup::Id(text)),
            false => Err(Refusal::invalid(format!("`{text}` is not the id of a security group"))
                .help("an id is like sg-0123456789abcdef0, and a name does not begin with `sg-`")),
        };
    }
    let ok = (1..=255).contains(&text.len()) && text.trim() == text && only(&text, " ._-:/()#,@[]+=&;{}!$*");
    if ok && text != "default" {
        return Ok(SecurityGroup::Name(text));
    }
    Err(Refusal::invalid(format!("`{text}` is not a name for a security group"))
        .help("1 to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*; not `default`"))
}

/// "Tag naming limits and requirements", AWS resource tagging guide; the length is eksctl's and ours.
pub(super) fn tag_key(key: &str) -> Result<(), Refusal> {
    const RESERVED: &[&str] =
        &["aws:", "cortex.dev/", "kubernetes.io/", "k8s.io/", "eksctl.", "alpha.eksctl.", "beta.eksctl."];
    let lower = key.to_ascii_lowercase();
    if let Some(prefix) = RESERVED.iter().find(|prefix| lower.starts_with(*prefix)) {
        return Err(Refusal::invalid(format!("tags that begin with `{prefix}` are reserved")));
    }
    tag_text(key, 1..=127)
}

pub(super) fn tag_value(value: &str) -> Result<(), Refusal> {
    tag_text(value, 1..=255)
}

fn tag_text(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<(), Refusal> {
    if !lengths.contains(&text.chars().count()) {
        return Err(Refusal::range(format!("has to have {} to {} characters", lengths.start(), lengths.end())));
    }
    if text.trim() != text {
        return Err(Refusal::invalid("must not begin or end with a space"));
    }
    match text.chars().find(|c| !c.is_alphanumeric() && !" _.:/=+-@".contains(*c)) {
        Some(c) => Err(Refusal::invalid(format!("`{}` is not allowed in a tag", c.escape_debug()))
            .help("letters, digits, spaces and _.:/=+-@ are")),
        None => Ok(()),
    }
}

/// `arn:<partition>:<service>:<region>:<account>:<resource>`, partition checked.
pub(super) fn arn<'a>(text: &'a str, service: &str) -> Option<[&'a str; 3]> {
    let mut parts = text.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?);
    let partition = matches!(head.1, "aws" | "aws-us-gov" | "aws-cn");
    let rest = [parts.next()?, parts.next()?, parts.next()?];
    (head.0 == "arn" && partition && head.2 == service).then_some(rest)
}

pub(super) fn account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
