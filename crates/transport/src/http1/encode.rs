//! Heads and bodies as they go.

use std::{
    cell::RefCell,
    io::{self, Write as _},
    pin::Pin,
    task::{Context, Poll, ready},
    time::SystemTime,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version,
    header::{
        AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
        COOKIE, DATE, EXPECT, FORWARDED, HOST, LOCATION, MAX_FORWARDS, ORIGIN, PROXY_AUTHORIZATION, RANGE, RETRY_AFTER,
        SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY, WWW_AUTHENTICATE,
    },
};
use http_body::{Body, Frame};
use time::OffsetDateTime;

use super::io::Output;

/// Puts a body's pieces behind each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    /// Bytes that are still to come.
    Length(u64),
    /// `trailers`: the other side takes them.
    Chunked {
        trailers: bool,
    },
    ToEnd,
    /// Whatever there is, is not sent.
    Nothing,
}

/// A body that is longer or shorter than its head says.
#[derive(Debug, thiserror::Error)]
#[error("the body has another length than its head says")]
pub(super) struct Mismatch;

impl From<Mismatch> for io::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(io::ErrorKind::InvalidData, mismatch)
    }
}

impl Encoder {
    pub(super) fn data(&mut self, output: &mut Output, data: Bytes) -> Result<(), Mismatch> {
        match self {
            Self::Length(left) => *left = left.checked_sub(data.len() as u64).ok_or(Mismatch)?,
            // An empty chunk is the end.
            Self::Chunked { .. } if data.is_empty() => return Ok(()),
            Self::Chunked { .. } => {
                let _ = write!(output.text(), "{:x}\r\n", data.len());
                output.push(data);
                output.text().extend_from_slice(b"\r\n");
                return Ok(());
            }
            Self::ToEnd => {}
            Self::Nothing => return Ok(()),
        }
        output.push(data);
        Ok(())
    }

    pub(super) fn end(&mut self, output: &mut Output, trailers: Option<&HeaderMap>) -> Result<(), Mismatch> {
        match self {
            Self::Length(0) | Self::ToEnd | Self::Nothing => Ok(()),
            Self::Length(_) => Err(Mismatch),
            Self::Chunked { trailers: taken } => {
                let text = output.text();
                text.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| *taken && may_trail(name)) {
                    field(text, name, value.as_bytes());
                }
                text.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }
}

/// Takes the next piece of a body; returns whether it was the last.
pub(super) fn poll_piece<B>(
    body: Pin<&mut B>,
    encoder: &mut Encoder,
    output: &mut Output,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let over = body.is_end_stream() || *encoder == Encoder::Nothing;
    let frame = if over { None } else { ready!(body.poll_frame(cx)) };
    Poll::Ready(frame.transpose().map_err(io::Error::other).and_then(|frame| add(frame, encoder, output)))
}

/// `None`: the end. Returns whether it was.
pub(super) fn add(frame: Option<Frame<Bytes>>, encoder: &mut Encoder, output: &mut Output) -> io::Result<bool> {
    let trailers = match frame.map(Frame::into_data) {
        Some(Ok(data)) => {
            encoder.data(output, data)?;
            return Ok(false);
        }
        Some(Err(frame)) => frame.into_trailers().ok(),
        None => None,
    };
    encoder.end(output, trailers.as_ref())?;
    Ok(true)
}

/// What is needed before the body is understood may not come after it (RFC 9110, 6.5.1): framing, routing, conditions, who is asking, and
/// how to read the body. Nor what is said of a client on its way: it was taken out of the head, and put in anew.
fn may_trail(name: &HeaderName) -> bool {
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER, HOST, CONNECTION, TE, UPGRADE, EXPECT, MAX_FORWARDS];
    let reading =
        [CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, CACHE_CONTROL, RANGE, LOCATION, RETRY_AFTER, AGE, VARY];
    let asking = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE, WWW_AUTHENTICATE, ORIGIN, FORWARDED];
    let own = ["x-forwarded-", "x-real-ip", "x-request-id", "x-api-key", "x-cortex-", "traceparent", "tracestate"];
    !framing.contains(name)
        && !reading.contains(name)
        && !asking.contains(name)
        && !own.iter().any(|own| name.as_str().starts_with(own))
}

/// A request's head; returns how its body is to be sent.
pub(super) fn request<B: Body>(request: &Request<B>, output: &mut Output) -> Encoder {
    let (body, text) = (request.body(), output.text());
    let encoder = match body.size_hint().exact() {
        Some(length) => Encoder::Length(length),
        None => Encoder::Chunked { trailers: true },
    };
    text.extend_from_slice(request.method().as_str().as_bytes());
    text.push(b' ');
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    text.extend_from_slice(target.as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    fields(text, request.headers());
    match encoder {
        // Methods that come with a body say so even if it is empty (RFC 9110, 8.6).
        Encoder::Length(0) if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) => {}
        Encoder::Length(length) => content_length(text, length),
        _ => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    text.extend_from_slice(b"\r\n");
    encoder
}

/// What a reply's head has to take into account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) head_only: bool,
    pub(super) version: Version,
    pub(super) takes_trailers: bool,
    /// The connection may serve again.
    pub(super) keep: bool,
}

