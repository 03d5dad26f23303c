//! Request bodies that were compressed (RFC 9110, 8.4.1): clients of large tensors do that.

use std::{borrow::Cow, io::Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// The body as it was before `encoding`; or what is wrong, for the caller. At most `limit` bytes: a small body can stand
/// for a gigabyte of zeros.
pub(super) fn inflate<'a>(body: &'a [u8], encoding: Option<&str>, limit: usize) -> Result<Cow<'a, [u8]>, String> {
    let Some(encoding) = encoding else { return Ok(Cow::Borrowed(body)) };
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(body), "gzip", limit),
        "deflate" => read(ZlibDecoder::new(body), "deflate", limit),
        _ => Err(format!(
            "the body has the content encoding `{}`: send it as it is, or with gzip or deflate",
            encoding.escape_debug()
        )),
    }
}

fn read(source: impl Read, encoding: &str, limit: usize) -> Result<Cow<'static, [u8]>, String> {
    let mut body = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut body).map_err(|error| format!("the body is not {encoding}: {error}"))?;
    match body.len() {
        length if length > limit => Err(format!("the body is longer than {limit} bytes when it is inflated")),
        _ => Ok(Cow::Owned(body)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(body).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn both_encodings_and_none() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"abc").unwrap();
        assert_eq!(*inflate(&zlib.finish().unwrap(), Some("deflate"), 3).unwrap(), *b"abc");
        assert_eq!(*inflate(&gzip(b"abc"), Some("GZIP"), 3).unwrap(), *b"abc");
        assert_eq!(*inflate(b"abc", None, 0).unwrap(), *b"abc");
    }

    #[test]
    fn no_more_than_the_limit_and_nothing_else() {
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 100 << 10);
        let refused = |body: &[u8], encoding| inflate(body, Some(encoding), 1000).unwrap_err();
        assert_eq!(refused(&bomb, "gzip"), "the body is longer than 1000 bytes when it is inflated");
        assert!(refused(b"abc", "gzip").starts_with("the body is not gzip: "));
        assert!(refused(&bomb[..20], "gzip").starts_with("the body is not gzip: "));
        assert_eq!(
            refused(b"", "br"),
            "the body has the content encoding `br`: send it as it is, or with gzip or deflate"
        );
    }
}
