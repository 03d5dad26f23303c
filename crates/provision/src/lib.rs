//! What a cluster on AWS consists of, and how it comes to be, changes and goes.
mod change;
pub mod cloud;
pub mod desired;
pub mod destroy;
pub mod diff;
pub mod execute;
pub mod names;
pub mod observe;
pub mod plan;
pub mod ports;
pub mod resource;
#[cfg(feature = "sim")]
pub mod sim;
