//! The body of a response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::admission::Slot;
use crate::{container::Lease, exchange::ReplyBody, predictor::PredictError};

pub(crate) enum Body {
    Whole(Full<Bytes>),
    /// Still being made: the request is in flight until the body has ended or nobody wants it any more.
    Stream {
        pieces: mpsc::Receiver<Result<Bytes, PredictError>>,
        _slot: Option<Slot>,
    },
    /// Of the user's own server, on its way through.
    Passed(Passed),
}

pub(crate) struct Passed {
    body: Incoming,
    lease: Lease,
    _slot: Slot,
}

impl Drop for Passed {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.lease.done();
        }
    }
}

impl Body {
    pub(super) fn new(body: ReplyBody, slot: Option<Slot>) -> Self {
        match body {
            ReplyBody::Whole(bytes) => Self::Whole(Full::new(bytes)),
            ReplyBody::Stream(pieces) => Self::Stream { pieces, _slot: slot },
        }
    }
}

impl Passed {
    pub(super) fn new(body: Incoming, lease: Lease, slot: Slot) -> Self {
        Self { body, lease, _slot: slot }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(text: T) -> Self {
        Self::Whole(Full::new(text.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = PredictError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PredictError>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never: Infallible| match never {}),
            Self::Stream { pieces, .. } => {
                Poll::Ready(ready!(pieces.poll_recv(cx)).map(|piece| piece.map(Frame::data)))
            }
            Self::Passed(passed) => {
                let frame = ready!(Pin::new(&mut passed.body).poll_frame(cx));
                if frame.is_none() {
                    passed.lease.done();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|_| PredictError::Died)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream { .. } => false,
            Self::Passed(passed) => passed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream { .. } => SizeHint::default(),
            Self::Passed(passed) => passed.body.size_hint(),
        }
    }
}
