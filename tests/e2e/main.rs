//! The promise, kept: the real `cortex` binary, run as a user would, over real sockets.
//!
//! Every test has a cluster of its own, so they run side by side; none sleeps for what it waits for.

mod api_keys;
mod audit;
mod aws;
mod bad_input;
mod certificate;
mod containers;
mod cors;
mod deploy;
mod digits;
mod disk;
mod gate;
mod housekeeping;
mod junk;
mod limits;
mod logs;
mod metrics;
mod numpy;
mod old_clients;
mod onnx;
mod page;
mod predictors;
mod restart;
mod routes;
mod streams;
mod survival;
mod tls;
mod traces;
mod update;
mod websocket;
