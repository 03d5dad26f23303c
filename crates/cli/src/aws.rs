//! A cluster in an AWS account, as the command line makes, shows and removes it.
//!
//! ```text
//! up     account -> observe + facts -> plan -> checks -> question -> lease -> execute -> ready -> endpoints
//! down   account -> observe -> question -> lease -> destroy -> what is left
//! ```
//!
//! What a cluster consists of and how it comes to be is `provision`'s, the calls are `aws-infra`'s; here they meet the user:
//! what is shown, asked and printed, which files are uploaded, and when it can be said that the cluster works.

mod access;
mod account;
mod artifacts;
mod bringing;
mod certificate;
mod checks;
mod contents;
mod cost;
mod down;
mod drift;
mod endpoints;
mod health;
mod info;
mod interrupt;
mod keys;
mod lock;
mod node_config;
mod progress;
mod ready;
mod recorded;
mod state;
mod up;

pub use account::{Account, connect, default_region, setup};
pub use aws_infra::BucketName;
pub use bringing::Files;
pub use down::{Down, down};
pub use health::health;
pub use info::{cert, info, state_of};
pub use keys::CallerKeys;
pub use node_config::{NODE_CONFIG_KEY, NodeConfig, RuntimeKeys};
pub use state::{cluster_state, node_state};
pub use up::{Options, plan, terraform_json, up};
