//! Against the emulator: every kind of resource (found, made, found as wanted, changed field by field, removed), and whole
//! clusters.

#![expect(clippy::unwrap_used, reason = "a test")]

mod balancing;
mod bench;
mod compute;
mod credentials;
mod facts;
mod foreign;
mod graph;
mod iam;
mod network;
mod pages;
mod storage;
