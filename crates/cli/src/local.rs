//! A cluster on this machine.
//!
//! `cluster up` writes a directory and starts one process, the node, which keeps an operator and a gateway running; the
//! operator starts the replicas. Each process holds a lock and keeps a status in the directory, so every command can
//! tell what lives from what once lived, whatever was killed in between.

mod certificate;
mod down;
mod layout;
mod registry;
mod role;
mod settings;
mod telemetry;
mod up;

pub use certificate::{choose as choose_certificate, line as certificate_line};
pub use down::{bring_down, remove};
pub use layout::Layout;
pub use registry::{Registered, find, register, unregister};
pub use role::{Claim, Role};
pub use settings::Settings;
pub use up::{Outcome, bring_up};
