//! A client's connection: one request at a time, and the reply to it.
//!
//! It has no task of its own: whoever waits for something on it drives it, first the request, then the reply's body. That saves a
//! switch between tasks at every turn, ends the connection at once when it is dropped, and makes "we close it" mean "it is
//! dropped". The price is that an idle connection does not notice that the server hung up; it is asked before it is used.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::{
    decode::{Decoder, Step},
    encode::{self, Encoder},
    head::{Framing, Heads, ReplyHead},
    io::{Input, Output},
};
use crate::Stream;

/// Bytes of a reply's head.
const MAX_HEAD: usize = 256 * 1024;

/// A request's body of which a piece that was taken can be given back.
pub trait Resend: Body<Data = Bytes, Error = io::Error> + Unpin {
    /// It comes first again.
    fn put_back(&mut self, piece: Bytes);
}

#[derive(Debug)]
pub struct Client<B> {
    stream: Stream,
    input: Input,
    output: Output,
    heads: Heads,
    /// The request's body, as long as there is some.
    sending: Option<(B, Encoder)>,
    reply: Decoder,
    keep: bool,
}

/// A request that got no reply.
#[derive(Debug)]
pub enum Failed<B> {
    /// Not a byte of it was written.
    Unsent(io::Error, Box<Request<B>>),
    /// What came is no reply.
    Invalid(io::Error),
    /// The connection, or the request's body, broke.
    Lost(io::Error),
}

impl<B: Resend> Client<B> {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Input::new(),
            output: Output::default(),
            heads: Heads::new(MAX_HEAD),
            sending: None,
            reply: Decoder::new(Framing::NONE),
            keep: true,
        }
    }

    /// Whether the last exchange is over, on both sides, and the connection may serve again.
    pub fn is_idle(&self) -> bool {
        self.keep
            && self.reply.is_done()
            && self.sending.is_none()
            && self.output.is_empty()
            && self.input.buffer.is_empty()
    }

    /// Whether it is still there, as far as is known: a server that hung up or said something unasked is not to be sent anything.
    pub fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_idle() && self.input.poll_fill(&mut self.stream, cx).is_pending()
    }

    /// Sends a request and waits for the head of its reply. Dropping this future breaks the exchange off: the
    /// connection is not to be used again.
    pub async fn send(&mut self, request: Request<B>) -> Result<Response<()>, Failed<B>> {
        self.input.rest();
        self.output.begin();
        let mut encoder = encode::request(&request, &mut self.output);
        let (head, mut body) = request.into_parts();
        self.keep = true;
        let (first, over) = poll_fn(|cx| Poll::Ready(self.first(&mut body, &mut encoder, cx))).await?;
        let begun = poll_fn(|cx| Poll::Ready(self.output.poll_write(&mut self.stream, cx))).await;
        match begun {
            Poll::Ready(Err(error)) if !self.output.has_begun() => {
                if let Some(first) = first {
                    body.put_back(first);
                }
                return Err(Failed::Unsent(error, Box::new(Request::from_parts(head, body))));
            }
            Poll::Ready(Err(_)) => self.stop_sending(),
            Poll::Ready(Ok(())) | Poll::Pending => self.sending = (!over).then_some((body, encoder)),
        }
        let ReplyHead { status, headers, framing, keep } = poll_fn(|cx| self.poll_head(&head.method, cx)).await?;
        self.reply = Decoder::new(framing);
        self.keep &= keep;
        Ok(response(status, headers))
    }

    /// Takes what of the body is there, to go with the head, and whether that is the end.
    fn first(
        &mut self,
        body: &mut B,
        encoder: &mut Encoder,
        cx: &mut Context<'_>,
    ) -> io::Result<(Option<Bytes>, bool)> {
        let frame = if body.is_end_stream() {
            None
        } else {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(frame) => frame.transpose()?,
                Poll::Pending => return Ok((None, false)),
            }
        };
        let first = frame.as_ref().and_then(|frame| frame.data_ref().cloned());
        let over = encode::add(frame, encoder, &mut self.output)?;
        let over = over || body.is_end_stream() && encode::add(None, encoder, &mut self.output)?;
        Ok((first, over))
    }

    /// The server takes no more of the request. It may still reply.
    fn stop_sending(&mut self) {
        (self.keep, self.sending) = (false, None);
        self.output.forget();
    }

    fn poll_head(&mut self, method: &Method, cx: &mut Context<'_>) -> Poll<Result<ReplyHead, Failed<B>>> {
        self.drive(cx).map_err(Failed::Lost)?;
        loop {
            match self.heads.reply(&mut self.input.buffer, method) {
                // 100 and 103 announce the reply; 101 is one.
                Ok(Some(head)) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    continue;
                }
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Err(Failed::Invalid(bad.into()))),
            }
            match ready!(self.input.poll_fill(&mut self.stream, cx)) {
                Ok(0) => return Poll::Ready(Err(Failed::Lost(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Failed::Lost(error))),
            }
        }
    }

    /// Sends what there is of the request. Fails if its body does; a server that takes no more of it may still reply.
    fn drive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let mut waits = self.sending.is_none();
            while self.output.has_room()
                && let Some((body, encoder)) = &mut self.sending
            {
                match encode::poll_piece(Pin::new(body), encoder, &mut self.output, cx)? {
                    Poll::Ready(false) => {}
                    Poll::Ready(true) => self.sending = None,
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            if self.output.is_empty() {
                return Ok(());
            }
            match self.output.poll_flush(&mut self.stream, cx) {
                Poll::Ready(Ok(())) if waits => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.stop_sending();
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// The next piece of the reply's body.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.sending.is_some() || !self.output.is_empty() {
            self.drive(cx)?;
        }
        loop {
            match self.reply.decode(&mut self.input.buffer).map_err(io::Error::from)? {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(fields) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Step::Done => return Poll::Ready(None),
                Step::More => {}
            }
            if ready!(self.input.poll_fill(&mut self.stream, cx))? == 0 {
                self.reply.end().map_err(io::Error::from)?;
            }
        }
    }

    /// Whether the reply's body has been read to its end.
    pub fn is_end_stream(&self) -> bool {
        self.reply.is_done()
    }

    /// What is still to come of the reply's body.
    pub fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }

    /// After a reply of 101: the connection, and what the server has already said on it.
    pub fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.input.left())
    }
}

fn response(status: StatusCode, headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl<B> From<io::Error> for Failed<B> {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}
