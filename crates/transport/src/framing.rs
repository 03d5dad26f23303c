//! Where a request's body ends, when two programs on its way could read that differently.
//!
//! `http1::head` decides the rest (RFC 9112, 6.3): it refuses lengths that contradict each other and a last coding other than
//! `chunked`, and goes by `chunked` where there is a length, too. But one coding is taken off however many are named, and
//! somebody before or behind may take off more, or none.

use http::{HeaderMap, header::TRANSFER_ENCODING};

/// Whether the request says in at most one word how its body is sent, and that is `chunked`.
pub fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}
