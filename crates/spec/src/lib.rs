//! `cluster.yaml` and `cortex.yaml`: what a user may write, what it means, and what is wrong with it.
//!
//! No I/O, no async, no AWS: text goes in; a typed value, or every problem in the text at once, comes out.
//!
//! The way of a document: `yaml` makes a tree of nodes that know their line and column; `de` reads the tree into
//! the as-written types (serde and schemars derives, every field optional), one problem after the other;
//! the checks of [`cluster`] and [`realtime`] turn those into the checked types, fill in defaults and report through
//! `document`, which puts every problem where its node stands.

pub mod cluster;
mod de;
mod document;
mod problem;
pub mod realtime;
mod rules;
mod schema;
mod secret;
mod yaml;

pub use problem::{Invalid, Problem};
pub use secret::Secret;
