//! Standard output is data, standard error is talk.

use std::{
    io::{self, Write as _},
    sync::{Arc, PoisonError, RwLock},
};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::report::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Pretty,
    /// For programs.
    Json,
}

impl Format {
    /// Prints a value as JSON, or whatever text `pretty` makes of it.
    pub fn print<T: Serialize>(self, value: &T, pretty: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self {
            Self::Pretty => data(&pretty(value)),
            Self::Json => {
                data(&serde_json::to_string_pretty(value).map_err(|error| Failure::internal(error.to_string()))?)
            }
        }
    }
}

/// Writes a line of data. A reader that has gone away (`| head`) is no error.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::internal(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whoever decides for a while what becomes of lines of talk: it has drawn something below them, or gives them another form.
pub trait Talk: Send + Sync {
    fn say(&self, text: &str);
    /// The process is about to end.
    fn leave(&self);
}

static TALK: RwLock<Option<Arc<dyn Talk>>> = RwLock::new(None);

/// Lines of talk go through `talk` from now on, or straight to standard error.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only clusters on AWS are drawn while they are made"))]
pub fn talk_through(talk: Option<Arc<dyn Talk>>) {
    *TALK.write().unwrap_or_else(PoisonError::into_inner) = talk;
}

fn talk() -> Option<Arc<dyn Talk>> {
    TALK.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes a line of talk.
pub fn speak(text: &str) {
    match talk() {
        Some(talk) => talk.say(text),
        None => eprintln!("{text}"),
    }
}

/// To be called before the process ends in the middle of something.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only clusters on AWS are drawn while they are made"))]
pub fn leave() {
    if let Some(talk) = talk() {
        talk.leave();
    }
}

/// Writes a line of talk.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::speak(&format!($($part)*)) };
}
pub(crate) use say;

/// A table without borders: columns and nothing else.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let lines: Vec<_> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
