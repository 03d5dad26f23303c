//! Numbers that many threads change and somebody reads now and then.
//!
//! All additions are relaxed: a page may show one number a moment before another, and never loses anything.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// One more until the guard is dropped.
    pub fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }
}

/// One of those that a [`Gauge`] counts.
#[derive(Debug)]
pub struct Held<'a>(&'a Gauge);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Upper bounds of a histogram's buckets, in thousandths of its unit; the last bucket has none.
pub type Bounds = [u64; BOUNDS];
const BOUNDS: usize = 16;

/// In microseconds, a thousandth of a millisecond: from what an idle gateway adds to a deadline.
pub const LATENCY: Bounds = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 60_000_000,
];
/// Of batches.
pub const SIZES: Bounds = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024];

/// How often what was measured fell between which bounds, and the sum of it all.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    buckets: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// Of durations, told in seconds.
    pub fn latency() -> Self {
        Self::new(&LATENCY)
    }

    pub fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, buckets: Default::default(), sum: AtomicU64::new(0) }
    }

    pub fn observe(&self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// In the unit of the bounds.
    pub fn count(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    pub(crate) fn is_latency(&self) -> bool {
        std::ptr::eq(self.bounds, &LATENCY) || *self.bounds == LATENCY
    }

    /// Each bound with how many were not above it; the last is that of all.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.buckets).scan(0, |all, (bound, bucket)| {
            *all += bucket.load(Relaxed);
            Some((bound, *all))
        })
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::latency()
    }
}

/// Status codes of HTTP, each with how often it occurred. A class of codes takes its room when the first of it occurs.
#[derive(Debug, Default)]
pub struct Codes([OnceLock<Box<[Counter; 100]>>; 5]);

impl Codes {
    /// What is no status code of HTTP is not counted.
    pub fn add(&self, code: u16) {
        let (class, rest) = (usize::from(code / 100), usize::from(code % 100));
        if let Some(class) = class.checked_sub(1).and_then(|class| self.0.get(class)) {
            class.get_or_init(|| Box::new(std::array::from_fn(|_| Counter::default())))[rest].add(1);
        }
    }

    pub fn all(&self) -> impl Iterator<Item = (u16, u64)> {
        let class = |(class, codes): (usize, &'_ OnceLock<Box<[Counter; 100]>>)| {
            let counts: Vec<u64> =
                codes.get().map(|codes| codes.iter().map(Counter::get).collect()).unwrap_or_default();
            let first = (class + 1) * 100;
            counts.into_iter().zip(first..).map(|(count, code)| (u16::try_from(code).unwrap_or_default(), count))
        };
        self.0.iter().enumerate().flat_map(class).filter(|(_, count)| *count > 0)
    }
}

const KINDS: usize = 24;

/// Words that the program itself chose, each with how often it occurred: kinds of errors, reasons.
///
/// A word gets a place when it first occurs, for good; there are fewer words than places in any one process, and should
/// there ever be more, those without a place count as the last one's.
#[derive(Debug, Default)]
pub struct ByKind([(OnceLock<[&'static str; 2]>, Counter); KINDS]);

impl ByKind {
    /// `group`: what the kind belongs to; one that always goes with it.
    pub fn add(&self, kind: &'static str, group: &'static str) {
        for (place, count) in &self.0[..KINDS - 1] {
            if place.get_or_init(|| [kind, group])[0] == kind {
                return count.add(1);
            }
        }
        let (place, count) = &self.0[KINDS - 1];
        place.get_or_init(|| [kind, group]);
        count.add(1);
    }

    /// Kind, group and number.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.0.iter().filter_map(|(place, count)| place.get().map(|[kind, group]| (*kind, *group, count.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_falls_into_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::latency();
        for micros in [0, 250, 251, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let cumulative: Vec<_> = histogram.cumulative().collect();
        assert_eq!(cumulative[0], (Some(250), 2));
        assert_eq!(cumulative[1], (Some(500), 3));
        assert_eq!(cumulative[15], (Some(60_000_000), 4));
        assert_eq!(cumulative[16], (None, 5));
        assert_eq!(histogram.sum(), 120_000_502);
    }

    #[test]
    fn codes_and_kinds_that_occurred_are_told_and_no_others() {
        let codes = Codes::default();
        for code in [200, 200, 404, 599, 100, 0, 99, 600, 999] {
            codes.add(code);
        }
        assert_eq!(codes.all().collect::<Vec<_>>(), [(100, 1), (200, 2), (404, 1), (599, 1)]);
        let kinds = ByKind::default();
        for (kind, group) in [("a", "x"), ("b", "y"), ("a", "x")] {
            kinds.add(kind, group);
        }
        assert_eq!(kinds.all().collect::<Vec<_>>(), [("a", "x", 2), ("b", "y", 1)]);
    }

    #[test]
    fn threads_that_meet_a_new_kind_at_once_lose_nothing() {
        let kinds = ByKind::default();
        let words = ["a", "b", "c", "d", "e", "f"];
        std::thread::scope(|scope| {
            for start in 0..4 {
                let (kinds, words) = (&kinds, &words);
                scope.spawn(move || {
                    for step in 0..600 {
                        kinds.add(words[(start + step) % words.len()], "");
                    }
                });
            }
        });
        let mut all: Vec<_> = kinds.all().map(|(kind, _, count)| (kind, count)).collect();
        all.sort_unstable();
        assert_eq!(all, words.map(|word| (word, 400)));
    }

    #[test]
    fn more_kinds_than_places_are_still_counted() {
        let words: Vec<&'static str> = (0..40).map(|number| &*Box::leak(number.to_string().into_boxed_str())).collect();
        let kinds = ByKind::default();
        words.iter().for_each(|word| kinds.add(word, ""));
        assert_eq!(kinds.all().map(|(_, _, count)| count).sum::<u64>(), 40);
    }
}
