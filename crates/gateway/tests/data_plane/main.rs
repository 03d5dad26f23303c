//! The gateway over real sockets: TLS clients before it, scripted replicas behind it, a SQLite State beside it.
#![expect(clippy::unwrap_used, reason = "a test")]

mod auth;
mod browser;
mod changes;
mod cors;
mod deadlines;
mod ground;
mod headers;
mod health;
mod keys;
mod limits;
mod log;
mod metrics;
mod old_clients;
mod origin;
mod raw;
mod retries;
mod routing;
mod smuggling;
mod snapshots;
mod store;
mod streaming;
mod upgrades;
