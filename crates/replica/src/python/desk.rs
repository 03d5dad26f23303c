//! Who works on which request: the queue, and a seat for each worker process with what it holds. All workers share it, so
//! nobody who has it waits for anything: no I/O but into the workers' outboxes, no parsing, no line for the log.
//!
//! A request goes to the worker that holds the fewest, at most `threads` each, so that with slow predictors the rest wait
//! where any worker can take them. Of a worker that answers within [`QUICK`] the pause between two requests would be
//! the larger part, so it gets [`AHEAD`] more, unless it works on one for longer; what it had not begun when it dies goes to
//! another.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    answer::Outcome,
    frame,
    work::{About, Work},
    worker::Worker,
};
use crate::predictor::PredictError;

const QUICK: Duration = Duration::from_millis(1);
const AHEAD: usize = 2;
/// The same of the only worker, since there is no other that could take what waits.
const AHEAD_OF_ONE: usize = 14;

/// Where its answer goes.
#[derive(Debug)]
pub(super) enum Answer {
    One(oneshot::Sender<Outcome>),
    Batch(oneshot::Sender<Vec<Outcome>>, usize),
}

impl Answer {
    /// The same failure for all that it answers.
    pub(super) fn fail(self, error: &PredictError) {
        match self {
            Self::One(answer) => drop(answer.send(Err(error.clone()))),
            Self::Batch(answer, count) => {
                drop(answer.send((0..count).map(|_| Err(error.clone())).collect()));
            }
        }
    }
}

#[derive(Debug)]
struct Job {
    number: u32,
    work: Work,
    about: Arc<About>,
    answer: Answer,
}

/// A request that a worker has.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) number: u32,
    pub(super) about: Arc<About>,
    /// Absent once it is answered, or nobody waits any more.
    pub(super) answer: Option<Answer>,
    /// Since when a thread works on it, or since the last sign of life of a stream.
    pub(super) begun: Option<Instant>,
    /// Not begun yet: what another worker could do as well.
    ahead: Option<Work>,
    /// Since when nobody waits for it.
    pub(super) left: Option<Instant>,
    /// Where the pieces of its stream go.
    pub(super) pieces: Option<mpsc::Sender<Result<Bytes, PredictError>>>,
    /// It took too long.
    pub(super) hung: bool,
}

#[derive(Debug)]
pub(super) struct Seat {
    pub(super) worker: Arc<Worker>,
    /// In the order in which they were sent, which is that in which they are begun.
    pub(super) held: VecDeque<Held>,
    /// How long its answers take, lately.
    pace: Duration,
    /// It gets nothing more, and is asked to end when it holds nothing.
    pub(super) leaving: bool,
    /// It is being killed.
    pub(super) hung: bool,
}

#[derive(Debug)]
pub(super) struct Desk {
    waiting: VecDeque<Job>,
    /// One per process; empty while its worker is being replaced.
    pub(super) seats: Vec<Option<Seat>>,
    threads: usize,
    last_number: u32,
    /// There will be no new workers.
    pub(super) hopeless: bool,
}

impl Desk {
    pub(super) fn new(processes: usize, threads: usize) -> Self {
        let seats = (0..processes).map(|_| None).collect();
        Self { waiting: VecDeque::new(), seats, threads, last_number: 0, hopeless: false }
    }

    pub(super) fn sit(&mut self, seat: usize, worker: Arc<Worker>) {
        let pace = 2 * QUICK;
        self.seats[seat] = Some(Seat { worker, held: VecDeque::new(), pace, leaving: false, hung: false });
    }

    /// Queues it; its number.
    pub(super) fn submit(&mut self, work: Work, about: Arc<About>, answer: Answer) -> u32 {
        // Zero is no request's number.
        self.last_number = self.last_number.wrapping_add(1).max(1);
        self.waiting.push_back(Job { number: self.last_number, work, about, answer });
        self.last_number
    }

    /// Hands out what can be, into the outboxes of these workers. Fails what nobody can ever do.
    #[must_use]
    pub(super) fn hand_out(&mut self) -> Vec<Arc<Worker>> {
        let mut touched: Vec<Arc<Worker>> = Vec::new();
        while !self.waiting.is_empty() {
            let Some(seat) = least_busy(&mut self.seats, self.threads) else { break };
            let Some(job) = self.waiting.pop_front() else { break };
            seat.give(job, self.threads);
            if !touched.iter().any(|worker| worker.pid == seat.worker.pid) {
                touched.push(Arc::clone(&seat.worker));
            }
        }
        if self.hopeless && self.alive() == 0 {
            for job in self.waiting.drain(..) {
                job.answer.fail(&PredictError::Died);
            }
        }
        touched
    }

