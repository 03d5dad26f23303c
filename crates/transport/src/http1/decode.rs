//! Bodies as they come: of a length, in chunks, or to the end of the connection.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::SizeHint;

use super::head::{Framing, trailers};

/// A line with a chunk's size, extensions included.
const MAX_LINE: usize = 1024;
/// Extensions of all chunks of one body: they cost the sender one byte and whoever reads them a look.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// Trailers of one body.
const MAX_TRAILERS: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not what its head says: {0}")]
pub(super) struct BadBody(&'static str);

impl From<BadBody> for io::Error {
    fn from(bad: BadBody) -> Self {
        Self::new(io::ErrorKind::InvalidData, bad)
    }
}

/// Takes a body's pieces off a buffer.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    ToEnd,
    Done,
    /// What comes now has no meaning.
    Broken(BadBody),
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    /// More has to be read.
    More,
    Done,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::NONE => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::ToEnd => State::ToEnd,
        };
        Self { state, extensions: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What is still to come, as far as it is known.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Length(left) => SizeHint::with_exact(left),
            State::Done => SizeHint::with_exact(0),
            _ => SizeHint::new(),
        }
    }

    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step, BadBody> {
        self.step(buffer).inspect_err(|bad| self.state = State::Broken(*bad))
    }

    fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, BadBody> {
        loop {
            match self.state {
                State::Done => return Ok(Step::Done),
                State::Broken(bad) => return Err(bad),
                _ if buffer.is_empty() => return Ok(Step::More),
                State::ToEnd => return Ok(Step::Data(buffer.split().freeze())),
                State::Length(left) => {
                    let data = up_to(buffer, left);
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    return Ok(Step::Data(data));
                }
                State::Chunk(left) => {
                    let data = up_to(buffer, left);
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                    return Ok(Step::Data(data));
                }
                State::ChunkEnd => {
                    if !b"\r\n".starts_with(&buffer[..buffer.len().min(2)]) {
                        return Err(BadBody("a chunk has another length"));
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    buffer.advance(2);
                    self.state = State::Size;
                }
                State::Size => match self.size(buffer)? {
                    Some(0) => self.state = State::Trailers,
                    Some(length) => self.state = State::Chunk(length),
                    None => return Ok(Step::More),
                },
                State::Trailers => {
                    let found = trailers(buffer, MAX_TRAILERS).map_err(|_| BadBody("its trailers"))?;
                    let Some(trailers) = found else { return Ok(Step::More) };
                    self.state = State::Done;
                    return Ok(if trailers.is_empty() { Step::Done } else { Step::Trailers(trailers) });
                }
            }
        }
    }

    /// The connection has ended. Whether that is the body's end.
    pub(super) fn end(&mut self) -> Result<(), BadBody> {
        match self.state {
            State::ToEnd | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(BadBody("it broke off")),
        }
    }

    /// The size of the next chunk, with which its line is taken. Digits are all there is to it: no sign, no blank.
    fn size(&mut self, buffer: &mut BytesMut) -> Result<Option<u64>, BadBody> {
        let Some(end) = buffer.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if buffer.len() < MAX_LINE {
                plausible(buffer).map(|()| None)
            } else {
                Err(BadBody("a chunk's line"))
            };
        };
        let line = buffer.split_to(end + 1);
        let line = line.strip_suffix(b"\r\n").ok_or(BadBody("the end of a chunk's line"))?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at(digits);
        if !matches!(extension.trim_ascii_start().first(), None | Some(b';')) || extension.contains(&b'\r') {
            return Err(BadBody("a chunk's size"));
        }
        self.extensions += extension.len();
        if self.extensions > MAX_EXTENSIONS {
            return Err(BadBody("more extensions of chunks than anybody needs"));
        }
        let size = str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        size.map(Some).ok_or(BadBody("a chunk's size"))
    }
}

/// What can never become a size is not waited for.
fn plausible(beginning: &[u8]) -> Result<(), BadBody> {
    match beginning.first() {
        Some(byte) if !byte.is_ascii_hexdigit() => Err(BadBody("a chunk's size")),
        _ => Ok(()),
    }
}

