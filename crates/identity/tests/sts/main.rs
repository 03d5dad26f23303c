//! Identity by AWS STS, tried from outside: the rows of the checklist in `docs/security/identity.md`.

mod aws;
mod callers;
mod fake;
mod leaks;
mod nonces;
mod properties;
mod regions;
mod replies;
mod rules;
mod signatures;
mod tokens;
mod verifying;
