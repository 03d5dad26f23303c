//! The run as a file that trace viewers open (<https://ui.perfetto.dev>, `chrome://tracing`).
//!
//! Format: "Trace Event Format", Google. Each step is a slice, and so is the time until what it made is available;
//! retries are instants. What runs at the same time stands in different lanes.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use provision::{execute::Event, resource::Key};
use serde_json::{Value, json};

use super::picture::Doing;
use crate::{home::io_failure, report::Failure};

const PROCESS: u32 = 1;

pub struct Trace {
    path: PathBuf,
    /// What the whole is called.
    name: String,
    slices: Vec<Slice>,
    skipped: Vec<(Key, Key, Duration)>,
}

struct Slice {
    key: Key,
    doing: Doing,
    begin: Duration,
    end: Option<Duration>,
    error: Option<String>,
    retries: Vec<(Duration, String)>,
}

impl Trace {
    /// The file is made now, so that one that cannot be made is no surprise in the end.
    pub fn create(path: &Path, name: &str) -> Result<Self, Failure> {
        let failed = |error| io_failure("write", path, &error).hint("--trace needs a file that can be written");
        File::create(path).map_err(failed)?;
        // The working directory may be another one in the end.
        let path = std::path::absolute(path).map_err(failed)?;
        Ok(Self { path, name: name.to_owned(), slices: Vec::new(), skipped: Vec::new() })
    }

    pub fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { key, act, .. } => self.begin(at, key, Doing::Act(*act)),
            Event::Waiting { key, .. } => self.begin(at, key, Doing::Waiting),
            Event::Done { key, act, .. } => self.end(at, key, Doing::Act(*act)),
            Event::Ready { key, .. } => self.end(at, key, Doing::Waiting),
            Event::Retrying { key, error, .. } => {
                if let Some(slice) = self.open(key) {
                    slice.retries.push((at, error.to_string()));
                }
            }
            Event::Failed { key, error, .. } => {
                if let Some(slice) = self.open(key) {
                    slice.end = Some(at);
                    slice.error = Some(error.to_string());
                }
            }
            Event::Skipped { key, because } => self.skipped.push((key.clone(), because.clone(), at)),
        }
    }

    pub fn begin(&mut self, at: Duration, key: &Key, doing: Doing) {
        if !self.slices.iter().any(|slice| slice.is_open() && slice.key == *key && slice.doing == doing) {
            let key = key.clone();
            self.slices.push(Slice { key, doing, begin: at, end: None, error: None, retries: Vec::new() });
        }
    }

    pub fn end(&mut self, at: Duration, key: &Key, doing: Doing) {
        let found = self.slices.iter_mut().find(|slice| slice.is_open() && slice.key == *key && slice.doing == doing);
        if let Some(slice) = found {
            slice.end = Some(at);
        }
    }

    fn open(&mut self, key: &Key) -> Option<&mut Slice> {
        self.slices.iter_mut().rev().find(|slice| slice.is_open() && slice.key == *key)
    }

    /// What still runs is shown as if it ended now.
    pub fn write(&self, at: Duration) -> Result<(), Failure> {
        let text = json!({ "displayTimeUnit": "ms", "traceEvents": self.events(at) }).to_string();
        let beside = self.path.with_extension("part");
        let written = File::create(&beside).and_then(|mut file| file.write_all(text.as_bytes()));
        written.and_then(|()| fs::rename(&beside, &self.path)).map_err(|error| io_failure("write", &self.path, &error))
    }

    fn events(&self, at: Duration) -> Vec<Value> {
        let mut events = vec![json!({
            "ph": "M", "name": "process_name", "pid": PROCESS, "tid": 0, "args": { "name": self.name },
        })];
        // When each lane is free again.
        let mut lanes: Vec<Duration> = Vec::new();
        for slice in &self.slices {
            let end = slice.end.unwrap_or(at).max(slice.begin);
            let lane = lanes.iter().position(|free| *free <= slice.begin).unwrap_or(lanes.len());
            if lane == lanes.len() {
                lanes.push(Duration::ZERO);
            }
            // At least a microsecond, or two would begin at the same place.
            lanes[lane] = end.max(slice.begin + Duration::from_micros(1));
            events.push(json!({
                "ph": "X", "name": slice.name(), "cat": slice.doing.name(), "pid": PROCESS, "tid": lane + 1,
                "ts": micros(slice.begin), "dur": micros(end) - micros(slice.begin),
                "args": { "key": slice.key, "outcome": slice.outcome(), "error": slice.error },
            }));
            events.extend(slice.retries.iter().map(|(at, error)| {
                json!({
                    "ph": "i", "s": "t", "name": "again", "cat": "retry", "pid": PROCESS, "tid": lane + 1,
                    "ts": micros(*at), "args": { "key": slice.key, "error": error },
                })
            }));
        }
        events.extend(self.skipped.iter().map(|(key, because, at)| {
            json!({
                "ph": "i", "s": "p", "name": format!("not done: {key}"), "cat": "skipped", "pid": PROCESS, "tid": 0,
                "ts": micros(*at), "args": { "key": key, "because": because },
            })
        }));
        events
    }
}

impl Slice {
    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    fn name(&self) -> String {
        format!("{} {}", self.doing.name(), self.key)
    }

    fn outcome(&self) -> &'static str {
        match (&self.error, self.end) {
            (Some(_), _) => "failed",
            (None, Some(_)) => "done",
            (None, None) => "interrupted",
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
