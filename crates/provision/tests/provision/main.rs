//! `provision` against the simulated cloud.

mod critical_path;
mod failures;
mod golden;
mod ground;
mod lifecycle;
mod schedules;
