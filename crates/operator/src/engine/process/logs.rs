//! Logs of replicas: one file each, JSON lines as the replica writes them, merged by time for people.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use api::wire::{LogLine, LogQuery};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

use super::failed;
use crate::engine::{EngineError, LogStream};

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Bytes looked at from the end of each file for the last lines.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes taken from a file at a time.
const CHUNK: u64 = 1024 * 1024;

pub(super) fn root(data: &Path) -> PathBuf {
    data.join("logs")
}

pub(super) fn file(data: &Path, api: &str, replica: &str) -> PathBuf {
    root(data).join(api).join(format!("{replica}.log"))
}

/// Bytes at which a log begins anew; the part before is kept until that happens again.
const LIMIT_BYTES: u64 = 32 * 1024 * 1024;

/// Keeps a log from growing for ever. The replica goes on appending to the same file, so its content is moved and not the
/// file; lines written in that instant are lost.
pub(super) fn rotate(path: &Path, limit: u64) -> io::Result<()> {
    if fs::metadata(path)?.len() > limit {
        fs::copy(path, path.with_extension("log.1"))?;
        fs::OpenOptions::new().write(true).open(path)?.set_len(0)?;
    }
    Ok(())
}

pub(super) fn rotate_if_large(path: &Path) {
    if let Err(error) = rotate(path, LIMIT_BYTES) {
        tracing::debug!(%error, file = %path.display(), "a log could not be rotated");
    }
}

/// Removes the logs of every API not named.
pub(super) fn forget_all_but(data: &Path, keep: &BTreeSet<String>) -> Result<(), EngineError> {
    let root = root(data);
    for directory in fs::read_dir(&root).map_err(|error| failed(&root, &error))?.flatten() {
        if directory.file_name().to_str().is_some_and(|name| !keep.contains(name)) {
            fs::remove_dir_all(directory.path()).map_err(|error| failed(&directory.path(), &error))?;
        }
    }
    Ok(())
}

/// The last lines of all replicas of an API, then, if asked to follow, every further one.
pub(super) async fn stream(data: &Path, api: &str, query: &LogQuery) -> LogStream {
    let mut follower = Follower { directory: root(data).join(api), offsets: BTreeMap::new() };
    let mut lines = follower.read(Some(TAIL_BYTES)).await;
    lines.sort_by(|left, right| left.time.cmp(&right.time));
    let last = lines.split_off(lines.len().saturating_sub(query.tail));
    if !query.follow {
        return stream::iter(last).boxed();
    }
    let further = stream::unfold((follower, VecDeque::new()), |(mut follower, mut ready)| async move {
        loop {
            if let Some(line) = ready.pop_front() {
                return Some((line, (follower, ready)));
            }
            tokio::time::sleep(POLL).await;
            let mut lines = follower.read(None).await;
            lines.sort_by(|left: &LogLine, right| left.time.cmp(&right.time));
            ready.extend(lines);
        }
    });
    stream::iter(last).chain(further).boxed()
}

/// Reads on where it stopped, in every file of a directory.
struct Follower {
    directory: PathBuf,
    /// Where the next line of each file begins.
    offsets: BTreeMap<PathBuf, u64>,
}

impl Follower {
    async fn read(&mut self, at_most: Option<u64>) -> Vec<LogLine> {
        let mut lines = Vec::new();
        let Ok(files) = fs::read_dir(&self.directory) else { return lines };
        for path in files.flatten().map(|file| file.path()) {
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            if let Err(error) = self.read_file(&path, at_most, &mut lines).await {
                tracing::debug!(%error, file = %path.display(), "a log could not be read");
            }
        }
        lines
    }

    async fn read_file(&mut self, path: &Path, at_most: Option<u64>, lines: &mut Vec<LogLine>) -> io::Result<()> {
        let mut file = tokio::fs::File::open(path).await?;
        let end = file.metadata().await?.len();
        let offset = self.offsets.entry(path.to_owned()).or_insert(0);
        let mut cut = false;
        if *offset > end {
            *offset = 0;
        }
        if let Some(limit) = at_most
            && end - *offset > limit
        {
            *offset = end - limit;
            cut = true;
        }
        let replica = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        while *offset < end {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(*offset)).await?;
            (&mut file).take(CHUNK.min(end - *offset)).read_to_end(&mut bytes).await?;
            // Only whole lines; the rest is read again when it is complete. A line as long as a chunk is cut.
            let whole = match bytes.iter().rposition(|&byte| byte == b'\n') {
                Some(position) => position + 1,
                None if bytes.len() as u64 == CHUNK => bytes.len(),
                None => break,
            };
            *offset += whole as u64;
            let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
            let first = usize::from(std::mem::take(&mut cut));
            lines.extend(text.lines().skip(first).filter(|line| !line.is_empty()).map(|line| parse(&replica, line)));
        }
        Ok(())
    }
}

