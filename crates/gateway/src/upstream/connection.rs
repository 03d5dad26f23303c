//! One HTTP/1.1 connection to a replica.
//!
//! It has no task of its own: whoever waits for something on it drives it, first the request and then the response's
//! body. That saves a switch between tasks at every turn, ends the connection at once when the client goes away, and
//! makes "the gateway closes it" mean "it is dropped". The price is that an idle connection does not notice that the
//! replica hung up; it is asked before it is used.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use transport::{Address, Stream};

use super::RequestBody;

type Driver = http1::Connection<TokioIo<Stream>, RequestBody>;

#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    /// Reads and writes; `None` once the connection has ended. (Only dropping it tells those who wait for something on it.)
    driver: Option<Box<Driver>>,
}

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) error: hyper::Error,
    /// The request, if not a byte of it was written.
    pub(crate) request: Option<Box<Request<RequestBody>>>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> io::Result<Self> {
        let stream = address.connect().await?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Some(Box::new(driver)) })
    }

    /// Moves bytes both ways for as long as there is something to move.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        // How it ended is told to whoever waits for the response or its body.
        if self.poll_driver(cx) {
            self.driver = None;
        }
    }

    /// Whether it has nothing more to do.
    fn poll_driver(&mut self, cx: &mut Context<'_>) -> bool {
        self.driver.as_mut().is_some_and(|driver| Pin::new(&mut **driver).poll(cx).is_ready())
    }

    /// After a response with the status 101: what it was made of, and what has already been read of what follows.
    /// `None` if the connection has ended.
    pub(crate) fn into_parts(self) -> Option<(Stream, Bytes)> {
        let parts = self.driver?.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }

    /// Whether a request may be sent, after a look at what the replica did in the meantime.
    pub(super) fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Whether the exchange is over and the replica keeps the connection open.
    pub(super) fn is_idle(&mut self) -> bool {
        // Nobody waits: the next user polls again with a waker of its own.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response. Dropping this future closes the connection.
    pub(crate) async fn send(mut self, request: Request<RequestBody>) -> Result<(Response<Incoming>, Self), Unsent> {
        let mut reply = pin!(self.sender.try_send_request(request));
        let mut ended = false;
        let reply = poll_fn(|cx| {
            ended = ended || self.poll_driver(cx);
            match reply.as_mut().poll(cx) {
                Poll::Pending if ended => {
                    self.driver = None;
                    reply.as_mut().poll(cx)
                }
                polled => polled,
            }
        });
        match reply.await {
            Ok(response) => {
                // With 101, HTTP has ended on it, and what follows is still to come.
                if ended && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    self.driver = None;
                }
                Ok((response, self))
            }
            Err(mut error) => {
                let request = error.take_message().map(Box::new);
                Err(Unsent { error: error.into_error(), request })
            }
        }
    }
}
