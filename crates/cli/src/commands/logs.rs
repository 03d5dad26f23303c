//! `cortex logs`.

use api::wire::{LogLine, LogQuery};
use futures_util::StreamExt as _;

use crate::{
    args,
    operator_client::connect,
    output::{Format, data},
    report::Failure,
};

pub async fn logs(arguments: args::Logs) -> Result<(), Failure> {
    let (_, client) = connect(arguments.target.env.as_deref()).await?;
    let query = LogQuery { follow: arguments.follow, tail: arguments.tail };
    let mut lines = std::pin::pin!(client.logs(&arguments.api, &query).await?);
    while let Some(line) = lines.next().await {
        let line = line?;
        data(&match arguments.printed.output {
            Format::Pretty => pretty(&line),
            Format::Json => serde_json::to_string(&line).map_err(|error| Failure::internal(error.to_string()))?,
        })?;
    }
    Ok(())
}

fn pretty(line: &LogLine) -> String {
    // Seconds are enough for people; the JSON has the rest.
    let time = line.time.get(..19).unwrap_or(&line.time).replace('T', " ");
    let level = if line.level == "info" { String::new() } else { format!("{}: ", line.level) };
    let request = line.request_id.as_ref().map(|id| format!(" [{id}]")).unwrap_or_default();
    format!("{time} {}{request} {level}{}", line.replica, line.message)
}
