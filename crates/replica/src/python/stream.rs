//! Hands the pieces of one stream on at the pace of its caller, and lets the worker make as many more.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    frame::{self, WINDOW},
    pool::Shared,
    worker::Worker,
};
use crate::predictor::PredictError;

type Piece = Result<Bytes, PredictError>;

/// The worker is told of so many pieces at a time.
const TOLD_AT_ONCE: usize = WINDOW / 4;

/// Where the worker's pieces go, and where they come out. There is always room for what a worker may send.
pub(super) fn open(
    shared: &Arc<Shared>,
    worker: &Arc<Worker>,
    number: u32,
) -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
    let (from_worker, made) = mpsc::channel(WINDOW + 1);
    let (to_caller, taken) = mpsc::channel(1);
    tokio::spawn(hand_on(made, to_caller, Arc::clone(shared), Arc::clone(worker), number));
    (from_worker, taken)
}

async fn hand_on(
    mut made: mpsc::Receiver<Piece>,
    to_caller: mpsc::Sender<Piece>,
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    number: u32,
) {
    let mut untold = 0;
    loop {
        let piece = tokio::select! {
            biased;
            () = to_caller.closed() => break,
            piece = made.recv() => piece,
        };
        let Some(piece) = piece else { return };
        if to_caller.send(piece).await.is_err() {
            break;
        }
        untold += 1;
        if untold == TOLD_AT_ONCE {
            worker.link.send(frame::CREDIT, number, TOLD_AT_ONCE.to_string().as_bytes());
            untold = 0;
        }
    }
    shared.leave(number);
}
