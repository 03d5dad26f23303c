//! A server's connection: one request after the other.
//!
//! All of it is one task. While a request is being answered its body is read when somebody wants the next piece, and
//! once it is there the connection is watched: a client that hangs up takes its request along.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{
    body::{Demand, Feeder, streamed},
    decode::{Decoder, Step},
    encode::{self, Asked, Encoder},
    head::{BadHead, Framing, Heads, RequestHead},
    io::{Alarm, Input, Output},
};
use crate::Incoming;

/// What a client may send ahead while its request is being answered.
const AHEAD: usize = 64 * 1024;
/// What is read of a client after its reply, and for how long: the rest of a body that nobody wanted, so that the connection serves
/// on; or before the connection is closed, so that the client gets to read why: one that is closed with unread bytes in it is
/// reset, and the reset may overtake the reply (RFC 9112, 9.6).
const LINGER: (usize, Duration) = (1024 * 1024, Duration::from_secs(2));
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// When a connection that has nothing to do is to end.
pub(crate) trait Stop {
    /// The server is stopping: the request at hand is the connection's last.
    fn is_near(&self) -> bool;
    /// Ready when a connection on which nothing happens is to end.
    fn poll_now(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Never.
pub(crate) struct Never;

impl Stop for Never {
    fn is_near(&self) -> bool {
        false
    }

    fn poll_now(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A connection whose protocol was switched.
pub(crate) struct Switched<S> {
    pub(crate) io: S,
    /// What the client has said since.
    pub(crate) early: Bytes,
}

struct Connection<S> {
    io: S,
    input: Input,
    output: Output,
    heads: Heads,
    alarm: Alarm,
    /// How long a client may take nothing of a reply.
    patience: Option<Duration>,
}

/// One request and its reply.
struct Exchange {
    asked: Asked,
    decoder: Decoder,
    /// `None` if the body was there with the head.
    feeder: Option<Feeder>,
    /// The client waits for 100.
    expects: bool,
}

/// How much was left to be taken, and since when it is as much.
#[derive(Debug, Default)]
struct Taken(Option<(usize, Instant)>);

/// What came of looking at the client's side.
enum Pumped {
    /// Whoever reads the body has something to do.
    Moved,
    Idle,
    Gone(io::Error),
}

/// Serves the connection to its end, or to a reply of 101, with which it is returned. `head_time`: from the end of one request to
/// the end of the next one's head; and of a reply, for which the client takes nothing of it.
pub(crate) async fn serve<S, H, F, B>(
    io: S,
    head_bytes: usize,
    head_time: Option<Duration>,
    mut stop: impl Stop,
    mut handler: H,
) -> io::Result<Option<Switched<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: FnMut(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = Connection {
        io,
        input: Input::new(),
        output: Output::default(),
        heads: Heads::new(head_bytes),
        alarm: Alarm::default(),
        patience: head_time,
    };
    loop {
        let head = match connection.head(head_time, &mut stop).await? {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(bad) => return connection.refuse(bad).await.map(|()| None),
        };
        let (request, mut exchange) = connection.begin(head);
        let response = {
            let mut reply = pin!(handler(request));
            poll_fn(|cx| connection.poll_answer(cx, reply.as_mut(), &mut exchange)).await?
        };
        exchange.asked.keep &= !stop.is_near();
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let keep = connection.reply(response, &mut exchange).await?;
        if switches {
            return Ok(Some(Switched { io: connection.io, early: connection.input.left() }));
        }
        if !keep {
            return connection.close().await.map(|()| None);
        }
        connection.input.rest();
        connection.output.begin();
    }
    connection.close().await.map(|()| None)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The next request's head. `None`: there is none, or it is not waited for any longer.
    async fn head(
        &mut self,
        limit: Option<Duration>,
        stop: &mut impl Stop,
    ) -> io::Result<Result<Option<RequestHead>, BadHead>> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        poll_fn(|cx| {
            loop {
                match self.heads.request(&mut self.input.buffer) {
                    Ok(None) => {}
                    found => return Poll::Ready(Ok(found)),
                }
                match self.input.poll_fill(&mut self.io, cx) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Ok(None))),
                    // Who never pauses does not get past the deadline either.
                    Poll::Ready(Ok(_)) if deadline.is_none_or(|deadline| Instant::now() < deadline) => continue,
                    Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Ok(None))),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
                let over = stop.poll_now(cx).is_ready();
                let late = deadline.is_some_and(|deadline| self.alarm.poll_past(deadline, cx).is_ready());
                if over || late {
                    return Poll::Ready(Ok(Ok(None)));
                }
                return Poll::Pending;
            }
        })
        .await
    }

    fn begin(&mut self, head: RequestHead) -> (Request<Incoming>, Exchange) {
        let RequestHead { method, uri, version, headers, framing, keep, expects, takes_trailers } = head;
        let asked = Asked { head_only: method == Method::HEAD, version, takes_trailers, keep };
        let there = self.input.buffer.len() as u64;
        let (body, decoder, feeder) = match framing {
            Framing::Length(length) if length <= there => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let body = if length == 0 { Bytes::new() } else { self.input.buffer.split_to(length).freeze() };
                (Incoming::whole(body), Decoder::new(Framing::NONE), None)
            }
            framing => {
                let decoder = Decoder::new(framing);
                let (feeder, body) = streamed(decoder.size_hint());
                (Incoming::streamed(body), decoder, Some(feeder))
            }
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        // Who has sent all of it waits for nothing.
        let expects = expects && feeder.is_some();
        (request, Exchange { asked, decoder, feeder, expects })
    }

    fn poll_answer<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        mut reply: Pin<&mut F>,
        exchange: &mut Exchange,
    ) -> Poll<io::Result<F::Output>> {
        loop {
            if let Poll::Ready(response) = reply.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            match self.pump(cx, exchange) {
                Pumped::Moved => {}
                Pumped::Idle => return Poll::Pending,
                Pumped::Gone(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Reads what is wanted of the request's body, and then whether the client is still there.
    fn pump(&mut self, cx: &mut Context<'_>, exchange: &mut Exchange) -> Pumped {
        match &exchange.feeder {
            Some(feeder) if !exchange.decoder.is_done() => match feeder.demand(cx) {
                Demand::Wanted => {}
                Demand::Later => return Pumped::Idle,
                // What it has not sent yet may never come.
                Demand::Gone => return self.watch(cx),
            },
            _ => return self.watch(cx),
        }
        match self.poll_body(cx, exchange) {
            Poll::Ready(Ok((frame, last))) => {
                if let Some(feeder) = &exchange.feeder {
                    match frame {
                        Some(frame) => feeder.push(frame, last),
                        None => feeder.end(Ok(())),
                    }
                }
                Pumped::Moved
            }
            Poll::Ready(Err(error)) => {
                exchange.asked.keep = false;
                if let Some(feeder) = exchange.feeder.take() {
                    feeder.end(Err(error));
                }
                Pumped::Moved
            }
            Poll::Pending => Pumped::Idle,
        }
    }

    /// The next piece of the body, and whether it is the last.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
    ) -> Poll<io::Result<(Option<Frame<Bytes>>, bool)>> {
        loop {
            let step = exchange.decoder.decode(&mut self.input.buffer)?;
            exchange.expects &= step == Step::More;
            let done = exchange.decoder.is_done();
            match step {
                Step::Data(data) => return Poll::Ready(Ok((Some(Frame::data(data)), done))),
                Step::Trailers(fields) => return Poll::Ready(Ok((Some(Frame::trailers(fields)), done))),
                Step::Done => return Poll::Ready(Ok((None, true))),
                Step::More => {}
            }
            if std::mem::take(&mut exchange.expects) {
                self.output.text().extend_from_slice(CONTINUE);
            }
            // Whoever sends all before reading anything is not to wait for it.
            let _ = self.output.poll_flush(&mut self.io, cx)?;
            if ready!(self.input.poll_fill(&mut self.io, cx))? == 0 {
                exchange.decoder.end()?;
            }
        }
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> Pumped {
        while self.input.buffer.len() < AHEAD {
            match self.input.poll_ahead(&mut self.io, cx) {
                Poll::Ready(Ok(0)) => return Pumped::Gone(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Pumped::Gone(error),
                Poll::Pending => break,
            }
        }
        Pumped::Idle
    }

    /// Sends the reply; returns whether the connection may serve again.
    async fn reply<B>(&mut self, response: Response<B>, exchange: &mut Exchange) -> io::Result<bool>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // From here on, 100 would stand in the middle of the reply.
        let waits = std::mem::take(&mut exchange.expects);
        if exchange.feeder.as_ref().is_none_or(Feeder::is_gone) {
            // Whoever waited for it may send its body, or not.
            exchange.asked.keep &= !waits && self.has_little_left(exchange);
        }
        let (mut encoder, keep) = encode::reply(&response, &exchange.asked, &mut self.output);
        let mut body = pin!(Some(response.into_body()));
        let mut taken = Taken::default();
        poll_fn(|cx| self.poll_reply(cx, body.as_mut(), &mut encoder, exchange, &mut taken)).await?;
        let keep = keep && exchange.asked.keep;
        Ok(keep && (exchange.decoder.is_done() || !waits && self.passes_over(exchange).await))
    }

    /// Whether the rest of a body that nobody wants can be passed over.
    fn has_little_left(&mut self, exchange: &mut Exchange) -> bool {
        self.drop_read(exchange).is_ok()
            && exchange.decoder.size_hint().exact().is_some_and(|left| left <= LINGER.0 as u64)
    }

    /// Drops what has been read of a body that nobody wants.
    fn drop_read(&mut self, exchange: &mut Exchange) -> io::Result<()> {
        while let Step::Data(_) | Step::Trailers(_) = exchange.decoder.decode(&mut self.input.buffer)? {}
        Ok(())
    }

    /// Passes over the rest of a body that nobody wants, if it comes soon and is not too much.
    async fn passes_over(&mut self, exchange: &mut Exchange) -> bool {
        let (mut left, time) = LINGER;
        let pass = poll_fn(|cx| {
            loop {
                self.drop_read(exchange)?;
                if exchange.decoder.is_done() || left == 0 {
                    return Poll::Ready(io::Result::Ok(exchange.decoder.is_done()));
                }
                match ready!(self.input.poll_fill(&mut self.io, cx))? {
                    0 => return Poll::Ready(Ok(false)),
                    length => left = left.saturating_sub(length),
                }
            }
        });
        matches!(tokio::time::timeout(time, pass).await, Ok(Ok(true)))
    }

    fn poll_reply<B>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut Option<B>>,
        encoder: &mut Encoder,
        exchange: &mut Exchange,
        taken: &mut Taken,
    ) -> Poll<io::Result<()>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        loop {
            let mut waits = false;
            while self.output.has_room()
                && let Some(source) = body.as_mut().as_pin_mut()
            {
                match encode::poll_piece(source, encoder, &mut self.output, cx) {
                    Poll::Ready(Ok(false)) => {}
                    Poll::Ready(Ok(true)) => body.set(None),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            let written = if waits || body.is_none() {
                self.output.poll_flush(&mut self.io, cx)?
            } else {
                self.output.poll_write(&mut self.io, cx)?
            };
            if written.is_ready() && body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if written.is_ready() && !waits {
                continue;
            }
            if written.is_pending() {
                ready!(self.poll_patience(cx, taken))?;
            }
            match self.pump(cx, exchange) {
                Pumped::Moved => {}
                Pumped::Idle => return Poll::Pending,
                Pumped::Gone(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Ready, with an error, when the client has taken nothing for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>, taken: &mut Taken) -> Poll<io::Result<()>> {
        let Some(patience) = self.patience else { return Poll::Ready(Ok(())) };
        let left = self.output.left();
        let since = match taken.0 {
            Some((before, since)) if before == left => since,
            _ => taken.0.insert((left, Instant::now())).1,
        };
        match self.alarm.poll_past(since + patience, cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            // The caller goes on.
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    async fn refuse(mut self, bad: BadHead) -> io::Result<()> {
        let (status, text) = bad.refusal();
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let asked = Asked { head_only: false, version: Version::HTTP_11, takes_trailers: false, keep: false };
        let (mut encoder, _) = encode::reply(&response, &asked, &mut self.output);
        let mut body = pin!(response.into_body());
        poll_fn(|cx| {
            while !ready!(encode::poll_piece(body.as_mut(), &mut encoder, &mut self.output, cx))? {}
            Poll::Ready(io::Result::Ok(()))
        })
        .await?;
        self.close().await?;
        Err(bad.into())
    }

    /// Says what there is to be said, and waits a little for the client to hang up, too: it may be sending what nobody will read.
    async fn close(mut self) -> io::Result<()> {
        let (mut left, time) = LINGER;
        let close = async {
            poll_fn(|cx| self.output.poll_flush(&mut self.io, cx)).await?;
            self.io.shutdown().await?;
            while left > 0 {
                self.input.buffer.clear();
                match poll_fn(|cx| self.input.poll_fill(&mut self.io, cx)).await? {
                    0 => break,
                    length => left = left.saturating_sub(length),
                }
            }
            Ok(())
        };
        tokio::time::timeout(time, close).await.unwrap_or(Ok(()))
    }
}
