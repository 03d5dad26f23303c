//! Progress for programs: an object in each line.

use std::{io::Write, time::Duration};

use provision::{
    execute::Event,
    plan::Act,
    resource::{Key, Kind},
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{View, picture::Picture};

const QUIET: Duration = Duration::from_secs(30);

/// Documented in `docs/aws.md`. Times are in seconds.
#[derive(Serialize, Default)]
struct Object<'a> {
    time: String,
    /// Since the beginning.
    elapsed: f64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pause: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'a Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<Vec<&'a Key>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
}

pub struct Stream {
    out: Box<dyn Write + Send>,
    said: Duration,
}

impl Stream {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, said: Duration::ZERO }
    }

    fn write(&mut self, at: Duration, object: Object<'_>) {
        let time = OffsetDateTime::now_utc();
        let time = time.replace_nanosecond(time.millisecond() as u32 * 1_000_000).unwrap_or(time);
        let object = Object {
            time: time.format(&Rfc3339).unwrap_or_default(),
            elapsed: (at.as_secs_f64() * 1000.0).round() / 1000.0,
            ..object
        };
        if let Ok(line) = serde_json::to_string(&object) {
            let _ = writeln!(self.out, "{line}");
        }
        self.said = at;
    }
}

impl View for Stream {
    fn event(&mut self, at: Duration, event: &Event, picture: &Picture) {
        let seconds = |time: &Duration| Some(time.as_secs_f64());
        let object = match event {
            Event::Started { key, kind, act, expected } => Object {
                event: "started",
                key: Some(key),
                kind: Some(*kind),
                act: Some(*act),
                expected: seconds(expected),
                ..Object::default()
            },
            Event::Retrying { key, error, pause } => Object {
                event: "retrying",
                key: Some(key),
                message: Some(&error.message),
                pause: seconds(pause),
                ..Object::default()
            },
            Event::Done { key, kind, act, took } => Object {
                event: "done",
                key: Some(key),
                kind: Some(*kind),
                act: Some(*act),
                took: seconds(took),
                done: Some(picture.done()),
                total: Some(picture.total()).filter(|total| *total > 0),
                ..Object::default()
            },
            Event::Waiting { key, kind, expected } => Object {
                event: "waiting",
                key: Some(key),
                kind: Some(*kind),
                expected: seconds(expected),
                ..Object::default()
            },
            Event::Ready { key, kind, took } => {
                Object { event: "ready", key: Some(key), kind: Some(*kind), took: seconds(took), ..Object::default() }
            }
            Event::Failed { key, kind, error } => Object {
                event: "failed",
                key: Some(key),
                kind: Some(*kind),
                message: Some(&error.message),
                ..Object::default()
            },
            Event::Skipped { key, because } => {
                Object { event: "skipped", key: Some(key), because: Some(because), ..Object::default() }
            }
        };
        self.write(at, object);
    }

    fn tick(&mut self, at: Duration, picture: &Picture) {
        if at.saturating_sub(self.said) >= QUIET && picture.running().next().is_some() {
            let waiting_for = Some(picture.running().map(|row| &row.key).collect());
            self.write(at, Object { event: "still_waiting", waiting_for, ..Object::default() });
        }
    }

    fn say(&mut self, at: Duration, text: &str, _: &Picture) {
        self.write(at, Object { event: "message", message: Some(text.trim()), ..Object::default() });
    }

    fn settle(&mut self, _: Duration, _: &Picture) {}
}
