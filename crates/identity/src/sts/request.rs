//! What is signed: the operator request, reduced to a digest, inside the STS request that carries it.
//!
//! Signer and verifier both build the STS request from here and from nothing else, so they can differ only in what is
//! handed in.

use std::fmt;

use sha2::{Digest as _, Sha256};
use time::{Date, Month, OffsetDateTime, Time};

use super::{Region, is_hex};
use crate::Secret;

/// The one body that is ever signed. The API version is STS's only one.
pub const STS_BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
pub(super) const STS_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
const SERVICE: &str = "sts";

/// The parts of an operator request that its signature covers. Two requests that differ in any of them have different
/// digests.
#[derive(Debug, Clone, Copy)]
pub struct OperatorRequest<'a> {
    pub method: &'a str,
    /// As it goes over the wire, still percent-encoded.
    pub path: &'a str,
    /// Without the question mark; `None` if there is none.
    pub query: Option<&'a str>,
    pub content_type: Option<&'a str>,
    /// Lower-case hex SHA-256 of the body, the empty one included.
    pub content_sha256: &'a str,
}

impl OperatorRequest<'_> {
    /// Lower-case hex SHA-256. Every part goes in with its length and whether it is there at all, so no two requests run
    /// together into the same bytes.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new_with_prefix("cortex-request-v1\n");
        let parts = [Some(self.method), Some(self.path), self.query, self.content_type, Some(self.content_sha256)];
        for part in parts {
            match part {
                Some(text) => hash.update(format!("{}:{text}\n", text.len())),
                None => hash.update("-\n"),
            }
        }
        hex::encode(hash.finalize())
    }
}

/// Which cluster a signature is for: the lower-case hex SHA-256 of the public key (SubjectPublicKeyInfo, DER) of the
/// authority that its callers pin. Two clusters never share one, whatever they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterId(String);

impl ClusterId {
    pub fn parse(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 128 random bits that tell one signature from all others of the same caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex::encode(random))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        is_hex(text, 32).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Everything that goes into a signature besides the caller's keys.
pub(super) struct Binding<'a> {
    pub(super) region: Region,
    pub(super) date: &'a str,
    pub(super) session_token: Option<&'a str>,
    pub(super) cluster: &'a ClusterId,
    pub(super) nonce: &'a Nonce,
    /// [`OperatorRequest::digest`].
    pub(super) request: &'a str,
}

impl<'a> Binding<'a> {
    /// The headers whose values are signed but for `x-amz-*` and `host`.
    pub(super) fn own_headers(&self) -> [(&'static str, &'a str); 4] {
        [
            ("content-type", STS_CONTENT_TYPE),
            ("x-cortex-cluster", self.cluster.as_str()),
            ("x-cortex-nonce", self.nonce.as_str()),
            ("x-cortex-request", self.request),
        ]
    }

    /// The whole request as STS must see it, for a signature that came from outside.
    pub(super) fn with_signature(&self, access_key_id: &str, signature: &str) -> StsRequest {
        let host = self.region.sts_host();
        let date = self.date;
        let mut headers: Vec<(&'static str, String)> =
            self.own_headers().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        headers.extend([("host", host.clone()), ("x-amz-date", date.to_owned())]);
        headers.extend(self.session_token.map(|token| ("x-amz-security-token", token.to_owned())));
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let (day, region) = (&date[..8], self.region);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{day}/{region}/{SERVICE}/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        headers.push(("authorization", authorization));
        let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        StsRequest { host, headers }
    }
}

/// A `GetCallerIdentity` request, ready to be sent: `POST /` without a query, with [`STS_BODY`] and exactly these headers.
#[derive(Clone)]
pub struct StsRequest {
    host: String,
    headers: Vec<(&'static str, Secret)>,
}

impl StsRequest {
    /// The host that was signed for. Whatever address is dialled, the `host` header says this.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// All headers, `host` and `authorization` included; names are lower-case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.headers.iter().map(|(name, value)| (*name, value))
    }
}

impl fmt::Debug for StsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StsRequest").field("host", &self.host).finish_non_exhaustive()
    }
}

/// `20260131T235959Z`, UTC.
pub(super) fn format_date(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// The reverse; `None` for every other form.
pub(super) fn parse_date(text: &str) -> Option<OffsetDateTime> {
    let digits = text.bytes().enumerate().all(|(position, byte)| match position {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 16 || !digits {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<u8>().ok();
    let month = Month::try_from(number(4..6)?).ok()?;
    let date = Date::from_calendar_date(text[..4].parse().ok()?, month, number(6..8)?).ok()?;
    let time = Time::from_hms(number(9..11)?, number(11..13)?, number(13..15)?).ok()?;
    Some(date.with_time(time).assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_form() {
        let at = parse_date("20260131T235959Z").expect("it is one");
        assert_eq!(format_date(at), "20260131T235959Z");
        for wrong in [
            "",
            "20260131T235959",
            "20260131T235959z",
            "2026-01-31T23:59:59Z",
            "20260132T000000Z",
            "20261301T000000Z",
            "20260131T240000Z",
            "20260131T236000Z",
            "20260131T235960Z",
            "+0260131T235959Z",
            "20260131 235959Z",
            "20260131T235959Z ",
            "２0260131T2359Z",
            "00000000T000000Z",
        ] {
            assert_eq!(parse_date(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_part_of_a_request_changes_its_digest() {
        let base = OperatorRequest {
            method: "POST",
            path: "/v1/deploy",
            query: None,
            content_type: Some("application/json"),
            content_sha256: "ab",
        };
        let others = [
            OperatorRequest { method: "PUT", ..base },
            OperatorRequest { method: "post", ..base },
            OperatorRequest { path: "/v1/deploy/", ..base },
            OperatorRequest { path: "/v1/Deploy", ..base },
            OperatorRequest { query: Some(""), ..base },
            OperatorRequest { query: Some("a=1"), ..base },
            OperatorRequest { content_type: None, ..base },
            OperatorRequest { content_type: Some(""), ..base },
            OperatorRequest { content_type: Some("text/plain"), ..base },
            OperatorRequest { content_sha256: "ac", ..base },
            // What runs together where parts are only joined.
            OperatorRequest { path: "/v1/deploy\n-\n16:application/json", content_type: None, ..base },
        ];
        for other in &others {
            assert_ne!(other.digest(), base.digest(), "{other:?}");
        }
        assert!(is_hex(&base.digest(), 64));
    }

    #[test]
    fn a_cluster_id_and_a_nonce_have_one_form() {
        assert!(ClusterId::parse(&"a1".repeat(32)).is_some());
        for wrong in ["", "a1", &"A1".repeat(32), &"g1".repeat(32), &"a1".repeat(33)] {
            assert_eq!(ClusterId::parse(wrong), None);
            assert_eq!(Nonce::parse(wrong), None);
        }
        assert_eq!(Nonce::parse(Nonce::new([7; 16]).as_str()), Some(Nonce::new([7; 16])));
    }
}