    /// Workers that take requests.
    pub(super) fn alive(&self) -> usize {
        self.seats.iter().flatten().filter(|seat| !seat.leaving && !seat.hung).count()
    }

    /// Requests that no worker has begun with, and that somebody waits for.
    pub(super) fn requests_waiting(&self) -> usize {
        let ahead = self.seats.iter().flatten().flat_map(|seat| &seat.held);
        let ahead = ahead.filter(|held| held.begun.is_none() && held.answer.is_some()).map(|held| &held.about);
        self.waiting.iter().map(|job| &job.about).chain(ahead).map(|about| about.requests()).sum()
    }

    /// Why the worker at the seat is gone.
    pub(super) fn fate(&self, seat: usize) -> &'static str {
        match &self.seats[seat] {
            Some(seat) if seat.hung => "hung",
            Some(seat) if seat.leaving => "memory",
            _ => "died",
        }
    }

    /// What the worker at the seat holds under that number.
    pub(super) fn find(&mut self, seat: usize, number: u32) -> Option<&mut Held> {
        self.seats[seat].as_mut()?.held.iter_mut().find(|held| held.number == number)
    }

    /// Its thread is free again.
    pub(super) fn finish(&mut self, seat: usize, number: u32) {
        let threads = self.threads;
        let Some(seat) = self.seats[seat].as_mut() else { return };
        let Some(place) = seat.held.iter().position(|held| held.number == number) else { return };
        let begun = seat.held.remove(place).and_then(|held| held.begun);
        let now = Instant::now();
        let took = begun.map_or(QUICK, |begun| now - begun);
        seat.pace = (7 * seat.pace + took) / 8;
        if let Some(next) = seat.held.get_mut(threads - 1).filter(|next| next.begun.is_none()) {
            (next.begun, next.ahead) = (Some(now), None);
            next.about.begins();
        }
        if seat.leaving && seat.held.is_empty() {
            seat.worker.link.send(frame::STOP, 0, b"");
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn leave(&mut self, number: u32) {
        if let Some(place) = self.waiting.iter().position(|job| job.number == number) {
            self.waiting.remove(place);
            return;
        }
        for seat in self.seats.iter_mut().flatten() {
            if let Some(held) = seat.held.iter_mut().find(|held| held.number == number) {
                held.answer = None;
                held.left = Some(Instant::now());
                if seat.worker.ready.r#async || held.pieces.is_some() {
                    seat.worker.link.send(frame::CANCEL, number, b"");
                }
                return;
            }
        }
    }

    /// The worker is gone. What it had not begun waits again; the rest is given back.
    pub(super) fn bury(&mut self, seat: usize) -> Vec<Held> {
        let Some(seat) = self.seats[seat].take() else { return Vec::new() };
        let (mut lost, mut again) = (Vec::new(), Vec::new());
        for mut held in seat.held {
            match (held.ahead.take(), held.answer.take()) {
                (Some(work), Some(answer)) => again.push(Job { number: held.number, work, about: held.about, answer }),
                (_, answer) => lost.push(Held { answer, ..held }),
            }
        }
        again.into_iter().rev().for_each(|job| self.waiting.push_front(job));
        lost
    }
}

fn least_busy(seats: &mut [Option<Seat>], threads: usize) -> Option<&mut Seat> {
    let most_ahead = if seats.len() == 1 { AHEAD_OF_ONE } else { AHEAD };
    let now = Instant::now();
    let free = seats.iter_mut().flatten().filter(|seat| !seat.leaving && !seat.hung);
    let room = free.filter(|seat| seat.held.len() < threads + if seat.is_quick(now) { most_ahead } else { 0 });
    room.min_by_key(|seat| seat.held.len())
}

impl Seat {
    /// Lately, and with what it works on: nothing is to wait behind a request that takes long.
    fn is_quick(&self, now: Instant) -> bool {
        let oldest = self.held.front().and_then(|held| held.begun);
        self.pace < QUICK && !self.worker.ready.r#async && oldest.is_none_or(|begun| now - begun < QUICK)
    }

    fn give(&mut self, job: Job, threads: usize) {
        let Job { number, work, about, answer } = job;
        self.worker.link.push(work.kind, number, &work.meta, work.body.clone());
        let begun = (self.held.len() < threads).then(Instant::now);
        if begun.is_some() {
            about.begins();
        }
        let ahead = if begun.is_some() { None } else { Some(work) };
        let answer = Some(answer);
        self.held.push_back(Held { number, about, answer, begun, ahead, left: None, pieces: None, hung: false });
    }
}

#[cfg(test)]
mod tests;
