//! The wire form of a proof: `Cortex-V1 <base64url of JSON>`.
//!
//! There is exactly one way to write a given token: the JSON has no white space, its keys are in alphabetical order, nothing is
//! escaped that need not be, and the base64url has no padding. What was parsed is written again and compared, so that
//! whatever two parsers might disagree on (duplicate keys, escapes, arrays for objects, null for absent) is refused
//! without a rule of its own. Errors name the field and never quote it: a token is a credential for five minutes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Nonce, Region, is_hex,
    request::{format_date, parse_date},
};
use crate::Secret;

/// The scheme of the `Authorization` header, and the protocol's version.
pub const SCHEME: &str = "Cortex-V1";

/// Length of the whole header value: room for the longest session token, and nothing that could fill memory.
const MAX_HEADER: usize = 8 * 1024;
/// AWS gives no limit; what it hands out is below 4 KiB as a rule ("AssumeRole", STS API reference).
const MAX_SESSION_TOKEN: usize = 5500;
/// "AccessKey", IAM API reference: 16 to 128 characters.
const ACCESS_KEY_ID: std::ops::RangeInclusive<usize> = 16..=128;

/// A well-formed proof. Says nothing of whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub(super) access_key_id: String,
    pub(super) signed_at: OffsetDateTime,
    pub(super) session_token: Option<Secret>,
    pub(super) region: Region,
    pub(super) nonce: Nonce,
    pub(super) signature: Secret,
}

/// Fields in alphabetical order, which is the order of writing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    access_key_id: String,
    date: String,
    nonce: String,
    region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    signature: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the Authorization header does not begin with `{SCHEME} `")]
    Scheme,
    #[error("the token is longer than {MAX_HEADER} bytes")]
    TooLong,
    #[error("the token is not base64url without padding")]
    Encoding,
    #[error("the token is not the JSON object that the protocol describes")]
    Json,
    #[error("the token is not in the protocol's one form: compact JSON with sorted keys")]
    Form,
    #[error("`{0}` does not have the form that it must have")]
    Field(&'static str),
    #[error("`region` is not an AWS region that this version knows")]
    Region,
}

impl Token {
    /// Parses the value of an `Authorization` header.
    pub fn parse(header: &str) -> Result<Self, TokenError> {
        let encoded = header.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(' ')).ok_or(TokenError::Scheme)?;
        if header.len() > MAX_HEADER {
            return Err(TokenError::TooLong);
        }
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Encoding)?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|_| TokenError::Json)?;
        if serde_json::to_vec(&wire).map_err(|_| TokenError::Json)? != json {
            return Err(TokenError::Form);
        }
        Self::from_wire(wire)
    }

    fn from_wire(wire: Wire) -> Result<Self, TokenError> {
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !(ACCESS_KEY_ID.contains(&wire.access_key_id.len()) && wire.access_key_id.bytes().all(upper)) {
            return Err(TokenError::Field("access_key_id"));
        }
        if wire.session_token.as_deref().is_some_and(|token| !is_session_token(token)) {
            return Err(TokenError::Field("session_token"));
        }
        if !is_hex(&wire.signature, 64) {
            return Err(TokenError::Field("signature"));
        }
        Ok(Self {
            access_key_id: wire.access_key_id,
            signed_at: parse_date(&wire.date).ok_or(TokenError::Field("date"))?,
            session_token: wire.session_token.map(Secret::new),
            region: Region::named(&wire.region).ok_or(TokenError::Region)?,
            nonce: Nonce::parse(&wire.nonce).ok_or(TokenError::Field("nonce"))?,
            signature: Secret::new(wire.signature),
        })
    }

    /// The header's value, checked by the same rules that it will be read by.
    pub(super) fn to_header(&self) -> Result<Secret, TokenError> {
        let wire = Wire {
            access_key_id: self.access_key_id.clone(),
            date: format_date(self.signed_at),
            nonce: self.nonce.as_str().to_owned(),
            region: self.region.name().to_owned(),
            session_token: self.session_token.as_ref().map(|token| token.expose().to_owned()),
            signature: self.signature.expose().to_owned(),
        };
        let json = serde_json::to_vec(&wire).map_err(|_| TokenError::Json)?;
        let header = Secret::new(format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(json)));
        Self::parse(header.expose()).map(|_| header)
    }

    /// As the caller says. For logs and limits only: who the caller is, STS says.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub fn signed_at(&self) -> OffsetDateTime {
        self.signed_at
    }

    pub fn region(&self) -> Region {
        self.region
    }
}

/// Session tokens are base64; `-`, `_` and `.` are allowed too, since AWS promises no alphabet. All of it may stand in
/// a header.
fn is_session_token(text: &str) -> bool {
    (1..=MAX_SESSION_TOKEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_.".contains(&byte))
}
