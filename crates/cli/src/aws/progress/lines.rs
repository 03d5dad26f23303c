//! Progress as lines of text, for logs: one for each thing that is done, and a sign of life.

use std::{io::Write, time::Duration};

use provision::{execute::Event, plan::Act};

use super::{
    View,
    picture::{Picture, Row, Trouble},
};

/// Retries below this pause are not worth a line.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// So long nothing is said, then what is waited for.
const QUIET: Duration = Duration::from_secs(30);
/// Of what is waited for, so much is named.
const NAMED: usize = 4;

pub struct Lines {
    out: Box<dyn Write + Send>,
    said: Duration,
}

impl Lines {
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, said: Duration::ZERO }
    }

    fn line(&mut self, at: Duration, text: &str) {
        let _ = writeln!(self.out, "{:>6.1} s  {text}", at.as_secs_f64());
        self.said = at;
    }
}

fn verb(act: Act) -> &'static str {
    match act {
        Act::Create => "created",
        Act::Update => "changed",
        Act::Delete => "deleted",
    }
}

impl View for Lines {
    fn event(&mut self, at: Duration, event: &Event, picture: &Picture) {
        match event {
            Event::Done { key, act, took, .. } => {
                let (done, total) = (picture.done(), picture.total());
                let of = if total > 0 { format!("[{done}/{}] ", total.max(done)) } else { String::new() };
                self.line(at, &format!("{of}{} {key} ({:.1} s)", verb(*act), took.as_secs_f64()));
            }
            Event::Ready { key, took, .. } if *took > Duration::from_secs(1) => {
                self.line(at, &format!("{key} is available ({:.1} s)", took.as_secs_f64()));
            }
            Event::Retrying { key, error, pause } if *pause > LONG_PAUSE => {
                self.line(at, &format!("{key}: {error}; again in {} s", pause.as_secs()));
            }
            Event::Failed { key, error, .. } => self.line(at, &format!("failed: {key}: {error}")),
            Event::Skipped { key, because } => self.line(at, &format!("not done: {key}, which needs {because}")),
            Event::Started { .. } | Event::Waiting { .. } | Event::Ready { .. } | Event::Retrying { .. } => {}
        }
    }

    fn tick(&mut self, at: Duration, picture: &Picture) {
        if at.saturating_sub(self.said) < QUIET || picture.running().next().is_none() {
            return;
        }
        let mut waited: Vec<String> = picture.running().take(NAMED).map(|row| awaited(row, at)).collect();
        let more = picture.running().count() - waited.len();
        if more > 0 {
            waited.push(format!("{more} more"));
        }
        self.line(at, &format!("waiting for {}", waited.join("; ")));
    }

    fn say(&mut self, at: Duration, text: &str, _: &Picture) {
        let _ = writeln!(self.out, "{text}");
        self.said = at;
    }

    fn settle(&mut self, _: Duration, _: &Picture) {}
}

fn awaited(row: &Row, at: Duration) -> String {
    let mut text = format!("{} ({} s", row.key, at.saturating_sub(row.since).as_secs());
    if row.expected >= Duration::from_secs(1) {
        text += &format!(" of about {} s", row.expected.as_secs());
    }
    match &row.trouble {
        Trouble::None => text.push(')'),
        Trouble::Missing(why) | Trouble::Failed(why) => text += &format!("): {why}"),
        Trouble::Retrying { error, .. } => text += &format!("): {error}"),
    }
    text
}
