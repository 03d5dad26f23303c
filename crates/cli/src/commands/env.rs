//! `cortex env`.

pub mod configure;
pub mod default;
pub mod delete;
pub mod list;
