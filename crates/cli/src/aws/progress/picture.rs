//! How far it is: made from events, shown by whoever shows it. Times are since the beginning.

use std::{collections::BTreeMap, time::Duration};

use provision::{
    execute::Event,
    plan::Act,
    resource::{Key, Kind},
};

use super::area::Area;

/// A run as it stands.
#[derive(Debug, Default)]
pub struct Picture {
    pub areas: BTreeMap<Area, Tally>,
    /// What runs and what has failed, in the order in which it began.
    pub rows: Vec<Row>,
}

/// Of one area.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: usize,
    /// 0 if nobody knows.
    pub total: usize,
    pub failed: usize,
    /// Needed something that failed.
    pub skipped: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: Key,
    pub area: Area,
    pub doing: Doing,
    pub since: Duration,
    /// Zero if nobody knows.
    pub expected: Duration,
    pub trouble: Trouble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Act(Act),
    /// It exists; nobody can use it yet.
    Waiting,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    None,
    Retrying {
        error: String,
        until: Duration,
    },
    /// Why it does not work yet.
    Missing(String),
    Failed(String),
}

impl Doing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Act(Act::Create) => "create",
            Self::Act(Act::Update) => "change",
            Self::Act(Act::Delete) => "delete",
            Self::Waiting => "available",
        }
    }
}

impl Row {
    pub fn failed(&self) -> bool {
        matches!(self.trouble, Trouble::Failed(_))
    }
}

impl Picture {
    /// What is to be done, as far as it is known: one call for each step.
    pub fn expect(&mut self, kinds: impl Iterator<Item = Kind>) {
        for kind in kinds {
            self.areas.entry(Area::of(kind)).or_default().total += 1;
        }
    }

    pub fn done(&self) -> usize {
        self.areas.values().map(|tally| tally.done).sum()
    }

    pub fn total(&self) -> usize {
        self.areas.values().map(|tally| tally.total).sum()
    }

    pub fn running(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.failed())
    }

    /// What was running does not run any more.
    pub fn settle(&mut self) {
        self.rows.retain(Row::failed);
    }

    pub fn event(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Started { key, kind, act, expected } => {
                self.begin(at, key, Area::of(*kind), Doing::Act(*act), *expected);
            }
            Event::Waiting { key, kind, expected } => self.begin(at, key, Area::of(*kind), Doing::Waiting, *expected),
            Event::Retrying { key, error, pause } => {
                let trouble = Trouble::Retrying { error: error.message.clone(), until: at + *pause };
                self.troubled(key, trouble);
            }
            Event::Done { key, kind, act, .. } => {
                self.end(key, Doing::Act(*act));
                self.tally(Area::of(*kind)).done += 1;
            }
            Event::Ready { key, .. } => self.end(key, Doing::Waiting),
            Event::Failed { key, kind, error } => {
                self.troubled(key, Trouble::Failed(error.message.clone()));
                self.tally(Area::of(*kind)).failed += 1;
            }
            Event::Skipped { key, .. } => self.tally(Area::of_key(key)).skipped += 1,
        }
    }

    /// Something without which the cluster does not work, and why it is not there.
    pub fn missing(&mut self, at: Duration, key: &Key, expected: Duration, why: &str) {
        if !self.running().any(|row| row.key == *key) {
            self.begin(at, key, Area::of_key(key), Doing::Waiting, expected);
        }
        self.troubled(key, Trouble::Missing(why.to_owned()));
    }

    /// What is begun again is the same thing still.
    fn begin(&mut self, at: Duration, key: &Key, area: Area, doing: Doing, expected: Duration) {
        self.areas.entry(area).or_default();
        match self.rows.iter_mut().find(|row| row.key == *key && row.doing == doing) {
            Some(row) => row.trouble = Trouble::None,
            None => {
                let key = key.clone();
                self.rows.push(Row { key, area, doing, since: at, expected, trouble: Trouble::None });
            }
        }
    }

    pub fn end(&mut self, key: &Key, doing: Doing) {
        self.rows.retain(|row| row.key != *key || row.doing != doing);
    }

    fn troubled(&mut self, key: &Key, trouble: Trouble) {
        if let Some(row) = self.rows.iter_mut().rev().find(|row| row.key == *key && !row.failed()) {
            row.trouble = trouble;
        }
    }

    fn tally(&mut self, area: Area) -> &mut Tally {
        self.areas.entry(area).or_default()
    }
}
