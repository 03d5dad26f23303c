//! Who is calling, and with what: principals and roles, keys and tokens, and the wrapper that keeps a secret out of logs.

mod key;
mod principal;
mod secret;
mod session;
pub mod sts;

pub use key::{KeyKind, sha256, sha256_hex, verify_hash};
pub use principal::{Principal, Role};
pub use secret::Secret;
pub use session::{SESSION_SCHEME, SESSION_TTL, SessionError, SessionKey, Subject};
