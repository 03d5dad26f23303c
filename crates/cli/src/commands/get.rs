//! `cortex get`: all APIs, or one.

use std::time::Duration;

use api::{
    Client,
    wire::{ApiDetail, ApiList, ApiStatus, ApiSummary, ReplicaPhase},
};
use spec::realtime::Program;
use time::OffsetDateTime;

use crate::{
    args,
    operator_client::connect,
    output::{Format, data, table},
    report::Failure,
};

const POLL: Duration = Duration::from_secs(1);

pub async fn get(arguments: args::Get) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let format = arguments.printed.output;
    if !arguments.watch {
        return data(&render(&client, arguments.api.as_deref(), format).await?);
    }
    let mut shown = String::new();
    loop {
        let now = render(&client, arguments.api.as_deref(), format).await?;
        if now != shown {
            data(&now)?;
            shown = now;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn render(client: &Client, api: Option<&str>, format: Format) -> Result<String, Failure> {
    let json = |error: serde_json::Error| Failure::internal(error.to_string());
    match (api, format) {
        (Some(name), Format::Json) => serde_json::to_string_pretty(&client.api(name).await?).map_err(json),
        (Some(name), Format::Pretty) => Ok(detail(&client.api(name).await?)),
        (None, Format::Json) => serde_json::to_string_pretty(&client.apis().await?).map_err(json),
        (None, Format::Pretty) => Ok(list(&client.apis().await?)),
    }
}

fn list(list: &ApiList) -> String {
    if list.apis.is_empty() {
        return "nothing is deployed; `cortex deploy cortex.yaml` deploys".to_owned();
    }
    let row = |api: &ApiSummary| {
        [api.name.clone(), status(api.status).to_owned(), replicas(api), ago(api.updated_at), api.endpoint.clone()]
    };
    let mut text = table(["api", "status", "ready", "updated", "endpoint"], list.apis.iter().map(row));
    for api in list.apis.iter().filter(|api| !api.message.is_empty()) {
        text += &format!("\n{}: {}", api.name, api.message);
    }
    text
}

fn detail(api: &ApiDetail) -> String {
    let summary = &api.summary;
    let mut lines = vec![
        format!("api         {}", summary.name),
        format!("status      {}", status(summary.status)),
        format!("endpoint    {}", summary.endpoint),
        program(&api.spec.program),
        format!("replicas    {}", replicas(summary)),
        format!("deployed    {} by {}", ago(summary.updated_at), summary.updated_by),
        format!("generation  {}", summary.generation),
    ];
    if !summary.message.is_empty() {
        lines.push(format!("message     {}", summary.message));
    }
    let rows = api.replicas_detail.iter().map(|replica| {
        let version = if replica.up_to_date { "present" } else { "older" };
        let message = if replica.phase == ReplicaPhase::Ready { String::new() } else { replica.message.clone() };
        [replica.id.clone(), phase(replica.phase).to_owned(), version.to_owned(), replica.restarts.to_string(), message]
    });
    lines.push(String::new());
    lines.push(table(["replica", "phase", "version", "restarts", ""], rows));
    lines.join("\n")
}

fn program(program: &Program) -> String {
    match program {
        Program::Predictor(predictor) => format!("predictor   {} ({})", predictor.path, program.kind()),
        Program::Container(container) => format!("container   {}", container.command.join(" ")),
    }
}

fn replicas(api: &ApiSummary) -> String {
    let counts = &api.replicas;
    let mut text = format!("{}/{}", counts.up_to_date, counts.wanted);
    if counts.ready > counts.up_to_date {
        text += &format!(" (+{} older)", counts.ready - counts.up_to_date);
    }
    text
}

pub fn status(status: ApiStatus) -> &'static str {
    match status {
        ApiStatus::Live => "live",
        ApiStatus::Updating => "updating",
        ApiStatus::Starting => "starting",
        ApiStatus::UpdateFailed => "update failed",
        ApiStatus::Failed => "failed",
    }
}

fn phase(phase: ReplicaPhase) -> &'static str {
    match phase {
        ReplicaPhase::Starting => "starting",
        ReplicaPhase::Ready => "ready",
        ReplicaPhase::Draining => "draining",
        ReplicaPhase::BackingOff => "backing off",
    }
}

/// The largest unit that fits, as people say it.
fn ago(time: OffsetDateTime) -> String {
    let seconds = (OffsetDateTime::now_utc() - time).whole_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}
