//! HTTP/1.1 (RFC 9112), both sides of it: a server's connection ([`serve`]) and a client's ([`Client`]).
//!
//! Our own and not hyper's, which serves HTTP/2 here: a gateway does little else than this, and pays for each channel, waker and timer
//! between two halves of a connection with every request (ADR 12). Here, a connection is one object that whoever waits for something
//! on it drives; a request that is there as a whole is passed on as a whole; and a deadline costs a look at the clock.
//!
//! What is taken is what has one reading: `head` and `decode` refuse the rest.

mod body;
mod client;
mod decode;
mod encode;
mod head;
mod io;
mod serve;

pub(crate) use body::Streamed;
pub use client::{Client, Failed, Resend};
pub use io::Alarm;
pub(crate) use serve::{Never, Stop, Switched, serve};
