//! What runs in a cluster on AWS keeps its state in S3.
//!
//! The adapters of processes that are there all the time; what makes and removes a cluster is `aws-infra`. No EC2 here:
//! its SDK takes as long to compile as all the others together.

mod s3;

pub use s3::{S3State, Settings};
