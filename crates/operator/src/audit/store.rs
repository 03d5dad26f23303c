//! Audit events in the State: `audit/<day>/<time>-<random>.jsonl`, each written once and never changed. Keys sort like
//! time, and an object's events are not younger than its key.

use std::fmt::Write as _;

use api::wire::{AuditEvent, AuditReply};
use bytes::Bytes;
use state::{Expect, State, StateError, WriteId};
use time::{Date, Duration, OffsetDateTime};

use crate::days;

const PREFIX: &str = "audit/";
/// Days that events are kept.
const KEPT: Duration = Duration::days(90);

pub(super) async fn write(state: &dyn State, events: &[AuditEvent]) -> Result<(), StateError> {
    let mut lines = String::new();
    for event in events {
        let line =
            serde_json::to_string(event).map_err(|source| StateError::Damaged { key: PREFIX.to_owned(), source })?;
        let _ = writeln!(lines, "{line}");
    }
    let now = OffsetDateTime::now_utc();
    let key = format!("{}{}-{:08x}.jsonl", days::of(PREFIX, now.date()), clock(now), rand::random::<u32>());
    state.put(&key, Bytes::from(lines), &Expect::Absent, &WriteId::new()).await.map(drop)
}

/// The newest events since a moment, at most `limit`, oldest first.
pub(crate) async fn read(state: &dyn State, since: OffsetDateTime, limit: usize) -> Result<AuditReply, StateError> {
    let mut events = Vec::new();
    let earliest = format!("{}{}", days::of(PREFIX, since.date()), clock(since));
    let mut date = OffsetDateTime::now_utc().date();
    let mut truncated = false;
    while date >= since.date() && !truncated {
        for entry in state.list(&days::of(PREFIX, date)).await?.into_iter().rev() {
            if entry.key < earliest {
                break;
            }
            let Some(document) = state.get(&entry.key).await? else { continue };
            for line in document.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let event: AuditEvent = serde_json::from_slice(line)
                    .map_err(|source| StateError::Damaged { key: entry.key.clone(), source })?;
                events.extend((event.time >= since).then_some(event));
            }
            if events.len() > limit {
                truncated = true;
                break;
            }
        }
        date -= Duration::DAY;
    }
    events.sort_by_key(|event| event.time);
    events.drain(..events.len().saturating_sub(limit));
    Ok(AuditReply { events, truncated })
}

pub(super) async fn delete_old(state: &dyn State, today: Date) -> Result<(), StateError> {
    days::delete_before(state, PREFIX, today - KEPT).await
}

fn clock(time: OffsetDateTime) -> String {
    format!("{:02}{:02}{:02}{:03}", time.hour(), time.minute(), time.second(), time.millisecond())
}

#[cfg(test)]
mod tests {
    use api::wire::AuditOutcome;
    use state::LocalState;

    use super::*;

    fn at(time: OffsetDateTime, path: &str) -> AuditEvent {
        AuditEvent {
            time,
            request_id: String::new(),
            outcome: AuditOutcome::Allowed,
            principal: None,
            via: None,
            peer: String::new(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            status: Some(200),
            reason: None,
            count: 1,
        }
    }

    #[tokio::test]
    async fn the_newest_since_a_moment_are_read_in_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = LocalState::open(directory.path()).await.expect("it opens");
        let now = OffsetDateTime::now_utc();
        for minutes in [3, 2, 1] {
            let time = now - Duration::minutes(minutes);
            write(&state, &[at(time, &format!("/{minutes}")), at(time + Duration::SECOND, "/x")])
                .await
                .expect("written");
        }
        let paths = async |since: i64, limit: usize| {
            let reply = read(&state, now - Duration::seconds(since), limit).await.expect("it is read");
            (reply.events.into_iter().map(|event| event.path).collect::<Vec<_>>(), reply.truncated)
        };
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert_eq!(paths(600, 10).await, (owned(&["/3", "/x", "/2", "/x", "/1", "/x"]), false));
        assert_eq!(paths(150, 10).await, (owned(&["/2", "/x", "/1", "/x"]), false));
        assert_eq!(paths(600, 3).await, (owned(&["/x", "/1", "/x"]), true));
        assert_eq!(paths(86400 * 3, 10).await.0.len(), 6);
        delete_old(&state, now.date() + Duration::days(89)).await.expect("it works");
        assert_eq!(paths(600, 10).await.0.len(), 6);
        delete_old(&state, now.date() + Duration::days(91)).await.expect("it works");
        assert_eq!(paths(600, 10).await.0.len(), 0);
    }
}
