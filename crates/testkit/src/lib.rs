//! What end-to-end tests are made of: the real `cortex` binary run as a user would, a cluster that is gone when the test
//! is, a client of its APIs, and load that goes on while things break.
//!
//! Nothing here is a stand-in for a part of the product, and nothing reaches into its code: what a test learns of a cluster
//! it learns from the command line, over the wire, or from the files that the cluster keeps. Everything panics with
//! what went wrong and what was seen, since its callers are tests.

pub mod browser;
mod client;
mod cluster;
mod cortex;
pub mod emulator;
mod eventually;
pub mod faults;
pub mod leaks;
mod load;
pub mod nodes;
mod outcome;
pub mod pki;
mod ports;
pub mod process;
pub mod project;
mod python;
mod redact;
mod tiny_disk;

pub use client::{Answer, Https, Version, bare, raw};
pub use cluster::{Cluster, Config, Replica, Role};
pub use cortex::Cortex;
pub use eventually::{DEADLINE, eventually};
pub use load::{Load, Tally};
pub use outcome::Outcome;
pub use python::interpreter;
pub use redact::redact;
pub use tiny_disk::TinyDisk;
