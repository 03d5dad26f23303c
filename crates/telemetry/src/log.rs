//! Log lines on their way to a file or a pipe that may be slow, full, or read by nobody.
//!
//! Whoever logs puts a line into a bounded queue, which is a lock and a copy, and goes on. A thread of its own takes what has
//! gathered and writes it with one system call. A line that finds no room, and one that cannot be written, is lost and
//! counted; the log says how many as soon as it takes lines again, in the place where they would have been.
//!
//! Our own and not `tracing-appender`: that allocates for each line and wakes its thread for each, does not gather, and does
//! not say in the log what the log has lost.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Of lines that wait: half a second of a busy gateway. While a write is held up, as much again is in it.
const ROOM: usize = 4 << 20;
/// How long the first line of a batch waits for others.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of a process waits for a log that takes nothing.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between two attempts at a pipe that somebody has made non-blocking.
const PAUSE: Duration = Duration::from_millis(10);
/// What a buffer keeps of its memory once it is written.
const KEEP: usize = 256 << 10;

/// Takes lines, whole ones, and never waits for what becomes of them. Clones are the same.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

/// Writes what is queued when it is dropped, unless the log takes nothing: then it gives up after a second.
#[must_use = "dropped at once, it ends the log at once"]
pub struct LogEnd {
    shared: Arc<Shared>,
    farewell: Duration,
}

struct Shared {
    room: usize,
    queue: Mutex<Queue>,
    /// There is something to do.
    filled: Condvar,
    /// All is done.
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// After those.
    lost: u64,
    ends: bool,
    ended: bool,
}

