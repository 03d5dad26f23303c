//! The contracts between the processes: the operator's HTTP API, and the documents that operator, gateway and replica
//! hand to one another. Shapes only; nobody's behaviour lives here.

pub mod api_keys;
pub mod client;
pub mod cluster;
pub mod cors;
pub mod endpoint;
pub mod openapi;
pub mod replica;
pub mod routes;
pub mod wire;

pub use client::{Authenticate, AwsKeys, Client, ClientError, Outgoing, StsProof};
pub use endpoint::{Access, Endpoint};