/// A reply's head; returns how its body is to be sent, and whether the connection may serve again.
pub(super) fn reply<B: Body>(response: &Response<B>, asked: &Asked, output: &mut Output) -> (Encoder, bool) {
    let (status, headers) = (response.status(), response.headers());
    let modern = asked.version == Version::HTTP_11;
    let encoder = encoder(response, asked, modern);
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    let closes = headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let keep = asked.keep && !closes && encoder != Encoder::ToEnd;

    let text = output.text();
    text.extend_from_slice(if modern { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    text.extend_from_slice(status.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    text.extend_from_slice(b"\r\n");
    fields(text, headers);
    match encoder {
        Encoder::Length(length) => content_length(text, length),
        Encoder::Chunked { .. } => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // Of what there would be.
        Encoder::Nothing if asked.head_only || status == StatusCode::NOT_MODIFIED => {
            for value in headers.get_all(CONTENT_LENGTH) {
                field(text, &CONTENT_LENGTH, value.as_bytes());
            }
        }
        _ => {}
    }
    if !headers.contains_key(DATE) {
        text.extend_from_slice(b"date: ");
        date(text);
    }
    match (switches, keep, modern) {
        (true, ..) | (_, true, true) => {}
        (_, true, false) => text.extend_from_slice(b"connection: keep-alive\r\n"),
        (_, false, _) if closes => {}
        (_, false, _) => text.extend_from_slice(b"connection: close\r\n"),
    }
    text.extend_from_slice(b"\r\n");
    (encoder, keep || switches)
}

fn encoder<B: Body>(response: &Response<B>, asked: &Asked, modern: bool) -> Encoder {
    let status = response.status();
    if asked.head_only
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Encoder::Nothing;
    }
    let declared = || response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    match response.body().size_hint().exact().or_else(declared) {
        Some(length) => Encoder::Length(length),
        None if modern => Encoder::Chunked { trailers: asked.takes_trailers },
        None => Encoder::ToEnd,
    }
}

/// All but those that say how the body is sent: that is decided here.
fn fields(text: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            field(text, name, value.as_bytes());
        }
    }
}