impl Log {
    /// Begins to write to `out`.
    ///
    /// # Errors
    ///
    /// There can be no thread for it.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Self, LogEnd)> {
        Self::start_with(out, ROOM, FAREWELL)
    }

    fn start_with(out: impl Write + Send + 'static, room: usize, farewell: Duration) -> io::Result<(Self, LogEnd)> {
        let shared = Arc::new(Shared { room, queue: Mutex::default(), filled: Condvar::new(), ended: Condvar::new() });
        let mine = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || mine.write_to(out))?;
        Ok((Self(Arc::clone(&shared)), LogEnd { shared, farewell }))
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.queue();
        let first = queue.is_empty();
        // Once one is lost, all are until that can be said: the order is kept.
        if queue.lost > 0 || queue.lines.len() + line.len() > self.0.room {
            queue.lost += 1;
        } else {
            queue.lines.extend_from_slice(line);
        }
        drop(queue);
        if first {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.ends = true;
        self.shared.filled.notify_one();
        let waited = self.shared.ended.wait_timeout_while(queue, self.farewell, |queue| !queue.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the end.
    fn write_to(&self, out: impl Write) {
        let mut sink = Sink { out, torn: false, lost: 0 };
        let mut batch = Vec::new();
        loop {
            let (lost, ends) = self.take(&mut batch);
            sink.write(&batch);
            sink.lost += lost;
            sink.confess();
            batch.clear();
            batch.shrink_to(KEEP);
            if ends {
                break;
            }
        }
        self.queue().ended = true;
        self.ended.notify_all();
    }

    /// What has gathered, how much has been lost after that, and whether nothing more comes.
    fn take(&self, batch: &mut Vec<u8>) -> (u64, bool) {
        let idle = self.filled.wait_while(self.queue(), |queue| queue.is_empty() && !queue.ends);
        let idle = idle.unwrap_or_else(PoisonError::into_inner);
        let gathered = self.filled.wait_timeout_while(idle, GATHER, |queue| !queue.ends);
        let (mut queue, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut queue.lines, batch);
        (mem::take(&mut queue.lost), queue.ends)
    }
}

/// Where lines go, and what it has not taken.
struct Sink<W> {
    out: W,
    /// A part of a line was taken, and not the rest.
    torn: bool,
    lost: u64,
}

impl<W: Write> Sink<W> {
    fn write(&mut self, batch: &[u8]) {
        self.confess();
        let rest = self.put(batch);
        self.lost += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    /// Says what has been lost, if that can be said.
    fn confess(&mut self) {
        if self.lost == 0 {
            return;
        }
        let line = serde_json::json!({
            "timestamp": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            "level": "WARN",
            "message": "lines of this log are lost: it did not take them in time",
            "lines": self.lost,
            "target": "log",
        });
        if self.put(format!("{line}\n").as_bytes()).is_empty() {
            self.lost = 0;
        }
    }

    /// The rest that was not taken.
    fn put<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        if text.is_empty() || (self.torn && !self.put_all(b"\n").is_empty()) {
            return text;
        }
        self.put_all(text)
    }

    fn put_all<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(count) => {
                    let (taken, left) = rest.split_at(count);
                    self.torn = !taken.ends_with(b"\n");
                    rest = left;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, pipe},
        time::Instant,
    };

    use super::*;

    /// A hundred bytes.
    fn line(number: u64) -> String {
        format!("number {number:092}\n")
    }

    fn log_lines(log: &mut Log, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| log.write_all(line(number).as_bytes()).unwrap());
    }

    /// Lines that are there and lines that are said to be lost, in order: how many of each. What is between two numbers is
    /// exactly what is said to be lost there.
    fn account(text: &str) -> (u64, u64) {
        let (mut seen, mut lost) = (0, 0);
        for line in text.lines() {
            let Some(number) = line.strip_prefix("number ") else {
                let told: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(told["level"], "WARN", "{line}");
                lost += told["lines"].as_u64().unwrap();
                continue;
            };
            assert_eq!(number.parse(), Ok(seen + lost), "{line}");
            seen += 1;
        }
        (seen, lost)
    }

    #[test]
    fn nobody_waits_for_a_pipe_that_nobody_reads_and_it_says_what_is_lost() {
        let (reader, writer) = pipe().unwrap();
        let (mut log, end) = Log::start_with(writer, 64 << 10, Duration::from_secs(60)).unwrap();
        // Ten times what pipe and queue hold. This is over at all since no line waits.
        log_lines(&mut log, 0..20_000);
        let mut reader = BufReader::new(reader);
        let mut text = String::new();
        while !text.contains("are lost") {
            assert_ne!(reader.read_line(&mut text).unwrap(), 0);
        }
        // It takes lines again.
        log_lines(&mut log, 20_000..20_010);
        let rest = thread::spawn(move || {
            let mut rest = String::new();
            reader.read_to_string(&mut rest).map(|_| rest)
        });
        drop((log, end));
        text += &rest.join().unwrap().unwrap();
        let (seen, lost) = account(&text);
        assert_eq!(seen + lost, 20_010);
        assert!(lost > 15_000 && text.ends_with(&line(20_009)), "{seen} {lost}");
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let (mut reader, writer) = pipe().unwrap();
        let (mut log, end) = Log::start_with(writer, 1 << 20, Duration::from_secs(60)).unwrap();
        log_lines(&mut log, 0..300);
        drop((log, end));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(account(&text), (300, 0));
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (reader, writer) = pipe().unwrap();
        let (mut log, end) = Log::start_with(writer, 1 << 20, Duration::from_millis(50)).unwrap();
        log_lines(&mut log, 0..2000);
        let begun = Instant::now();
        drop(end);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        drop(reader);
    }

    /// A disk with room for that much.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let count = text.len().min(disk.1 - disk.0.len());
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.0.extend_from_slice(&text[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_was_full_has_the_number_of_lines_it_did_not_take() {
        let disk = Disk::default();
        let mut sink = Sink { out: disk.clone(), torn: false, lost: 0 };
        let lines = |numbers: std::ops::Range<u64>| numbers.map(line).collect::<String>();
        // Four lines and a half.
        disk.0.lock().unwrap().1 = line(0).len() * 9 / 2;
        sink.write(lines(0..7).as_bytes());
        sink.confess();
        sink.write(lines(7..9).as_bytes());
        disk.0.lock().unwrap().1 = usize::MAX;
        sink.write(lines(9..12).as_bytes());
        sink.confess();
        let text = String::from_utf8(disk.0.lock().unwrap().0.clone()).unwrap();
        let torn = &line(4)[..line(4).len() / 2];
        let (torn, whole): (Vec<_>, Vec<_>) = text.lines().partition(|line| *line == torn);
        assert_eq!(torn.len(), 1, "{text}");
        assert_eq!(account(&whole.join("\n")), (7, 5));
    }
}
