//! `telemetry`: where traces go, and which. The same on this machine and on AWS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{de::At, document::Document, problem::Refusal, rules};

/// Checked, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Of a collector that speaks OTLP over HTTP, without the path of a signal.
    pub otlp_endpoint: String,
    pub traces_sampler: Sampler,
    /// Share of the traces that begin here, of samplers with a ratio; else 1.
    pub traces_sampler_arg: f64,
}

/// OpenTelemetry's own names ("OTEL_TRACES_SAMPLER", environment variable specification).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    AlwaysOn,
    AlwaysOff,
    Traceidratio,
    /// Who calls decides, and else this.
    #[default]
    ParentbasedAlwaysOn,
    ParentbasedAlwaysOff,
    ParentbasedTraceidratio,
}

impl Sampler {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlwaysOn => "always_on",
            Self::AlwaysOff => "always_off",
            Self::Traceidratio => "traceidratio",
            Self::ParentbasedAlwaysOn => "parentbased_always_on",
            Self::ParentbasedAlwaysOff => "parentbased_always_off",
            Self::ParentbasedTraceidratio => "parentbased_traceidratio",
        }
    }

    fn has_ratio(self) -> bool {
        matches!(self, Self::Traceidratio | Self::ParentbasedTraceidratio)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// URL of a collector that takes OTLP over HTTP, without `/v1/traces`. Required.
    otlp_endpoint: Option<At<String>>,
    /// Which requests are traced.
    #[schemars(extend("default" = "parentbased_always_on"))]
    traces_sampler: Option<At<Sampler>>,
    /// Share of requests that the samplers with `traceidratio` take, 0 to 1.
    #[schemars(range(min = 0, max = 1), extend("default" = 1))]
    traces_sampler_arg: Option<At<f64>>,
}

pub(super) fn read(document: &mut Document<'_>, written: Option<At<Written>>) -> Option<Telemetry> {
    let At { value: written, node } = written?;
    let help = "for example `otlp_endpoint: http://localhost:4318`";
    let endpoint = document.required(node, "otlp_endpoint", written.otlp_endpoint, help);
    let sampler = written.traces_sampler.map(|sampler| sampler.value).unwrap_or_default();
    if written.traces_sampler_arg.is_some() && !sampler.has_ratio() {
        let refusal = Refusal::conflict(format!("the sampler {} has no argument", sampler.name()))
            .help("remove it, or set `traces_sampler` to traceidratio or parentbased_traceidratio");
        document.refuse_field(node, "traces_sampler_arg", refusal);
    }
    let share = document.optional(written.traces_sampler_arg, |share| match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(Refusal::range(format!("{share} is out of range: it must be from 0 to 1"))),
    });
    let otlp_endpoint = endpoint.and_then(|endpoint| document.check(endpoint, collector))?;
    Some(Telemetry { otlp_endpoint, traces_sampler: sampler, traces_sampler_arg: share.unwrap_or(1.0) })
}

/// `http://host:port/path`, and nothing secret in it: the file says the same to all who may read the cluster's settings.
fn collector(url: String) -> Result<String, Refusal> {
    let refuse = |why: &str, help: &str| Err(Refusal::invalid(why.to_owned()).help(help));
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        let help = "for example http://collector.internal:4318; gRPC is not spoken";
        return refuse("the collector's URL does not begin with http:// or https://", help);
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // Not repeated in the message: it may be a password.
    if authority.contains('@') {
        return refuse("there is a user or a password in the URL", "use a collector that needs none, in your network");
    }
    if url.contains(['?', '#']) || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refuse("a collector's URL has a host, perhaps a port and a path, and nothing else", "remove the rest");
    }
    if path.trim_end_matches('/').ends_with("/v1/traces") {
        return refuse("`/v1/traces` is added to this URL", "write it without");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.starts_with('*') || rules::host_name(bare.to_owned()).is_err() {
        return refuse("there is no host in the URL", "for example http://collector.internal:4318");
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return refuse("the port in the URL is not one", "from 1 to 65535; OTLP over HTTP has 4318");
    }
    Ok(url)
}
