//! Quotas of the account: whether what the plan makes still fits.
//!
//! Codes and names: "Service quotas" of each service in the AWS General Reference.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use provision::{
    cloud::CloudError,
    plan::Choice,
    resource::{Kind, Resource},
};

use super::{
    Finding, Subject,
    machines::{self, More},
    unknown,
    usage::{self, Usage},
};
use crate::{Clients, classify::quotas};

/// What the account may have of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quota {
    pub service: &'static str,
    pub code: &'static str,
    pub name: &'static str,
}

const fn quota(service: &'static str, code: &'static str, name: &'static str) -> Quota {
    Quota { service, code, name }
}

const VPCS: Quota = quota("vpc", "L-F678F1CE", "VPCs per Region");
const INTERNET_GATEWAYS: Quota = quota("vpc", "L-A4707A72", "Internet gateways per Region");
const NAT_GATEWAYS: Quota = quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone");
const SECURITY_GROUPS: Quota = quota("vpc", "L-E79EC296", "VPC security groups per Region");
const RULES: Quota = quota("vpc", "L-0EA8095F", "Inbound or outbound rules per security group");
const ELASTIC_IPS: Quota = quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs");
const LOAD_BALANCERS: Quota = quota("elasticloadbalancing", "L-69A177A2", "Network Load Balancers per Region");

/// By the first letters of an instance type: on demand, spot. The longest match counts.
const VCPUS: &[(&[&str], Quota, Quota)] = &[
    (
        &["a", "c", "d", "h", "i", "m", "r", "t", "z"],
        quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
        quota("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"),
    ),
    (
        &["f"],
        quota("ec2", "L-74FC7D96", "Running On-Demand F instances"),
        quota("ec2", "L-88CF9481", "All F Spot Instance Requests"),
    ),
    (
        &["g", "vt"],
        quota("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances"),
        quota("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests"),
    ),
    (
        &["inf"],
        quota("ec2", "L-1945791B", "Running On-Demand Inf instances"),
        quota("ec2", "L-B5D1601B", "All Inf Spot Instance Requests"),
    ),
    (
        &["p"],
        quota("ec2", "L-417A185B", "Running On-Demand P instances"),
        quota("ec2", "L-7212CCBC", "All P Spot Instance Requests"),
    ),
    (
        &["x"],
        quota("ec2", "L-7295265B", "Running On-Demand X instances"),
        quota("ec2", "L-E3A00192", "All X Spot Instance Requests"),
    ),
];

pub(super) fn of_type(instance_type: &str, spot: bool) -> Option<Quota> {
    let letters = |(prefixes, ..): &&(&[&str], Quota, Quota)| {
        let fits = prefixes.iter().filter(|prefix| instance_type.starts_with(**prefix));
        fits.map(|prefix| prefix.len()).max()
    };
    let (_, on_demand, spots) = VCPUS.iter().filter(|row| letters(row).is_some()).max_by_key(letters)?;
    Some(if spot { *spots } else { *on_demand })
}

/// How many more of something the plan takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    quota: Quota,
    /// What exists of it, where that is counted: the rules of one group are all its own.
    usage: Option<Usage>,
    /// Certainly, and at most.
    more: (u32, u32),
}

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let machines = machines::more(subject);
    let mut needs = countable(subject);
    let types: BTreeSet<&str> = machines.iter().flat_map(|more| &more.types).map(String::as_str).collect();
    if needs.is_empty() && types.is_empty() {
        return Ok(Vec::new());
    }
    let services: BTreeSet<&str> = needs.iter().map(|need| need.quota.service).chain(["ec2"]).collect();
    let (limits, vcpus) = futures_util::join!(limits(clients, &services), machines::vcpus(clients, &types));
    match vcpus {
        Ok(vcpus) => needs.extend(computing(&machines, &vcpus)),
        Err(error) => return Ok(vec![unknown("quotas: vCPUs", &error)]),
    }
    let looks = needs.iter().map(|need| async {
        match need.usage {
            None => None,
            Some(usage) => Some(usage::count(clients, usage).await),
        }
    });
    let used = join_all(looks).await;
    let region = &subject.plan.cluster.region;
    let partition = &subject.caller.partition;
    let judged = needs.iter().zip(used).map(|(need, used)| match limits.get(need.quota.service) {
        Some(Ok(limits)) => {
            judge(need, limits.get(need.quota.code).copied(), used.as_ref(), &page(need.quota, region, partition))
        }
        Some(Err(error)) => unknown(name(need.quota), error),
        None => Finding::unknown(name(need.quota), "nobody was asked"),
    });
    Ok(judged.collect())
}

