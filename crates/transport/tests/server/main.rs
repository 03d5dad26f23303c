//! The server loop over real sockets: TLS, clients that stall or mean harm, and stopping.
#![expect(clippy::unwrap_used, reason = "a test")]

mod greedy;
mod ground;
mod http1;
mod http2;
mod serving;
