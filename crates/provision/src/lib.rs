//! What a cluster on AWS consists of, and how it comes to be, changes and goes.
mod change;
pub mod cloud;
pub mod desired;
pub mod names;
pub mod diff;
pub mod plan;
pub mod ports;
pub mod resource;
