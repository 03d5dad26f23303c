//! [`provision::cloud::Cloud`] on AWS: makes, finds, changes and removes what a cluster consists of, by the AWS SDK.
//!
//! One module per kind of resource in `kind/`, each with `observe`, `create`, `update` and `delete`; [`AwsCloud`] only
//! picks the module. What the services' error codes mean is decided in `classify`, nowhere else.
//!
//! - **Ownership** is read from the tags in each reply. Filters only make replies smaller.
//! - **Nothing is retried here**; clients make one attempt per call. The executor retries, for it knows the deadline.
//! - **Creations of several calls** remember in this process what the first call made, so that the executor's next
//!   attempt goes on instead of making a second one (`attempts`). What a crash leaves unfinished is found by its tags and
//!   finished by `update`.
//! - **Content of objects** comes from the caller, by [`Contents`].
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test"))]

mod attempts;
mod call;
mod certificate;
mod classify;
mod clients;
mod cloud;
mod content;
mod credentials;
mod facts;
mod health;
mod kind;
mod preflight;
mod prices;
mod principals;
mod round;
mod tags;

pub use certificate::certificate_names;
pub use clients::Clients;
pub use cloud::{AwsCloud, BucketName};
pub use content::{Content, ContentError, Contents, NoContents};
pub use credentials::{Caller, SetupError, load};
pub use facts::{AccountFacts, FactsError, gather, runtime_identity};
pub use health::{Target, Worker, target_health, workers};
pub use preflight::{Finding, Subject, Verdict, preflight};
pub use prices::live_prices;
pub use principals::unique_id;
