//! One connection to a replica, and how long its reply is waited for.

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use transport::{Address, Alarm, Client, Failed, Resend, Stream};

use super::RequestBody;

/// Boxed: it changes hands with every request.
#[derive(Debug)]
pub(crate) struct Connection(Box<Parts>);

#[derive(Debug)]
struct Parts {
    client: Client<RequestBody>,
    alarm: Alarm,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    Failed(Failed<RequestBody>),
    /// The deadline has passed.
    Late,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> io::Result<Self> {
        let client = Client::new(address.connect().await?);
        Ok(Self(Box::new(Parts { client, alarm: Alarm::default() })))
    }

    /// After a response with the status 101: what it was made of, and what has already been read of what follows.
    pub(crate) fn into_parts(self) -> (Stream, Bytes) {
        self.0.client.into_parts()
    }

    /// Whether a request may be sent, after a look at what the replica did in the meantime.
    pub(super) fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.0.client.is_usable(cx)
    }

    /// Whether the exchange is over and the replica keeps the connection open.
    pub(super) fn is_idle(&self) -> bool {
        self.0.client.is_idle()
    }

    /// Sends a request and waits for the head of its response, until a deadline that may move on. Dropping this future closes
    /// the connection.
    pub(crate) async fn send(
        mut self,
        request: Request<RequestBody>,
        deadline: impl Fn() -> Instant,
    ) -> Result<(Response<()>, Self), NoReply> {
        let reply = {
            let Parts { client, alarm } = &mut *self.0;
            let mut reply = pin!(client.send(request));
            let in_time = poll_fn(|cx| match reply.as_mut().poll(cx) {
                Poll::Ready(reply) => Poll::Ready(reply.map_err(NoReply::Failed)),
                Poll::Pending => alarm.poll_past(deadline(), cx).map(|()| Err(NoReply::Late)),
            });
            in_time.await?
        };
        Ok((reply, self))
    }

    /// The response's body.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.client.poll_frame(cx)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.0.client.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.0.client.size_hint()
    }
}

impl Resend for RequestBody {
    fn put_back(&mut self, piece: Bytes) {
        RequestBody::put_back(self, piece);
    }
}