/// A line of the replica's own, or of whatever else wrote to its standard error.
fn parse(replica: &str, line: &str) -> LogLine {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return raw(replica, line) };
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (Some(time), Some(level)) = (take("timestamp"), take("level")) else { return raw(replica, line) };
    let target = take("target").unwrap_or_default();
    let (message, request_id) = (take("message").unwrap_or_default(), take("request_id"));
    let source = target.split("::").next().unwrap_or_default().to_owned();
    let _ = (take("stream"), take("api"), take("replica"));
    let details = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        other => format!(" {name}={other}"),
    });
    let message = message + &details.collect::<String>();
    LogLine { time, replica: replica.to_owned(), level: level.to_lowercase(), source, message, request_id }
}

fn raw(replica: &str, line: &str) -> LogLine {
    LogLine {
        time: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        replica: replica.to_owned(),
        level: "info".to_owned(),
        source: "stderr".to_owned(),
        message: line.to_owned(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(follow: bool, tail: usize) -> LogQuery {
        LogQuery { follow, tail }
    }

    fn line(second: u32, message: &str) -> String {
        let time = format!("2026-01-01T00:00:{second:02}.000000Z");
        format!("{{\"timestamp\":\"{time}\",\"level\":\"INFO\",\"target\":\"predictor\",\"message\":\"{message}\"}}\n")
    }

    async fn messages(stream: LogStream) -> Vec<String> {
        stream.map(|line| line.message).collect().await
    }

    #[tokio::test]
    async fn lines_of_all_replicas_are_merged_by_time() {
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root(data.path()).join("iris")).expect("writable");
        fs::write(file(data.path(), "iris", "a"), line(1, "one") + &line(3, "three")).expect("writable");
        fs::write(file(data.path(), "iris", "b"), line(2, "two") + "Traceback\n").expect("writable");
        let all = messages(stream(data.path(), "iris", &query(false, 10)).await).await;
        assert_eq!(all, ["one", "two", "three", "Traceback"]);
        assert_eq!(messages(stream(data.path(), "iris", &query(false, 2)).await).await, ["three", "Traceback"]);
        assert_eq!(messages(stream(data.path(), "none", &query(false, 2)).await).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_rotated_log_goes_on_where_the_new_lines_are() {
        use std::io::Write as _;
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root(data.path()).join("iris")).expect("writable");
        let path = file(data.path(), "iris", "a");
        let mut log = fs::OpenOptions::new().create(true).append(true).open(&path).expect("writable");
        log.write_all((line(1, "one") + &line(2, "two")).as_bytes()).expect("writable");
        let mut followed = stream(data.path(), "iris", &query(true, 10)).await;
        assert_eq!(followed.next().await.expect("it is there").message, "one");
        assert_eq!(followed.next().await.expect("it is there").message, "two");
        rotate(&path, 1_000_000).expect("it is small");
        assert!(!path.with_extension("log.1").exists(), "a small log stays as it is");
        rotate(&path, 100).expect("it can be rotated");
        log.write_all(line(3, "three").as_bytes()).expect("writable");
        assert_eq!(followed.next().await.expect("it goes on").message, "three");
        let kept = fs::read_to_string(path.with_extension("log.1")).expect("it is kept");
        assert!(kept.contains("one") && kept.contains("two"));
    }

    #[tokio::test]
    async fn a_followed_log_goes_on_in_new_files_and_waits_for_whole_lines() {
        use std::io::Write as _;
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root(data.path()).join("iris")).expect("writable");
        let mut first = fs::File::create(file(data.path(), "iris", "a")).expect("writable");
        let mut followed = stream(data.path(), "iris", &query(true, 10)).await;
        let whole = line(1, "one");
        first.write_all(&whole.as_bytes()[..20]).expect("writable");
        fs::write(file(data.path(), "iris", "b"), line(2, "two")).expect("writable");
        assert_eq!(followed.next().await.expect("it goes on").message, "two");
        first.write_all(&whole.as_bytes()[20..]).expect("writable");
        let next = followed.next().await.expect("it goes on");
        assert_eq!((next.message.as_str(), next.replica.as_str(), next.source.as_str()), ("one", "a", "predictor"));
    }
}
