//! One event of CloudWatch as a line of a log: JSON as replicas write it, or whatever else wrote to their standard error.

use api::wire::LogLine;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// `at` in milliseconds since 1970, as CloudWatch has it.
pub(super) fn parse(replica: &str, at: i64, message: &str) -> LogLine {
    let message = message.trim_end_matches(['\n', '\r']);
    let Ok(Value::Object(mut fields)) = serde_json::from_str(message) else { return raw(replica, at, message) };
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (Some(time), Some(level)) = (take("timestamp"), take("level")) else { return raw(replica, at, message) };
    let target = take("target").unwrap_or_default();
    let (text, request_id) = (take("message").unwrap_or_default(), take("request_id"));
    let source = target.split("::").next().unwrap_or_default().to_owned();
    // What the line says by where it is.
    let _ = (take("stream"), take("api"), take("replica"));
    let details = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        other => format!(" {name}={other}"),
    });
    let message = text + &details.collect::<String>();
    LogLine { time, replica: replica.to_owned(), level: level.to_lowercase(), source, message, request_id }
}

fn raw(replica: &str, at: i64, message: &str) -> LogLine {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000).ok();
    LogLine {
        time: time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default(),
        replica: replica.to_owned(),
        level: "info".to_owned(),
        source: "stderr".to_owned(),
        message: message.to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn json_and_anything_else_are_lines() {
        let json = r#"{"timestamp":"2026-01-01T00:00:00.5Z","level":"WARN","target":"replica::server","message":"slow",
            "request_id":"r1","replica":"x","seconds":3}"#;
        let line = parse("0123", 0, json);
        assert_eq!((line.level.as_str(), line.source.as_str()), ("warn", "replica"));
        assert_eq!((line.message.as_str(), line.request_id.as_deref()), ("slow seconds=3", Some("r1")));
        assert_eq!((line.replica.as_str(), line.time.as_str()), ("0123", "2026-01-01T00:00:00.5Z"));
        let line = parse("0123", 1_767_225_600_250, "Traceback\n");
        assert_eq!((line.message.as_str(), line.source.as_str()), ("Traceback", "stderr"));
        assert_eq!(line.time, "2026-01-01T00:00:00.25Z");
    }
}
