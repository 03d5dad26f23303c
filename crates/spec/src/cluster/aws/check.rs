//! From what was written to the checked model: the whole of an AWS cluster.

use std::collections::BTreeMap;

use super::{Aws, ControlPlane, access, names, network, node_groups, written, written::Written};
use crate::{
    cluster::{Cluster, DEFAULT_NAME, Provider, explain, telemetry},
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    rules::{self, within},
    yaml::Tree,
};

/// "PutRetentionPolicy", CloudWatch Logs API reference.
const RETENTION_DAYS: &[u32] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
/// AWS allows 50 tags on a resource; cortex adds its own.
const MAX_TAGS: usize = 40;

pub(in crate::cluster) fn read(document: &mut Document<'_>) -> Option<Cluster> {
    let mut written: Written = document.read(&|path, word| explain("aws", path, word))?;
    let name = document.optional(written.cluster_name.take(), rules::cluster_name);
    let region = document.required(Tree::ROOT, "region", written.region.take(), "for example `region: us-east-1`");
    let region = region.and_then(|region| document.check(region, names::region));
    let aws = Aws {
        bucket: document.optional(written.bucket.take(), names::bucket),
        tags: tags(document, written.tags.take()),
        network: network::network(document, &mut written, region.as_deref()),
        security_group: network::security_group(document, &mut written),
        load_balancers: network::load_balancers(document, &mut written),
        certificate: access::certificate(document, &mut written, region.as_deref()),
        api_http: written.api_http.take().is_some_and(|on| on.value),
        iam_policy_arns: access::policies(document, written.iam_policy_arns.take()),
        log_retention_days: document.optional(written.log_retention_days.take(), retention).unwrap_or(30),
        control_plane: control_plane(document, written.control_plane.take()),
        node_groups: node_groups::read(document, &mut written),
        operator_access: access::operator_access(document, written.operator_access.take()),
        telemetry: telemetry::read(document, written.telemetry.take()),
        create_credentials: access::credentials(
            document,
            "",
            written.aws_access_key_id.take(),
            written.aws_secret_access_key.take(),
        ),
        runtime_credentials: access::credentials(
            document,
            "cortex_",
            written.cortex_aws_access_key_id.take(),
            written.cortex_aws_secret_access_key.take(),
        ),
        region: region.unwrap_or_default(),
    };
    Some(Cluster { name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()), provider: Provider::Aws(Box::new(aws)) })
}

fn tags(document: &mut Document<'_>, written: Option<At<BTreeMap<String, At<String>>>>) -> BTreeMap<String, String> {
    let Some(At { value: written, node }) = written else { return BTreeMap::new() };
    if written.len() > MAX_TAGS {
        let message = format!("at most {MAX_TAGS} tags are possible, there are {}", written.len());
        document.refuse(node, Refusal::range(message));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in written {
        if let Err(refusal) = names::tag_key(&key) {
            document.refuse_field(node, &key, refusal);
        }
        let checked = document.check(value, |value| names::tag_value(&value).map(|()| value));
        tags.extend(checked.map(|value| (key, value)));
    }
    tags
}

fn retention(days: i64) -> Result<u32, Refusal> {
    RETENTION_DAYS.iter().copied().find(|known| i64::from(*known) == days).ok_or_else(|| {
        let known: Vec<String> = RETENTION_DAYS.iter().map(u32::to_string).collect();
        Refusal::new(Kind::OutOfRange, format!("CloudWatch cannot keep logs for {days} days"))
            .help(format!("it can for {}", known.join(", ")))
    })
}

fn control_plane(document: &mut Document<'_>, written: Option<At<written::ControlPlane>>) -> ControlPlane {
    let (instances, instance_type) = written.map_or((None, None), |w| (w.value.instances, w.value.instance_type));
    ControlPlane {
        instances: document.optional(instances, within(1..=5)).unwrap_or(1),
        instance_type: document.optional(instance_type, names::instance_type).unwrap_or_else(|| "t3.small".to_owned()),
    }
}
