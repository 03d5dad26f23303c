//! The life of one seat of the pool: its worker answers, dies, is replaced.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::time::sleep;

use super::{
    answer,
    desk::Answer,
    frame::{self, Frame},
    pool::Shared,
    stream,
    worker::{Process, Worker},
};
use crate::{error::Error, exchange::ReplyBody, predictor::PredictError};

/// A worker that lived this long did not die of how it was started.
const HEALTHY_LIFE: Duration = Duration::from_secs(10);
/// The longest pause before a replacement, in units of the shortest.
const LONGEST_PAUSE: u32 = 50;

impl Shared {
    /// Keeps a worker on the seat until the pool closes.
    pub(super) async fn keep(self: Arc<Self>, seat: usize, mut worker: Arc<Worker>, mut process: Process) {
        let mut pause = Duration::ZERO;
        loop {
            let born = Instant::now();
            self.at_desk(|desk| desk.sit(seat, Arc::clone(&worker)));
            let reading = tokio::spawn(Arc::clone(&self).read(seat, Arc::clone(&worker)));
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
                Ok((next, replacement)) => {
                    tracing::info!(pid = next.pid, "a new worker process is ready");
                    (worker, process) = (next, replacement);
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

    async fn replace(&self, pause: &mut Duration) -> Result<(Arc<Worker>, Process), Error> {
        let mut failures = 0;
        loop {
            sleep(*pause).await;
            let shortest = self.replacing.backoff;
            *pause = (*pause * 2).clamp(shortest, shortest * LONGEST_PAUSE);
            match self.launch.start().await {
                Ok(started) => return Ok(started),
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
                let request_id = &held.request_id;
                tracing::error!(%request_id, pid, "the worker process that held this request ended");
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
    async fn read(self: Arc<Self>, seat: usize, worker: Arc<Worker>) {
        let (mut read, mut frames) = (BytesMut::new(), Vec::new());
        loop {
            match worker.link.read(&mut read, &mut frames).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(pid = worker.pid, "a worker process cannot be understood: {error}");
                    return;
                }
            }
            let done: Vec<Frame> = std::mem::take(&mut frames);
            let understood = self.at_desk(|desk| {
                done.into_iter().all(|frame| {
                    let known = self.understand(desk, seat, &worker, &frame);
                    if !known {
                        let kind = char::from(frame.kind);
                        tracing::error!(pid = worker.pid, "a worker process said `{kind}` after it was ready");
                    }
                    known
                })
            });
            if !understood {
                return;
            }
        }
    }

    /// Does what one frame says; false if it says nothing that a ready worker may say.
    fn understand(
        self: &Arc<Self>,
        desk: &mut super::desk::Desk,
        seat: usize,
        worker: &Arc<Worker>,
        frame: &Frame,
    ) -> bool {
        let (number, pid) = (frame.number, worker.pid);
        match frame.kind {
            frame::LINE => log_line(frame, pid),
            frame::DONE => desk.finish(seat, number),
            frame::RESULT | frame::RESULTS | frame::ERROR | frame::END => {
                if let Some(held) = desk.find(seat, number) {
                    match (held.answer.take(), held.pieces.take()) {
                        (Some(answer), _) => give(answer, frame, pid, &held.request_id),
                        (None, Some(pieces)) if frame.kind == frame::ERROR => {
                            let _ = pieces.try_send(Err(answer::fault(&frame.meta, pid, &held.request_id)));
                        }
                        (None, _) if frame.kind == frame::ERROR => {
                            answer::fault(&frame.meta, pid, &held.request_id);
                        }
                        (None, _) => {}
                    }
                }
                if !worker.ready.hook {
                    desk.finish(seat, number);
                }
            }
            frame::START => {
                if let Some(held) = desk.find(seat, number) {
                    match held.answer.take() {
                        Some(Answer::One(answer)) => {
                            let (to, pieces) = stream::open(self, worker, number);
                            held.pieces = Some(to);
                            // Nobody there: the stream notices.
                            let _ = answer.send(answer::reply(&frame.meta, ReplyBody::Stream(pieces)));
                        }
                        // Nobody there: no stream was known of when that was said.
                        _ => worker.link.send(frame::CANCEL, number, b""),
                    }
                }
            }
            frame::PIECE => {
                if let Some(held) = desk.find(seat, number) {
                    held.begun = Some(Instant::now());
                    if let Some(pieces) = &held.pieces {
                        let _ = pieces.try_send(Ok(frame.body.clone()));
                    }
                }
            }
            _ => return false,
        }
        true
    }
}

fn give(answer: Answer, frame: &Frame, pid: u32, request_id: &str) {
    match (answer, frame.kind) {
        (Answer::One(answer), frame::RESULT) => {
            drop(answer.send(answer::reply(&frame.meta, ReplyBody::Whole(frame.body.clone()))));
        }
        (Answer::Batch(answer, count), frame::RESULTS) => match answer::replies(frame, pid, request_id) {
            Ok(replies) if replies.len() == count => drop(answer.send(replies)),
            _ => Answer::Batch(answer, count).fail(&PredictError::Died),
        },
        (answer, _) => answer.fail(&answer::fault(&frame.meta, pid, request_id)),
    }
}

fn log_line(frame: &Frame, pid: u32) {
    let text = String::from_utf8_lossy(&frame.meta);
    let (request_id, stream) = text.split_once('\n').unwrap_or_default();
    let line = String::from_utf8_lossy(&frame.body);
    tracing::info!(target: "predictor", stream, pid, request_id, "{}", line.trim_end_matches('\r'));
}
