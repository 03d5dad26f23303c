//! `provision` against the simulated cloud.
#![expect(clippy::unwrap_used, reason = "a test")]

mod changes;
mod cost;
mod critical_path;
mod export;
mod failures;
mod golden;
mod ground;
mod lifecycle;
mod schedules;
mod shapes;
