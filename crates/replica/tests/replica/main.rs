//! Replicas as an engine and a gateway see them: a spec file in, a status file and a socket out.
#![expect(clippy::unwrap_used, reason = "a test")]

mod care;
mod container;
mod drain;
mod ground;
mod hooks;
mod metrics;
mod model;
mod oip;
mod onnx;
mod python;
mod requirements;
mod streams;
mod together;
mod traces;
mod workers;
