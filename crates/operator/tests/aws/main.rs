//! The operator's door when AWS vouches for its callers: a real operator over TLS, the real HTTP client for STS, and an STS
//! on this machine that computes every signature anew, or answers as a hostile one would.

mod audited;
#[path = "../../../identity/tests/sts/aws.rs"]
mod aws;
mod door;
#[path = "../engine/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the reconciler")]
mod engine;
mod hostile;
mod leaks;
mod life;
mod limits;
mod scripted_sts;
mod sessions;
mod tampered;
