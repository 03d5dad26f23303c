//! Fields that cortex or Predictive Services once had, or that will come: what to say to those who write them.

use crate::problem::{Kind, Refusal};

/// A name (or the beginning of one, with `*`) and what became of it.
type Row = (&'static str, &'static str);

/// Known, wanted, not there yet.
const NOT_YET: &[Row] = &[("node_groups[].priority", "remove it: all node groups have the same priority")];

/// Another name means the same today.
const SUCCESSOR: &[Row] = &[
    ("name", "cluster_name"),
    ("hostname", "host_names"),
    ("host_name", "host_names"),
    ("ps_path", "data_dir"),
    ("server_port", "operator_port"),
    ("availability_zone", "availability_zones"),
    ("vpc_id", "subnets"),
    ("subnet_id", "subnets"),
    ("security_group_id", "security_group"),
    ("cidr_ip", "api_load_balancer_cidr_white_list and operator_load_balancer_cidr_white_list"),
    ("scheme", "api_load_balancer_scheme and operator_load_balancer_scheme"),
    ("ssl_credentials", "ssl_certificate_path and ssl_private_key_path"),
    ("num_hosts", "min_instances and max_instances"),
    ("spot_config.on_demand_backup", "spot_config.on_demand_base_capacity"),
    ("node_groups[].spot_config.on_demand_backup", "spot_config.on_demand_base_capacity"),
];

/// Gone, and why.
const REMOVED: &[Row] = &[
    ("cors_origin", "pages that may call are set while the cluster runs: `cortex cors set`"),
    ("cors", "pages that may call are set while the cluster runs: `cortex cors set`"),
    ("image_*", "there are no system images any more: operator and gateway are the `cortex` binary itself"),
    ("prometheus_instance_type", "there is no Prometheus instance: every process serves its own metrics"),
    (
        "api_gateway",
        "there is no API Gateway: the gateway serves HTTPS itself; use `api_load_balancer_scheme` to hide it",
    ),
    ("api_load_balancer_type", "the load balancer is always a network load balancer"),
    ("log_group", "the log group is named after the cluster; `log_retention_days` says how long logs are kept"),
    ("cluster_uid", "cortex sets it itself"),
    ("account_id", "it is the account of the AWS credentials in use"),
    ("cortex_policy_arn", "cortex makes its own least-privilege policies; add yours with `iam_policy_arns`"),
    ("project", "Google Cloud is not supported"),
    ("zone", "Google Cloud is not supported; for AWS use `availability_zones`"),
    ("deployment_path", "there is nothing to unpack: cortex is one binary"),
    ("lb_stats_port", "the gateway serves its metrics itself"),
    ("metrics_port", "every process serves its own metrics"),
    ("server_memory", "memory is asked for by each API: `compute.mem` in cortex.yaml"),
    ("max_cache_memory", "predictions are not cached"),
];

pub(super) fn explain(path: &str, word: Option<&str>) -> Option<Refusal> {
    if word.is_some() {
        return volume_type(path, word);
    }
    let find = |table: &[Row]| table.iter().find(|(name, _)| matches(name, path)).map(|(_, text)| *text);
    find(NOT_YET).map(Refusal::not_yet).or_else(|| {
        find(SUCCESSOR)
            .map(|name| Refusal::new(Kind::RemovedField, "this field has another name now").help(format!("use {name}")))
            .or_else(|| find(REMOVED).map(|why| Refusal::new(Kind::RemovedField, "this field was removed").help(why)))
    })
}

fn matches(name: &str, path: &str) -> bool {
    name.strip_suffix('*').map_or(name == path, |start| path.starts_with(start))
}

/// Volumes that the old product offered though an instance cannot boot from them.
fn volume_type(path: &str, word: Option<&str>) -> Option<Refusal> {
    let volume = path.ends_with("instance_volume_type") && matches!(word, Some("st1" | "sc1"));
    volume.then(|| {
        Refusal::invalid(format!("an instance cannot boot from a {} volume", word.unwrap_or_default()))
            .help("use gp3, the cheapest per GiB that can")
    })
}
