//! The life of one seat of the pool: its worker answers, dies, is replaced.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    deed::Deed,
    desk::{Answer, Desk},
    frame::{self, Frame},
    link::Incoming,
    pool::Shared,
    stream,
    worker::{Process, Started, Worker},
};
use crate::{error::Error, predictor::PredictError};

/// A worker that lived this long did not die of how it was started.
const HEALTHY_LIFE: Duration = Duration::from_secs(10);
/// The longest pause before a replacement, in units of the shortest.
const LONGEST_PAUSE: u32 = 50;

impl Shared {
    /// Keeps a worker on the seat until the pool closes.
    pub(super) async fn keep(
        self: Arc<Self>,
        seat: usize,
        mut worker: Arc<Worker>,
        mut incoming: Incoming,
        mut process: Process,
    ) {
        let mut pause = Duration::ZERO;
        loop {
            let born = Instant::now();
            self.at_desk(|desk| desk.sit(seat, Arc::clone(&worker)));
            let reading = tokio::spawn(Arc::clone(&self).read(seat, Arc::clone(&worker), incoming));
            let how = process.ended(&worker, reading).await;
            let fate = self.at_desk(|desk| desk.fate(seat));
            self.bury(seat, worker.pid);
            if self.is_closing() {
                return;
            }
            self.replaced.add(fate, "");
            tracing::error!(pid = worker.pid, "a worker process ended ({how}) and is being replaced");
            if born.elapsed() >= HEALTHY_LIFE {
                pause = Duration::ZERO;
            }
            match self.replace(&mut pause).await {
                Ok(next) => {
                    tracing::info!(pid = next.0.pid, "a new worker process is ready");
                    (worker, incoming, process) = next;
                }
                Err(error) => {
                    self.give_up();
                    // The receiver is gone only when the pool is.
                    let _ = self.failure.send(error);
                    return;
                }
            }
        }
    }

    async fn replace(&self, pause: &mut Duration) -> Result<Started, Error> {
        let mut failures = 0;
        loop {
            sleep(*pause).await;
            let shortest = self.replacing.backoff;
            *pause = (*pause * 2).clamp(shortest, shortest * LONGEST_PAUSE);
            match self.launch.start().await {
                Ok((started, _)) => return Ok(started),
                Err(source) => {
                    failures += 1;
                    tracing::error!("a worker process could not be replaced: {source}");
                    if failures >= self.replacing.attempts {
                        return Err(Error::WorkersKeepFailing { failures, source });
                    }
                }
            }
        }
    }

    /// Everybody who waits is told that the worker is gone.
    fn bury(&self, seat: usize, pid: u32) {
        for held in self.at_desk(|desk| desk.bury(seat)) {
            let error = if held.hung { PredictError::TimedOut } else { PredictError::Died };
            if held.answer.is_some() || held.pieces.is_some() {
                let (request_id, trace_id) = (held.about.request_id(), held.about.trace_id());
                tracing::error!(%request_id, trace_id, pid, "the worker process that held this request ended");
            }
            if let Some(answer) = held.answer {
                answer.fail(&error);
            }
            if let Some(pieces) = held.pieces {
                let _ = pieces.try_send(Err(error));
            }
        }
    }

    /// Does what the worker says until it says nothing more.
    async fn read(self: Arc<Self>, seat: usize, worker: Arc<Worker>, mut incoming: Incoming) {
        loop {
            let frames = match incoming.read().await {
                Ok(frames) if frames.is_empty() => return,
                Ok(frames) => frames,
                Err(error) => {
                    tracing::error!(pid = worker.pid, "a worker process cannot be understood: {error}");
                    return;
                }
            };
            let mut deeds = Vec::with_capacity(frames.len());
            let unknown = self.at_desk(|desk| {
                frames.into_iter().find_map(|frame| {
                    let kind = frame.kind;
                    match self.understand(desk, seat, &worker, frame) {
                        Some(deed) => deeds.push(deed),
                        None => return Some(char::from(kind)),
                    }
                    None
                })
            });
            deeds.into_iter().for_each(|deed| deed.done(worker.pid));
            if let Some(kind) = unknown {
                tracing::error!(pid = worker.pid, "a worker process said `{kind}` after it was ready");
                return;
            }
        }
    }

    /// Does at the desk what one frame says, and gives what is left; `None` if a ready worker may not say that.
    fn understand(self: &Arc<Self>, desk: &mut Desk, seat: usize, worker: &Arc<Worker>, frame: Frame) -> Option<Deed> {
        let number = frame.number;
        let held = desk.find(seat, number);
        Some(match frame.kind {
            frame::LINE => Deed::Log(frame, held.map(|held| Arc::clone(&held.about))),
            frame::DONE => {
                desk.finish(seat, number);
                Deed::Nothing
            }
            frame::RESULT | frame::RESULTS | frame::ERROR | frame::END => {
                let deed = held.map_or(Deed::Nothing, |held| Deed::ends(held, frame));
                if !worker.ready.hook {
                    desk.finish(seat, number);
                }
                deed
            }
            frame::START => held.map_or(Deed::Nothing, |held| match held.answer.take() {
                Some(Answer::One(answer)) => {
                    let (to, pieces) = stream::open(self, worker, number);
                    held.pieces = Some(to);
                    Deed::Begin(answer, frame, pieces)
                }
                // Nobody there: no stream was known of when that was said.
                _ => {
                    worker.link.send(frame::CANCEL, number, b"");
                    Deed::Nothing
                }
            }),
            frame::PIECE => {
                if let Some(held) = held {
                    held.begun = Some(Instant::now());
                    if let Some(pieces) = &held.pieces {
                        let _ = pieces.try_send(Ok(frame.body));
                    }
                }
                Deed::Nothing
            }
            _ => return None,
        })
    }
}
