//! Proof of identity by AWS: the caller signs a `GetCallerIdentity` request to AWS's Security Token Service, and the
//! operator lets STS say whose signature that is.
//!
//! The caller's side ([`Signer`]) never sends the request it signs: it sends what only the caller can know (key id, date,
//! session token, region, nonce, signature) and the verifier rebuilds the rest from its own knowledge. So there is no URL,
//! host, method, body or header of the caller's making that could reach STS: what does not match what was signed has
//! a wrong signature, and STS says so. The rebuilt request carries two signed headers of ours, which tie the
//! signature to one cluster ([`ClusterId`]) and to one request to its operator ([`OperatorRequest`]).
//!
//! In order: [`Token::parse`] (cheap, refuses what is malformed), [`Verifier::check`] (region and age, still without
//! I/O), [`Verifier::verify`] (STS through a [`StsTransport`], account, identity, role, replay). Nothing here does
//! I/O, tells the time or makes random numbers: all three come in from outside.
//!
//! The protocol for users and auditors, with the attack that each check stops, is in `docs/security/identity.md`.

mod access;
mod caller;
mod nonces;
mod region;
mod reply;
mod request;
mod sign;
mod token;
mod transport;
mod verify;
mod xml;

pub use access::{AccessRule, AccessSource, Denied, OperatorAccess, OwnRoles, WholeAccount};
pub use caller::{Caller, CallerError, CallerKind};
pub use nonces::{MemoryNonces, NonceError, Nonces, UsedNonce};
pub use region::{Partition, Region};
pub use reply::{Identity, ReplyError, StsRefusal, read_reply};
pub use request::{ClusterId, Nonce, OperatorRequest, STS_BODY, StsRequest};
pub use sign::{AwsCredentials, SignError, Signed, Signer};
pub use token::{SCHEME, Token, TokenError};
pub use transport::{MAX_REPLY_BYTES, StsReply, StsTransport, TransportError};
pub use verify::{Effect, Trust, Verified, Verifier, VerifyError};

/// Header of an operator request: the lower-case hex SHA-256 of its body, which the signature covers.
pub const CONTENT_SHA256: &str = "x-cortex-content-sha256";

/// How old a signature may be. STS itself would take 15 minutes.
pub const MAX_AGE: time::Duration = time::Duration::minutes(5);
/// How far ahead of the verifier's clock a signature may be dated.
pub const MAX_AHEAD: time::Duration = time::Duration::seconds(60);

/// Lower-case hex of this many digits and nothing else.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
