//! The head of a message: from the first line to the empty one.

use std::{io, mem::MaybeUninit};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING},
};

/// Fields of one head, or of one set of trailers.
pub(super) const MAX_FIELDS: usize = 100;

/// Room for what is added to a head on its way.
const ADDED: usize = 8;

/// Where the body ends (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    ToEnd,
}

impl Framing {
    pub(super) const NONE: Self = Self::Length(0);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    #[error("the head is not one of HTTP/1: {0}")]
    Invalid(&'static str),
    #[error("the head is too large")]
    TooLarge,
}

impl BadHead {
    /// What whoever sent it is told, as all that is served here tells its errors. (There is no request that would have an id.)
    pub(super) fn refusal(self) -> (StatusCode, String) {
        let (status, kind, message) = match self {
            Self::TooLarge => {
                let message = format!("the request line and the headers are too large, or more than {MAX_FIELDS}");
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message)
            }
            Self::Invalid(what) => {
                (StatusCode::BAD_REQUEST, "bad_request", format!("the head of the request cannot be read: {what}"))
            }
        };
        // All of these are texts of ours, with nothing to be escaped.
        (status, format!(r#"{{"kind":"{kind}","message":"{message}","request_id":""}}"#))
    }
}

impl From<httparse::Error> for BadHead {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            httparse::Error::HeaderName => Self::Invalid("a field's name"),
            httparse::Error::HeaderValue => Self::Invalid("a field's value"),
            httparse::Error::NewLine => Self::Invalid("the end of a line"),
            httparse::Error::Status => Self::Invalid("the status"),
            httparse::Error::Token => Self::Invalid("the method, or the target"),
            httparse::Error::Version => Self::Invalid("the version"),
        }
    }
}

impl From<BadHead> for io::Error {
    fn from(bad: BadHead) -> Self {
        Self::new(io::ErrorKind::InvalidData, bad)
    }
}

/// Takes whole heads off a buffer.
#[derive(Debug)]
pub(super) struct Heads {
    limit: usize,
    /// Bytes of the buffer that were looked through in vain.
    seen: usize,
}

#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) keep: bool,
    /// The client waits for 100 before it sends the body.
    pub(super) expects: bool,
    /// The client reads what comes behind a body.
    pub(super) takes_trailers: bool,
}

#[derive(Debug)]
pub(super) struct ReplyHead {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) keep: bool,
}