fn up_to(buffer: &mut BytesMut, most: u64) -> Bytes {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    buffer.split_to(length).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, its trailers, and what came after it.
    type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    /// All that comes out if it arrives in pieces of that length.
    fn decoded(framing: Framing, text: &[u8], piece: usize) -> Result<Decoded, BadBody> {
        let (mut decoder, mut buffer) = (Decoder::new(framing), BytesMut::new());
        let (mut data, mut trailers, mut pieces) = (Vec::new(), None, text.chunks(piece));
        loop {
            match decoder.decode(&mut buffer)? {
                Step::Data(more) => data.extend_from_slice(&more),
                Step::Trailers(fields) => trailers = Some(fields),
                Step::Done => {
                    buffer.extend(pieces.flatten());
                    return Ok((data, trailers, buffer.to_vec()));
                }
                Step::More => match pieces.next() {
                    Some(piece) => buffer.extend_from_slice(piece),
                    None => decoder.end()?,
                },
            }
        }
    }

    #[test]
    fn however_it_is_cut_it_is_the_same_body() {
        for piece in 1..40 {
            let chunked = b"4;a=\"b\"\r\nwiki\r\n05\r\npedia\r\n0\r\nx-sum: 9\r\n\r\nGET";
            let (data, trailers, rest) = decoded(Framing::Chunked, chunked, piece).unwrap();
            assert_eq!((&data[..], &rest[..]), (&b"wikipedia"[..], &b"GET"[..]), "{piece}");
            assert_eq!(trailers.unwrap()["x-sum"], "9");
            let (data, trailers, rest) = decoded(Framing::Chunked, b"a \r\n0123456789\r\n0\r\n\r\n", piece).unwrap();
            assert_eq!((&data[..], trailers, &rest[..]), (&b"0123456789"[..], None, &b""[..]), "{piece}");
            let (data, _, rest) = decoded(Framing::Length(7), b"payloadGET", piece).unwrap();
            assert_eq!((&data[..], &rest[..]), (&b"payload"[..], &b"GET"[..]), "{piece}");
            assert_eq!(decoded(Framing::ToEnd, b"all of it", piece).unwrap().0, b"all of it");
        }
        assert_eq!(decoded(Framing::NONE, b"GET", 1).unwrap().2, b"GET");
    }

    #[test]
    fn what_breaks_off_is_no_body() {
        for (framing, text) in [
            (Framing::Length(7), "paylo"),
            (Framing::Chunked, ""),
            (Framing::Chunked, "4\r\nwi"),
            (Framing::Chunked, "4\r\nwiki\r"),
            (Framing::Chunked, "4\r\nwiki\r\n0\r\n"),
            (Framing::Chunked, "4\r\nwiki\r\n0\r\nx: y\r\n"),
        ] {
            assert_eq!(decoded(framing, text.as_bytes(), 3), Err(BadBody("it broke off")), "{text}");
        }
    }

    #[test]
    fn chunks_have_one_reading() {
        let endless = format!("{}0\r\n\r\n", "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(1000));
        for text in [
            "0x4\r\nwiki\r\n0\r\n\r\n",
            "-4\r\nwiki\r\n0\r\n\r\n",
            "+4\r\nwiki\r\n0\r\n\r\n",
            " 4\r\nwiki\r\n0\r\n\r\n",
            "4\nwiki\r\n0\r\n\r\n",
            "4\r\nwikiX\r\n0\r\n\r\n",
            "4\r\nwiki\n0\r\n\r\n",
            "4 4\r\nwiki\r\n0\r\n\r\n",
            "4;a\nb\r\nwiki\r\n0\r\n\r\n",
            "4;a\rb\r\nwiki\r\n0\r\n\r\n",
            "11111111111111111\r\nwiki\r\n0\r\n\r\n",
            "\r\nwiki",
            ";x\r\nwiki",
            "zz",
            &format!("4;{}\r\nwiki\r\n0\r\n\r\n", "x".repeat(2000)),
            &format!("0\r\nx: {}\r\n\r\n", "y".repeat(20_000)),
            "0\r\nx y\r\n\r\n",
            &endless,
        ] {
            for piece in [1, 7, 100_000] {
                let outcome = decoded(Framing::Chunked, text.as_bytes(), piece);
                let mut decoder = Decoder::new(Framing::Chunked);
                while let Ok(Step::Data(_)) = decoder.decode(&mut (*text).into()) {}
                assert!(!decoder.is_done() && decoder.end().is_err(), "it gets no better");
                assert!(
                    matches!(outcome, Err(BadBody(why)) if why != "it broke off"),
                    "{:.60}: {:?}",
                    text,
                    outcome.err()
                );
            }
        }
    }
}
