//! `cortex metrics`: how much APIs have to do, how fast they are, and what goes wrong.

mod summary;

use std::time::{Duration, Instant};

use telemetry::Samples;

use crate::{
    args,
    operator_client::connect,
    output::{Format, data, table},
    report::{Exit, Failure},
};
use summary::{ApiSummary, Summary};

const POLL: Duration = Duration::from_secs(2);

pub async fn metrics(arguments: args::Metrics) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    if arguments.raw {
        return data(&client.metrics().await?);
    }
    let (api, format) = (arguments.api.as_deref(), arguments.printed.output);
    let mut before: Option<(Samples, Instant)> = None;
    loop {
        let asked = Instant::now();
        let now = Samples::parse(&client.metrics().await?).map_err(|error| Failure::internal(error.to_string()))?;
        let since = before.as_ref().map(|(samples, at)| (samples, asked - *at));
        let summary = Summary::of(&now, since, api);
        if let (Some(name), true) = (api, summary.apis.is_empty()) {
            return Err(Failure::new(Exit::NotFound, "api_not_found", format!("there is no API named `{name}`"))
                .hint("`cortex get` lists what is deployed"));
        }
        print(&summary, format, arguments.watch)?;
        if !arguments.watch {
            return Ok(());
        }
        before = Some((now, asked));
        tokio::time::sleep(POLL).await;
    }
}

/// While watching, JSON is a line for each look.
fn print(summary: &Summary, format: Format, watch: bool) -> Result<(), Failure> {
    match format {
        Format::Json if watch => {
            data(&serde_json::to_string(summary).map_err(|error| Failure::internal(error.to_string()))?)
        }
        _ => format.print(summary, pretty),
    }
}

fn pretty(summary: &Summary) -> String {
    if summary.apis.is_empty() {
        return "nothing is deployed; `cortex deploy cortex.yaml` deploys".to_owned();
    }
    let rate = |api: &ApiSummary| api.requests_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let rows = summary.apis.iter().map(|api| {
        [
            api.name.clone(),
            format!("{}/{}", api.replicas.ready, api.replicas.wanted),
            api.requests.to_string(),
            rate(api),
            api.errors.to_string(),
            time(api.latency_seconds.p50),
            time(api.latency_seconds.p95),
            time(api.latency_seconds.p99),
            api.in_flight.to_string(),
            api.queued.to_string(),
            api.retries.to_string(),
        ]
    });
    let header = ["api", "ready", "requests", "per s", "errors", "p50", "p95", "p99", "in flight", "queued", "retries"];
    let mut text = table(header, rows);
    if !summary.gateway {
        text += "\nthe gateway beside the operator does not answer: its numbers are missing";
    }
    text
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}