impl Heads {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, seen: 0 }
    }

    /// The next request's head, if all of it is there.
    pub(super) fn request(&mut self, buffer: &mut BytesMut) -> Result<Option<RequestHead>, BadHead> {
        // RFC 9112, 2.2: empty lines before a request are to be passed over.
        while matches!(buffer.first(), Some(b'\r' | b'\n')) {
            let length = if buffer[0] == b'\n' { 1 } else { 2 };
            match buffer.get(length - 1) {
                Some(b'\n') => buffer.advance(length),
                Some(_) => return Err(BadHead::Invalid("the end of a line")),
                None => return Ok(None),
            }
        }
        let Some(head) = self.take(buffer)? else { return Ok(None) };
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        is_all(request.parse_with_uninit_headers(&head, &mut fields)?, &head)?;
        let version = version(request.version)?;
        let method = request.method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let uri = request.path.and_then(|path| Uri::from_maybe_shared(head.slice_ref(path.as_bytes())).ok());
        let (headers, said) = Said::read(request.headers, &head)?;
        let framing = match (said.coded, said.chunked, said.length) {
            (true, true, _) if version == Version::HTTP_11 => Framing::Chunked,
            (true, ..) => return Err(BadHead::Invalid("the Transfer-Encoding")),
            (false, _, length) => Framing::Length(length.unwrap_or(0)),
        };
        Ok(Some(RequestHead {
            method: method.ok_or(BadHead::Invalid("the method"))?,
            uri: uri.ok_or(BadHead::Invalid("the target"))?,
            version,
            headers,
            framing,
            keep: said.keeps(version),
            expects: said.expects && version == Version::HTTP_11,
            takes_trailers: said.takes_trailers,
        }))
    }

    /// The head of the reply to a request of that method, if all of it is there.
    pub(super) fn reply(&mut self, buffer: &mut BytesMut, method: &Method) -> Result<Option<ReplyHead>, BadHead> {
        let Some(head) = self.take(buffer)? else { return Ok(None) };
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut reply = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        is_all(parser.parse_response_with_uninit_headers(&mut reply, &head, &mut fields)?, &head)?;
        let version = version(reply.version)?;
        let status = reply.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(BadHead::Invalid("the status"))?;
        let (headers, said) = Said::read(reply.headers, &head)?;
        let empty = *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let framing = match (said.coded, said.chunked, said.length) {
            _ if empty => Framing::NONE,
            (true, true, _) => Framing::Chunked,
            (false, _, Some(length)) => Framing::Length(length),
            _ => Framing::ToEnd,
        };
        let keep = said.keeps(version) && framing != Framing::ToEnd;
        Ok(Some(ReplyHead { status, headers, framing, keep }))
    }

    fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, BadHead> {
        let Some(length) = end(buffer, self.seen.saturating_sub(2)) else {
            self.seen = buffer.len();
            return if buffer.len() > self.limit { Err(BadHead::TooLarge) } else { Ok(None) };
        };
        self.seen = 0;
        if length > self.limit {
            return Err(BadHead::TooLarge);
        }
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

/// Trailers, if all of them are there (RFC 9112, 7.1.2).
pub(super) fn trailers(buffer: &mut BytesMut, limit: usize) -> Result<Option<HeaderMap>, BadHead> {
    let none = if buffer.starts_with(b"\r\n") { Some(2) } else { None };
    let length = none.or_else(|| end(buffer, 0));
    if length.unwrap_or(buffer.len()) > limit {
        return Err(BadHead::TooLarge);
    }
    let Some(length) = length else { return Ok(None) };
    let text = buffer.split_to(length).freeze();
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let httparse::Status::Complete((parsed, fields)) = httparse::parse_headers(&text, &mut fields)? else {
        return Err(BadHead::Invalid("the trailers"));
    };
    if parsed != text.len() {
        return Err(BadHead::Invalid("the trailers"));
    }
    Said::read(fields, &text).map(|(headers, _)| Some(headers))
}

/// Length of the head: to the end of the first line that is empty. A line ends in CRLF or LF.
fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(line) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        at += line + 1;
        match bytes[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Two readings of where a head ends are one too many.
fn is_all(status: httparse::Status<usize>, head: &Bytes) -> Result<(), BadHead> {
    match status {
        httparse::Status::Complete(length) if length == head.len() => Ok(()),
        _ => Err(BadHead::Invalid("its end")),
    }
}

fn version(minor: Option<u8>) -> Result<Version, BadHead> {
    match minor {
        Some(0) => Ok(Version::HTTP_10),
        Some(1) => Ok(Version::HTTP_11),
        _ => Err(BadHead::Invalid("the version")),
    }
}

/// What a head says of its connection and of its body.
#[derive(Debug, Default)]
struct Said {
    length: Option<u64>,
    /// How often it was said.
    lengths: usize,
    coded: bool,
    /// `chunked` is the last coding.
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
    takes_trailers: bool,
}

impl Said {
    /// Values are parts of `head`.
    fn read(fields: &[httparse::Header<'_>], head: &Bytes) -> Result<(HeaderMap, Self), BadHead> {
        let (mut headers, mut said) = (HeaderMap::with_capacity(fields.len() + ADDED), Self::default());
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let name = name.map_err(|_| BadHead::Invalid("a field's name"))?;
            // An empty value need not be a part of it.
            let value = if field.value.is_empty() { Bytes::new() } else { head.slice_ref(field.value) };
            let value = HeaderValue::from_maybe_shared(value).map_err(|_| BadHead::Invalid("a field's value"))?;
            said.note(&name, value.as_bytes())?;
            headers.try_append(name, value).map_err(|_| BadHead::TooLarge)?;
        }
        if said.lengths > 1
            && let Some(length) = said.length
        {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        Ok((headers, said))
    }

    fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), BadHead> {
        if *name == CONTENT_LENGTH {
            for value in tokens(value) {
                let length = length(value).ok_or(BadHead::Invalid("the Content-Length"))?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(BadHead::Invalid("two lengths"));
                }
                (self.length, self.lengths) = (Some(length), self.lengths + 1);
            }
        } else if *name == TRANSFER_ENCODING {
            self.coded = true;
            self.chunked = tokens(value).next_back().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        } else if *name == CONNECTION {
            for token in tokens(value) {
                self.close |= token.eq_ignore_ascii_case(b"close");
                self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == EXPECT {
            self.expects |= value.eq_ignore_ascii_case(b"100-continue");
        } else if *name == TE {
            self.takes_trailers |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"));
        }
        Ok(())
    }

    fn keeps(&self, version: Version) -> bool {
        // Whoever says both a coding and a length may have been misled, or misleads.
        let plain = !(self.coded && self.length.is_some());
        plain && !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}

fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits and nothing else.
fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<RequestHead>, BadHead> {
        Heads::new(4096).request(&mut text.into())
    }

    fn reply(method: Method, text: &str) -> (Framing, bool) {
        let head = Heads::new(4096).reply(&mut text.into(), &method).unwrap().unwrap();
        (head.framing, head.keep)
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_the_same_head() {
        let text = "\r\nPOST /a?b HTTP/1.1\r\nHost: x\r\nX-Empty:\r\ncontent-length: 5\r\n\r\nhello";
        let (mut heads, mut buffer, mut found) = (Heads::new(4096), BytesMut::new(), None);
        for (at, byte) in text.bytes().enumerate() {
            buffer.extend_from_slice(&[byte]);
            if let Some(head) = heads.request(&mut buffer).unwrap() {
                assert_eq!(at, text.len() - 6);
                found = Some(head);
            }
        }
        let head = found.unwrap();
        assert_eq!(
            (head.method, head.uri.to_string(), head.framing),
            (Method::POST, "/a?b".into(), Framing::Length(5))
        );
        assert_eq!(head.headers.len(), 3);
        assert_eq!(&buffer[..], b"hello");
    }

    #[test]
    fn heads_in_one_buffer_are_taken_one_by_one() {
        let mut buffer = BytesMut::from("GET /1 HTTP/1.1\nhost: x\n\nGET /2 HTTP/1.1\r\n\r\nGET /3");
        let mut heads = Heads::new(4096);
        for path in ["/1", "/2"] {
            assert_eq!(heads.request(&mut buffer).unwrap().unwrap().uri, path);
        }
        assert!(heads.request(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn sizes_are_bounded_whether_the_end_is_there_or_not() {
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(5000));
        for text in [long.clone(), long + "\r\n\r\n", format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101))] {
            assert_eq!(request(&text).unwrap_err(), BadHead::TooLarge);
        }
        assert!(request(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100))).unwrap().is_some());
    }

    #[test]
    fn a_request_ends_where_it_says() {
        let head = |fields: &str| request(&format!("POST / HTTP/1.1\r\n{fields}\r\n"));
        for (fields, framing, keep) in [
            ("", Framing::NONE, true),
            ("content-length: 7\r\nContent-Length: 7\r\n", Framing::Length(7), true),
            ("content-length: 7, 7\r\n", Framing::Length(7), true),
            ("transfer-encoding: Chunked\r\n", Framing::Chunked, true),
            ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n", Framing::Chunked, true),
            ("transfer-encoding: chunked\r\ncontent-length: 7\r\n", Framing::Chunked, false),
            ("connection: x, Close\r\n", Framing::NONE, false),
        ] {
            let head = head(fields).unwrap().unwrap();
            assert_eq!((head.framing, head.keep), (framing, keep), "{fields}");
        }
        for fields in [
            "content-length: 7\r\ncontent-length: 8\r\n",
            "content-length: 7, 8\r\n",
            "content-length: 7,\r\n",
            "content-length:\r\n",
            "content-length: +7\r\n",
            "content-length: 0x7\r\n",
            "content-length: 18446744073709551616\r\n",
            "transfer-encoding: gzip\r\n",
            "transfer-encoding: chunked, gzip\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n",
            "transfer-encoding: chunked,\r\n",
            "x : y\r\n",
            "x: y\r\n folded\r\n",
            "x: \0\r\n",
        ] {
            assert!(matches!(head(fields), Err(BadHead::Invalid(_))), "{fields:?}");
        }
    }

    #[test]
    fn an_old_client_keeps_its_connection_only_if_it_says_so() {
        let head = |fields: &str| request(&format!("GET / HTTP/1.0\r\n{fields}\r\n"));
        assert!(!head("").unwrap().unwrap().keep);
        assert!(head("connection: Keep-Alive\r\n").unwrap().unwrap().keep);
        assert!(matches!(head("transfer-encoding: chunked\r\n"), Err(BadHead::Invalid(_))));
        assert!(!head("expect: 100-continue\r\n").unwrap().unwrap().expects);
    }

    #[test]
    fn a_reply_ends_where_it_says_or_with_the_connection() {
        let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        for (method, text, expected) in [
            (Method::GET, ok("content-length: 3\r\n"), (Framing::Length(3), true)),
            (Method::GET, ok("transfer-encoding: chunked\r\n"), (Framing::Chunked, true)),
            (Method::GET, ok("transfer-encoding: chunked\r\ncontent-length: 3\r\n"), (Framing::Chunked, false)),
            (Method::GET, ok("transfer-encoding: gzip\r\n"), (Framing::ToEnd, false)),
            (Method::GET, ok(""), (Framing::ToEnd, false)),
            (Method::HEAD, ok("content-length: 3\r\n"), (Framing::NONE, true)),
            (Method::HEAD, ok(""), (Framing::NONE, true)),
            (Method::GET, ok("content-length: 3\r\nconnection: close\r\n"), (Framing::Length(3), false)),
            (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n".into(), (Framing::NONE, true)),
            (Method::GET, "HTTP/1.1 304\r\ncontent-length: 9\r\n\r\n".into(), (Framing::NONE, true)),
            (Method::GET, "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\n".into(), (Framing::Length(3), false)),
        ] {
            assert_eq!(reply(method.clone(), &text), expected, "{method} {text}");
        }
        for text in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n"] {
            assert!(Heads::new(4096).reply(&mut text.into(), &Method::GET).is_err(), "{text}");
        }
    }
}