fn field(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

fn content_length(text: &mut Vec<u8>, length: u64) {
    let _ = write!(text, "content-length: {length}\r\n");
}

/// The time as RFC 9110, 5.6.7, has it. Written once a second and thread.
fn date(text: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(second, last)| {
        if *second != now || last.is_empty() {
            *second = now;
            last.clear();
            let at = i64::try_from(now).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
            let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
            let (day, year, (hour, minute, second)) = (at.day(), at.year(), at.to_hms());
            let (weekday, month) = (&weekday[..3], &month[..3]);
            let _ = write!(last, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT\r\n");
        }
        text.extend_from_slice(last);
    });
}

#[cfg(test)]
mod tests {
    use http_body::SizeHint;
    use http_body_util::{Empty, Full};

    use super::*;

    /// A body of which nobody knows the length.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::new()
        }
    }

    const ASKED: Asked = Asked { head_only: false, version: Version::HTTP_11, takes_trailers: false, keep: true };

    fn head<B: Body>(response: Response<B>, asked: Asked) -> (Encoder, bool, Vec<String>) {
        let mut output = Output::default();
        let (encoder, keep) = reply(&response, &asked, &mut output);
        let text = String::from_utf8(std::mem::take(output.text())).unwrap();
        let lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(ToOwned::to_owned);
        (encoder, keep, lines.filter(|line| !line.starts_with("date: ")).collect())
    }

    fn with<B>(body: B, fields: &[(&'static str, &'static str)]) -> Response<B> {
        let mut response = Response::new(body);
        for (name, value) in fields {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        response
    }

    #[test]
    fn a_reply_says_how_long_it_is() {
        let known = with(Full::new(Bytes::from("four")), &[("content-length", "9"), ("x", "1"), ("x", "2")]);
        let (encoder, keep, lines) = head(known, ASKED);
        assert_eq!((encoder, keep), (Encoder::Length(4), true));
        assert_eq!(lines, ["HTTP/1.1 200 OK", "x: 1", "x: 2", "content-length: 4"]);
        let (encoder, _, lines) = head(with(Endless, &[("content-length", "9")]), ASKED);
        assert_eq!((encoder, &*lines[1]), (Encoder::Length(9), "content-length: 9"));
        let (encoder, keep, lines) = head(with(Endless, &[("transfer-encoding", "gzip")]), ASKED);
        assert_eq!((encoder, keep), (Encoder::Chunked { trailers: false }, true));
        assert_eq!(lines[1..], ["transfer-encoding: chunked"]);
    }

    #[test]
    fn old_clients_get_what_they_understand() {
        let old = Asked { version: Version::HTTP_10, ..ASKED };
        let (encoder, keep, lines) = head(with(Endless, &[]), old);
        assert_eq!((encoder, keep), (Encoder::ToEnd, false));
        assert_eq!(lines, ["HTTP/1.0 200 OK", "connection: close"]);
        let (_, keep, lines) = head(with(Full::new(Bytes::from("x")), &[]), old);
        assert!(keep && lines.contains(&"connection: keep-alive".to_owned()), "{lines:?}");
    }

    #[test]
    fn what_has_no_body_sends_none() {
        let looked = Asked { head_only: true, ..ASKED };
        let (encoder, _, lines) = head(with(Full::new(Bytes::from("x")), &[("content-length", "70")]), looked);
        assert_eq!((encoder, &lines[1..]), (Encoder::Nothing, &["content-length: 70".to_owned()][..]));
        let mut none = with(Full::new(Bytes::from("x")), &[]);
        *none.status_mut() = StatusCode::NO_CONTENT;
        let (mut encoder, _, lines) = head(none, ASKED);
        assert_eq!((encoder, lines.len()), (Encoder::Nothing, 1));
        let mut output = Output::default();
        encoder.data(&mut output, Bytes::from("x")).unwrap();
        encoder.end(&mut output, None).unwrap();
        assert!(output.is_empty());
    }

    #[test]
    fn a_connection_that_ends_is_announced_once() {
        for (asked, fields) in [(Asked { keep: false, ..ASKED }, &[][..]), (ASKED, &[("connection", "close")])] {
            let (_, keep, lines) = head(with(Empty::<Bytes>::new(), fields), asked);
            let said = lines.iter().filter(|line| *line == "connection: close").count();
            assert_eq!((keep, said), (false, 1), "{lines:?}");
        }
    }

    #[test]
    fn chunks_and_trailers() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("x-sum", "9"),
            ("content-length", "4"),
            ("host", "evil"),
            ("authorization", "Basic eDp5"),
            ("x-forwarded-for", "10.0.0.1"),
        ] {
            fields.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        for (trailers, end) in [(true, "0\r\nx-sum: 9\r\n\r\n"), (false, "0\r\n\r\n")] {
            let (mut encoder, mut output) = (Encoder::Chunked { trailers }, Output::default());
            for piece in ["hello", "", "twenty is 14 in hex."] {
                encoder.data(&mut output, Bytes::from(piece)).unwrap();
            }
            encoder.end(&mut output, Some(&fields)).unwrap();
            let text = String::from_utf8(std::mem::take(output.text())).unwrap();
            assert_eq!(text, format!("5\r\nhello\r\n14\r\ntwenty is 14 in hex.\r\n{end}"));
        }
    }

    #[test]
    fn no_body_is_longer_or_shorter_than_its_head_says() {
        let mut output = Output::default();
        assert!(Encoder::Length(3).data(&mut output, Bytes::from("four")).is_err());
        let mut short = Encoder::Length(5);
        short.data(&mut output, Bytes::from("four")).unwrap();
        assert!(short.end(&mut output, None).is_err());
    }

    #[test]
    fn a_request_says_how_long_it_is() {
        let text = |request: Request<()>, length: Option<&'static str>| {
            let mut output = Output::default();
            match length {
                Some(length) => super::request(&request.map(|()| Full::new(Bytes::from(length))), &mut output),
                None => super::request(&request.map(|()| Endless), &mut output),
            };
            String::from_utf8(std::mem::take(output.text())).unwrap()
        };
        let get =
            || Request::get("https://host.test/a?b").header("x", "y").header("content-length", "7").body(()).unwrap();
        let post = || Request::post("/").body(()).unwrap();
        assert_eq!(text(get(), Some("")), "GET /a?b HTTP/1.1\r\nx: y\r\n\r\n");
        assert_eq!(text(get(), Some("abc")), "GET /a?b HTTP/1.1\r\nx: y\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(text(post(), Some("")), "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(text(post(), None), "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
    }

    #[test]
    fn the_date_is_of_the_form_for_mail() {
        let mut text = Vec::new();
        date(&mut text);
        let text = String::from_utf8(text).unwrap();
        let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!((&form[3..8], &form[11..]), (", 00 ", " 0000 00:00:00 GMT\r\n"), "{text}");
    }
}
