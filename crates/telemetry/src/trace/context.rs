//! `traceparent`, as W3C's Trace Context, level 1, has it.

use std::fmt;

pub const TRACEPARENT: &str = "traceparent";

/// Which trace a request belongs to, and which span of it is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub sampled: bool,
}

impl TraceContext {
    /// `None` if it is not valid: then there is none. Of later versions, the fields that there are in version 00.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let dashes = bytes.len() >= 55 && [2, 35, 52].iter().all(|position| bytes[*position] == b'-');
        let version = hex(bytes.get(..2)?)?[0];
        let ends = if version == 0 { bytes.len() == 55 } else { bytes.len() == 55 || bytes.get(55) == Some(&b'-') };
        if !dashes || !ends || version == 0xff {
            return None;
        }
        let trace_id: [u8; 16] = hex(&bytes[3..35])?.try_into().ok()?;
        let span_id: [u8; 8] = hex(&bytes[36..52])?.try_into().ok()?;
        let flags = hex(&bytes[53..55])?[0];
        let valid = trace_id != [0; 16] && span_id != [0; 8];
        valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// A new trace that nobody records: everybody after this one is to know that it was decided.
    pub fn unrecorded() -> Self {
        Self { trace_id: rand::random(), span_id: rand::random(), sampled: false }
    }

    /// As logs have it.
    pub fn trace_id(&self) -> String {
        text(&self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", text(&self.trace_id), text(&self.span_id), u8::from(self.sampled))
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
        text
    })
}

/// Lower case only, as the specification asks.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid_is_read_and_written_again() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), GOOD);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-fe")).unwrap().sampled);
        assert!(TraceContext::parse(&format!("{}-more", GOOD.replacen("00", "cc", 1))).is_some(), "a later version");
    }

    #[test]
    fn what_is_not_valid_is_none() {
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace('-', "_"),
            &GOOD[..54],
            &format!("{GOOD}0"),
            &format!("{GOOD}-more"),
            &format!("{}x", GOOD.replacen("00", "cc", 1)),
            &GOOD.replace('4', "é"),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
