//! Logs of replicas, out of CloudWatch Logs: one stream for each task, `<api>/<container>/<task>`.
//!
//! CloudWatch gives events oldest first and cannot be asked for the last ones, so the past is read in windows, the youngest
//! first, until there are enough. Following is asking again: a line shows up some seconds after it was written, and not in
//! order with those of other streams, so each time begins a little before the last line, and what was seen is left out.

mod line;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use api::wire::{LogLine, LogQuery};
use aws_sdk_cloudwatchlogs::Client;
use futures_util::{StreamExt as _, stream};
use operator::engine::{EngineError, LogStream};

use super::failure::{Failure, failure};

const MINUTE: i64 = 60 * 1000;
/// Ends of the windows, in milliseconds before now.
const WINDOWS: [i64; 4] = [5 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE, 14 * 24 * 60 * MINUTE];
/// Of up to a megabyte each, for one window: what comes after them is left out.
const PAGES: usize = 100;
/// How often a followed log is looked at: CloudWatch lets an account ask five times a second ("CloudWatch Logs quotas").
const POLL: Duration = Duration::from_millis(1500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Milliseconds that a line may come after younger ones.
const LATE: i64 = 15 * 1000;

/// Events in the order of their times.
type Events = BTreeMap<(i64, String), LogLine>;

struct Reader {
    client: Client,
    group: String,
    /// Of the names of the streams.
    prefix: String,
}

/// The last lines of all replicas of an API, then, if asked to follow, every further one.
pub(super) async fn stream(client: Client, group: &str, api: &str, query: &LogQuery) -> Result<LogStream, EngineError> {
    let reader = Reader { client, group: group.to_owned(), prefix: format!("{api}/") };
    let now = now();
    let last = reader.tail(now, query.tail).await?;
    let follower = Follower::after(reader, now, &last);
    let last = stream::iter(last.into_values());
    Ok(if query.follow { last.chain(follower.lines()).boxed() } else { last.boxed() })
}

impl Reader {
    async fn tail(&self, now: i64, lines: usize) -> Result<Events, Failure> {
        let mut found = Events::new();
        // Clocks of nodes may be ahead of this one.
        let mut end = None;
        for window in WINDOWS {
            if found.len() >= lines {
                break;
            }
            let start = now - window;
            let mut older = self.read(start, end, lines - found.len()).await?;
            found.append(&mut older);
            end = Some(start - 1);
        }
        Ok(found)
    }

    /// The last ones between two times, both included.
    async fn read(&self, start: i64, end: Option<i64>, most: usize) -> Result<Events, Failure> {
        let mut events = Events::new();
        let mut token = None;
        for _ in 0..PAGES {
            let request = self.client.filter_log_events().log_group_name(&self.group);
            let request = request.log_stream_name_prefix(&self.prefix).start_time(start).set_end_time(end);
            let reply = request.set_next_token(token).send().await.map_err(failure("logs:FilterLogEvents"))?;
            for event in reply.events() {
                let stream = event.log_stream_name().unwrap_or_default();
                // A filter of AWS's saves work; what it lets through is looked at all the same.
                let (true, Some(at)) = (stream.starts_with(&self.prefix), event.timestamp()) else { continue };
                let replica = stream.rsplit('/').next().unwrap_or_default();
                let line = line::parse(replica, at, event.message().unwrap_or_default());
                events.insert((at, event.event_id().unwrap_or_default().to_owned()), line);
                if events.len() > most {
                    events.pop_first();
                }
            }
            token = reply.next_token;
            if token.is_none() {
                break;
            }
        }
        Ok(events)
    }
}

struct Follower {
    reader: Reader,
    /// Time of the youngest line seen.
    latest: i64,
    /// Lines that the next look may find again.
    seen: BTreeSet<(i64, String)>,
    /// Nothing older is told, lest what the tail left out comes after it.
    oldest: i64,
    ready: VecDeque<LogLine>,
}

impl Follower {
    fn after(reader: Reader, now: i64, told: &Events) -> Self {
        let latest = told.last_key_value().map_or(now, |((at, _), _)| (*at).max(now - LATE));
        let oldest = told.first_key_value().map_or(now, |((at, _), _)| *at);
        Self { reader, latest, seen: told.keys().cloned().collect(), oldest, ready: VecDeque::new() }
    }

    fn lines(self) -> impl stream::Stream<Item = LogLine> + Send {
        stream::unfold(self, |mut follower| async move {
            let mut wait = POLL;
            loop {
                if let Some(line) = follower.ready.pop_front() {
                    return Some((line, follower));
                }
                tokio::time::sleep(wait).await;
                wait = match follower.look().await {
                    Ok(()) => POLL,
                    Err(failure) => {
                        let error = EngineError::from(failure);
                        tracing::warn!(%error, "a log could not be followed; trying again");
                        (wait * 2).min(LONGEST_WAIT)
                    }
                };
            }
        })
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let start = (self.latest - LATE).max(self.oldest);
        let events = self.reader.read(start, None, usize::MAX).await?;
        for (key, line) in events {
            if self.seen.insert(key.clone()) {
                self.latest = self.latest.max(key.0);
                self.ready.push_back(line);
            }
        }
        let start = (self.latest - LATE).max(self.oldest);
        self.seen.retain(|(at, _)| *at >= start);
        Ok(())
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(i64::MAX)
}
