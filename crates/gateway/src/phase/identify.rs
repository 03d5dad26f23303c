//! Phase 1: the request's id, by which its log lines are found everywhere.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Ids end up in logs, and a client chooses them.
const MAX_LENGTH: usize = 128;

/// The client's own id if it is fit to be repeated, else a new one (UUIDv7: sorted by time).
pub(crate) fn identify(headers: &HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        // A copy: the original is a part of what was read with it, and logs may need the id for as long as a stream lasts.
        Some(id) if is_valid(id) => HeaderValue::from_bytes(id.as_bytes()).unwrap_or_else(|_| new()),
        _ => new(),
    }
}

/// Random bits from this thread's generator: a system call for each request would cost more than all else here.
fn new() -> HeaderValue {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let id = Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).expect("a UUID is ASCII")
}

fn is_valid(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=MAX_LENGTH).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_id_is_kept_and_any_other_replaced() {
        let long = "a".repeat(MAX_LENGTH + 1);
        for (given, kept) in
            [("req-1.A_b", true), (&long[1..], true), (&long, false), ("", false), ("a b", false), ("a\"b", false)]
        {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
            let id = identify(&headers);
            assert_eq!(id == given, kept, "{given}");
            assert!(is_valid(&id));
        }
        assert_ne!(identify(&HeaderMap::new()), identify(&HeaderMap::new()));
    }
}
