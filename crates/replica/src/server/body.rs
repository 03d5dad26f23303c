//! The body of a response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tokio::sync::mpsc;

use super::admission::Slot;
use crate::{exchange::ReplyBody, predictor::PredictError};

pub(crate) enum Body {
    Whole(Full<Bytes>),
    /// Still being made: the request is in flight until the body has ended or nobody wants it any more.
    Stream {
        pieces: mpsc::Receiver<Result<Bytes, PredictError>>,
        _slot: Option<Slot>,
    },
}

impl Body {
    pub(super) fn new(body: ReplyBody, slot: Option<Slot>) -> Self {
        match body {
            ReplyBody::Whole(bytes) => Self::Whole(Full::new(bytes)),
            ReplyBody::Stream(pieces) => Self::Stream { pieces, _slot: slot },
        }
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}
