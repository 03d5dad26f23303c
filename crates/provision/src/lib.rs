//! What a cluster on AWS consists of, and how it comes to be, changes and goes.
//!
//! ```text
//! cluster.yaml + facts --desired--> Graph --+
//!                                           +--diff--> Plan --execute--> Report
//! account ------------observe--> Observed --+
//! account --------------------------------------------destroy--> Destroyed
//! ```
//!
//! - There is no state file. The account is the state: everything is tagged, and named by rules ([`names`]).
//! - [`desired`](desired::desired) and [`diff`](diff::diff) are pure. Every choice is in the [`Plan`](plan::Plan); execution has none.
//! - All I/O goes through [`cloud::Cloud`], in this crate's own types; there is no AWS SDK here. With the feature `sim` there is
//!   an implementation in memory, on tokio's clock, that fails in all the ways AWS does.
//! - Whatever happens in between, `observe`, `diff` and `execute` again end in what is wanted, after which the plan is empty;
//!   `destroy` ends in nothing, or says what is left and why.

mod change;
pub mod cloud;
pub mod cost;
pub mod desired;
pub mod destroy;
pub mod diff;
pub mod execute;
pub mod export;
pub mod names;
pub mod observe;
pub mod permissions;
pub mod plan;
pub mod ports;
pub mod resource;
#[cfg(feature = "sim")]
pub mod sim;

pub use self::{desired::desired, destroy::destroy, diff::diff, execute::execute, observe::observe};
