//! `cortex audit`: who asked the cluster for what.

use api::wire::{AuditEvent, AuditOutcome, AuditQuery};
use time::format_description::well_known::Rfc3339;

use crate::{
    args,
    operator_client::connect,
    output::{Format, data, say, table},
    report::Failure,
};

pub async fn audit(arguments: args::Audit) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let query = AuditQuery { since: arguments.since.0, limit: arguments.limit as usize };
    let mut reply = client.audit(&query).await?;
    if reply.truncated {
        say!("there are older events since then: --limit shows more, --since less");
    }
    if arguments.refused {
        reply.events.retain(|event| event.outcome != AuditOutcome::Allowed);
    }
    match arguments.printed.output {
        // A line each, as they are kept.
        Format::Json => {
            let lines: Result<Vec<_>, _> = reply.events.iter().map(serde_json::to_string).collect();
            let lines = lines.map_err(|error| Failure::internal(error.to_string()))?;
            if lines.is_empty() { Ok(()) } else { data(&lines.join("\n")) }
        }
        Format::Pretty if reply.events.is_empty() => data("nothing was asked for since then"),
        Format::Pretty => data(&table(["time", "who", "from", "what", "outcome"], reply.events.iter().map(row))),
    }
}

fn row(event: &AuditEvent) -> [String; 5] {
    let time = event.time.replace_nanosecond(0).unwrap_or(event.time).format(&Rfc3339).unwrap_or_default();
    let who = event.principal.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let what = format!("{} {}", event.method, event.path);
    let mut outcome = match event.outcome {
        AuditOutcome::Allowed => "allowed",
        AuditOutcome::Denied => "denied",
        AuditOutcome::Unauthenticated => "not proved",
        AuditOutcome::Limited => "too many",
        AuditOutcome::Unavailable => "nobody could tell",
    }
    .to_owned();
    outcome += &event.status.map_or_else(|| ", not answered".to_owned(), |status| format!(", {status}"));
    if event.count > 1 {
        outcome += &format!(" ({} times)", event.count);
    }
    [time, who, event.peer.clone(), what, outcome]
}
