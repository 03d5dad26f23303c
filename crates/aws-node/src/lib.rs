//! What runs in a cluster on AWS keeps its state in S3, and its replicas on ECS.
//!
//! The adapters of processes that are there all the time; what makes and removes a cluster is `aws-infra`. No EC2 here:
//! its SDK takes as long to compile as all the others together.

mod calls;
pub mod ecs;
mod s3;

pub use ecs::EcsEngine;
pub use s3::{S3State, Settings};
