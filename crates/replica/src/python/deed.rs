//! What a frame of a worker leaves to be done when the desk is free again: whatever parses, writes to the log or is large.
//! A log that a slow disk holds up then holds up the worker that speaks, and no other.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{
    answer::{self, Outcome},
    desk::{Answer, Held},
    frame::{self, Frame},
    work::About,
};
use crate::{exchange::ReplyBody, predictor::PredictError};

type Piece = Result<Bytes, PredictError>;

#[derive(Debug)]
pub(super) enum Deed {
    Nothing,
    /// Somebody waits for the answer that the frame holds.
    Give(Answer, Frame, Arc<About>),
    /// A stream has begun.
    Begin(oneshot::Sender<Outcome>, Frame, mpsc::Receiver<Piece>),
    /// A stream breaks off.
    Cut(mpsc::Sender<Piece>, Frame, Arc<About>),
    /// An error that nobody waits for.
    Fail(Frame, Arc<About>),
    /// A line that was printed, while this was answered.
    Log(Frame, Option<Arc<About>>),
}

impl Deed {
    /// `frame` is the last of its answer.
    pub(super) fn ends(held: &mut Held, frame: Frame) -> Self {
        let about = Arc::clone(&held.about);
        match (held.answer.take(), held.pieces.take()) {
            (Some(answer), _) => Self::Give(answer, frame, about),
            (None, Some(pieces)) if frame.kind == frame::ERROR => Self::Cut(pieces, frame, about),
            (None, _) if frame.kind == frame::ERROR => Self::Fail(frame, about),
            (None, _) => Self::Nothing,
        }
    }

    /// Whoever has gone meanwhile is not told.
    pub(super) fn done(self, pid: u32) {
        match self {
            Self::Nothing => {}
            Self::Give(answer, frame, about) => give(answer, frame, pid, &about),
            Self::Begin(answer, frame, pieces) => {
                drop(answer.send(answer::reply(&frame.meta, ReplyBody::Stream(pieces))));
            }
            Self::Cut(pieces, frame, about) => drop(pieces.try_send(Err(answer::fault(&frame.meta, pid, &about)))),
            Self::Fail(frame, about) => drop(answer::fault(&frame.meta, pid, &about)),
            Self::Log(frame, about) => log_line(&frame, pid, about.as_deref()),
        }
    }
}

fn give(answer: Answer, frame: Frame, pid: u32, about: &About) {
    match (answer, frame.kind) {
        (Answer::One(answer), frame::RESULT) => {
            drop(answer.send(answer::reply(&frame.meta, ReplyBody::Whole(frame.body))));
        }
        (Answer::Batch(answer, count), frame::RESULTS) => match answer::replies(&frame, pid, about) {
            Ok(replies) if replies.len() == count => drop(answer.send(replies)),
            _ => Answer::Batch(answer, count).fail(&PredictError::Died),
        },
        (answer, _) => answer.fail(&answer::fault(&frame.meta, pid, about)),
    }
}

fn log_line(frame: &Frame, pid: u32, about: Option<&About>) {
    let text = String::from_utf8_lossy(&frame.meta);
    let (request_id, stream) = text.split_once('\n').unwrap_or_default();
    let line = String::from_utf8_lossy(&frame.body);
    let (trace_id, line) = (about.and_then(About::trace_id), line.trim_end_matches('\r'));
    tracing::info!(target: "predictor", stream, pid, request_id, trace_id, "{line}");
}