fn countable(subject: Subject<'_>) -> Vec<Need> {
    let count = |kind| u32::try_from(subject.created(kind).count()).unwrap_or(u32::MAX);
    let need = |quota, usage, more| Need { quota, usage, more: (more, more) };
    let mut needs = vec![
        need(VPCS, Some(Usage::Vpcs), count(Kind::Vpc)),
        need(INTERNET_GATEWAYS, Some(Usage::InternetGateways), count(Kind::InternetGateway)),
        need(ELASTIC_IPS, Some(Usage::Addresses), count(Kind::ElasticIp)),
        // One in each zone.
        need(NAT_GATEWAYS, Some(Usage::NatGatewaysOfTheFullestZone), count(Kind::NatGateway).min(1)),
        need(SECURITY_GROUPS, Some(Usage::SecurityGroups), count(Kind::SecurityGroup)),
        need(LOAD_BALANCERS, Some(Usage::NetworkLoadBalancers), count(Kind::LoadBalancer)),
        need(RULES, None, rules(subject)),
    ];
    needs.retain(|need| need.more.1 > 0);
    needs
}

/// Of the group with the most, if it is made or changed. Every range of a white list counts once for each port.
fn rules(subject: Subject<'_>) -> u32 {
    let changed = subject.plan.entries.iter().filter(|entry| entry.choice != Choice::Keep);
    let groups = changed.filter_map(|entry| match &entry.wanted.as_ref()?.resource {
        Resource::SecurityGroup(group) => Some(group.ingress.len().max(group.egress.len())),
        _ => None,
    });
    groups.max().and_then(|most| u32::try_from(most).ok()).unwrap_or_default()
}

/// vCPUs, by quota. Of several types AWS may take the largest.
fn computing(machines: &[More], vcpus: &BTreeMap<String, u32>) -> Vec<Need> {
    let mut needs: BTreeMap<Quota, Need> = BTreeMap::new();
    for more in machines {
        let largest = more.types.iter().filter_map(|name| Some((*vcpus.get(name)?, name))).max();
        let Some((each, name)) = largest else { continue };
        let Some(quota) = of_type(name, more.spot) else { continue };
        let usage = Some(Usage::Vcpus { of: quota.code, spot: more.spot });
        let need = needs.entry(quota).or_insert(Need { quota, usage, more: (0, 0) });
        need.more.0 += each * more.instances.0;
        need.more.1 += each * more.instances.1;
    }
    needs.into_values().collect()
}

type Limits = BTreeMap<String, f64>;

async fn limits(clients: &Clients, services: &BTreeSet<&str>) -> BTreeMap<String, Result<Limits, CloudError>> {
    let lists = services.iter().map(|service| async move {
        let pages = clients.quotas.list_service_quotas().service_code(*service).into_paginator().items().send();
        let listed = pages.collect::<Result<Vec<_>, _>>().await.map_err(quotas);
        let limits = listed.map(|all| all.into_iter().filter_map(|quota| Some((quota.quota_code?, quota.value?))));
        ((*service).to_owned(), limits.map(Iterator::collect))
    });
    join_all(lists).await.into_iter().collect()
}

fn name(quota: Quota) -> String {
    format!("quota: {}", quota.name)
}

fn judge(need: &Need, limit: Option<f64>, used: Option<&Result<u32, CloudError>>, page: &str) -> Finding {
    let Need { quota, more: (least, most), .. } = need;
    let check = name(*quota);
    let Some(limit) = limit else {
        return Finding::unknown(check, format!("Service Quotas does not tell ({})", quota.code));
    };
    let unit = if quota.name.contains("nstance") { " vCPUs" } else { "" };
    let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let (wanted, floor) = match used {
        None => (format!("{wanted} needed"), 0),
        Some(Ok(used)) => (format!("{used} in use, {wanted} more needed"), *used),
        Some(Err(_)) => (format!("how many are in use is not known, {wanted} more needed"), 0),
    };
    let message = format!("{limit}{unit} allowed, {wanted} ({})", quota.code);
    let hint = format!("ask for more at {page}; AWS takes half an hour as a rule, more for large ones");
    let (least, most) = (f64::from(floor + least), f64::from(floor + most));
    match used {
        _ if least > limit => Finding::refused(check, message).hint(hint),
        Some(Err(error)) => unknown(check, error),
        _ if most > limit => Finding::warning(check, message)
            .hint(format!("it is enough for the fewest instances and not for the most; {hint}")),
        _ => Finding::passed(check, message),
    }
}

