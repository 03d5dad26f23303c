//! A replica: one process that runs one copy of one API, an ONNX model, a Python predictor, or a server of
//! the user's own.
//!
//! [`run`] is the whole life of it: claim the status file, load the predictor, bind the socket, serve, drain. What it
//! is doing at any moment, and why it failed, is in its `api::replica::ReplicaStatus`; what it has to say goes through
//! `tracing`.
//!
//! - `predictor`: the seam. A predictor turns one request (`exchange`) into one reply, at once or piece by piece; connections,
//!   queues and refusals are not its business.
//! - `onnx`: an ONNX model, run in this process by ONNX Runtime, whose library is fetched once per machine.
//! - `python`: a Python class, run in worker processes over private sockets.
//! - `batching`: requests gathered, for whoever answers many at once.
//! - `container`: a server of the user's own, which requests are passed on to as they come.
//! - `server`: HTTP/1.1 in front of them, with the queue and the drain rule.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test"))]

mod batching;
mod command;
mod container;
mod error;
mod exchange;
mod file_lock;
mod lines;
mod metrics;
mod onnx;
mod predictor;
mod python;
mod query;
mod run;
mod server;
mod status;

pub use error::Error;
pub use onnx::{LIBRARY, library_for_nodes};
pub use python::StartFailure;
pub use run::{Limits, run, run_with};