fn page(quota: Quota, region: &str, partition: &str) -> String {
    let host = match partition {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    format!("https://{region}.{host}/servicequotas/home/services/{}/quotas/{}", quota.service, quota.code)
}

#[cfg(test)]
mod tests {
    use provision::cloud::ErrorKind;

    use super::{super::Verdict, *};

    #[test]
    fn families_have_their_quotas() {
        for (of, code) in [
            ("m5.large", "L-1216C47A"),
            ("t3.small", "L-1216C47A"),
            ("inf1.xlarge", "L-1945791B"),
            ("i3.large", "L-1216C47A"),
            ("p3.2xlarge", "L-417A185B"),
            ("g5.xlarge", "L-DB2E81BA"),
        ] {
            assert_eq!(of_type(of, false).map(|quota| quota.code), Some(code), "{of}");
        }
        assert_eq!(of_type("m5.large", true).map(|quota| quota.code), Some("L-34B43A08"));
        assert_eq!(of_type("u-6tb1.metal", false), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_is_not_known_is_not() {
        let need = Need { quota: of_type("m5.large", false).unwrap(), usage: None, more: (4, 12) };
        let denied = || Err(CloudError::new(ErrorKind::Denied { action: "ec2:DescribeInstances".to_owned() }, "no"));
        for (limit, used, verdict) in [
            (Some(64.0), Ok(0), Verdict::Passed),
            (Some(64.0), Ok(52), Verdict::Passed),
            (Some(64.0), Ok(53), Verdict::Warning),
            (Some(64.0), Ok(60), Verdict::Warning),
            (Some(64.0), Ok(61), Verdict::Refused),
            (Some(3.0), denied(), Verdict::Refused),
            (Some(64.0), denied(), Verdict::Unknown),
            (None, Ok(0), Verdict::Unknown),
        ] {
            let finding = judge(&need, limit, Some(&used), "https://page");
            assert_eq!(finding.verdict, verdict, "{limit:?} {used:?} {finding:?}");
            let refused = matches!(verdict, Verdict::Refused | Verdict::Warning);
            assert_eq!(finding.hint.is_some_and(|hint| hint.contains("https://page")), refused);
        }
    }

    #[test]
    fn what_is_not_counted_is_not_said_to_be_in_use() {
        let need = Need { quota: RULES, usage: None, more: (12, 12) };
        let passed = judge(&need, Some(60.0), None, "https://page");
        assert_eq!((passed.verdict, passed.message.as_str()), (Verdict::Passed, "60 allowed, 12 needed (L-0EA8095F)"));
        let refused = judge(&need, Some(11.0), None, "https://page");
        assert_eq!(
            (refused.verdict, refused.message.as_str()),
            (Verdict::Refused, "11 allowed, 12 needed (L-0EA8095F)")
        );
    }

    #[test]
    fn of_several_types_the_largest_counts() {
        let more = |types: &[&str], spot, instances| More {
            types: types.iter().map(|name| (*name).to_owned()).collect(),
            spot,
            instances,
        };
        let vcpus = BTreeMap::from([("m5.large".to_owned(), 2), ("m5.xlarge".to_owned(), 4)]);
        let machines = [more(&["m5.large"], false, (1, 5)), more(&["m5.large", "m5.xlarge"], true, (2, 3))];
        let needs = computing(&machines, &vcpus);
        let sums: Vec<_> = needs.iter().map(|need| (need.quota.code, need.more)).collect();
        assert_eq!(sums, [("L-1216C47A", (2, 10)), ("L-34B43A08", (8, 12))]);
        let spot = |need: &Need| matches!(need.usage, Some(Usage::Vcpus { of, spot: true }) if of == need.quota.code);
        assert_eq!(needs.iter().map(spot).collect::<Vec<_>>(), [false, true]);
    }
}
