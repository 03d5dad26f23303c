//! Origins as people write them, made into what browsers send (RFC 6454, section 6.1; HTML standard, "serialization of an
//! origin"). The gateways compare text, so it has to be exactly that.

use std::net::Ipv6Addr;

use api::cors::ANY_ORIGIN;

use crate::app::AppError;

const LENGTH: usize = 300;

/// Each once, in the order given.
pub(super) fn all(written: &[String], limit: usize) -> Result<Vec<String>, AppError> {
    let invalid = |message: String| AppError::Invalid { kind: "cors.bad_origin", message };
    if written.len() > limit {
        return Err(invalid(format!("at most {limit} origins can be named; `*` is for all pages")));
    }
    let mut origins: Vec<String> = Vec::new();
    for text in written {
        let origin = one(text).map_err(|why| invalid(format!("`{text}` is not an origin: {why}")))?;
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    if origins.len() > 1 && origins.iter().any(|origin| origin == ANY_ORIGIN) {
        return Err(invalid("`*` is for all pages: name it alone, or name origins only".to_owned()));
    }
    Ok(origins)
}

fn one(text: &str) -> Result<String, String> {
    let own = |why: &str| Err(why.to_owned());
    if text == ANY_ORIGIN {
        return Ok(text.to_owned());
    }
    if text.eq_ignore_ascii_case("null") {
        return own("`null` is what files and sandboxed frames of any site send; serve the page from an address");
    }
    if !text.is_ascii() {
        return own("write an international name in its ASCII form, which begins with `xn--`");
    }
    if text.len() > LENGTH {
        return own("it is too long");
    }
    let lower = text.to_ascii_lowercase();
    let Some((scheme, rest)) = lower.split_once("://") else {
        return own("it begins with its scheme, as in https://example.com");
    };
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(letter) {
        return own("it begins with its scheme, as in https://example.com");
    }
    if let Some(end) = rest.find(['/', '?', '#']) {
        let end = scheme.len() + "://".len() + end;
        return Err(format!("it has no path: write `{}`", &lower[..end]));
    }
    if rest.contains('@') {
        return own("it names nobody: leave out what is before the `@`");
    }
    let (host, port) = host_and_port(rest)?;
    if host.contains('*') {
        return own("a part of a name cannot be `*`: name every origin, or `*` alone for all pages");
    }
    check_host(host)?;
    Ok(match port {
        Some(port) if default_port(scheme) != Some(port) => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn host_and_port(rest: &str) -> Result<(&str, Option<u16>), String> {
    let end = match rest.find(']') {
        Some(bracket) => bracket + 1,
        None if rest.starts_with('[') => return Err("what is in brackets is no IPv6 address".to_owned()),
        None => rest.find(':').unwrap_or(rest.len()),
    };
    let (host, port) = rest.split_at(end);
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        // `+80` would parse.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err("a port is a number from 1 to 65535".to_owned()),
        },
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(address) = address {
        // Browsers write the short form, and no other is ever equal to it.
        return match address.parse::<Ipv6Addr>() {
            Ok(parsed) if parsed.to_string() == address => Ok(()),
            Ok(parsed) => Err(format!("browsers write that address as [{parsed}]")),
            Err(_) => Err("what is in brackets is no IPv6 address".to_owned()),
        };
    }
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    if host.split('.').all(label) {
        return Ok(());
    }
    Err("its host is neither a name nor an address".to_owned())
}

/// What browsers leave out.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_becomes_what_browsers_send() {
        for (written, sent) in [
            ("*", "*"),
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("https://example.com:80", "https://example.com:80"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ] {
            assert_eq!(one(written).as_deref(), Ok(sent), "{written}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused_with_what_to_do() {
        for (written, says) in [
            ("", "scheme"),
            ("null", "sandboxed"),
            ("example.com", "https://example.com"),
            ("://example.com", "scheme"),
            ("1a://example.com", "scheme"),
            ("https://example.com/", "write `https://example.com`"),
            ("https://example.com:8443/app?x#y", "write `https://example.com:8443`"),
            ("https://me@example.com", "leave out"),
            ("https://*.example.com", "name every origin"),
            ("https://bücher.example", "xn--"),
            ("https://", "neither a name"),
            ("https://a b", "neither a name"),
            ("https://a,https://b", "no path"),
            ("https://example..com", "neither a name"),
            ("https://example.com:", "65535"),
            ("https://example.com:0", "65535"),
            ("https://example.com:65536", "65535"),
            ("https://example.com:+80", "65535"),
            ("http://[::1", "no IPv6"),
            ("http://[1:0:0:0:0:0:0:1]", "[1::1]"),
            ("http://[localhost]", "no IPv6"),
            ("https://example.com\r\nx", "neither a name"),
        ] {
            let refused = one(written).expect_err(written);
            assert!(refused.contains(says), "{written}: {refused}");
        }
    }

    #[test]
    fn a_star_stands_alone_and_nothing_stands_twice() {
        let all = |written: &[&str]| {
            let written: Vec<_> = written.iter().map(|&origin| origin.to_owned()).collect();
            all(&written, 3).map_err(|error| error.to_string())
        };
        assert_eq!(all(&[]), Ok(vec![]));
        assert_eq!(all(&["https://b", "https://a", "HTTPS://b:443"]).expect("it is valid"), ["https://b", "https://a"]);
        assert_eq!(all(&["*", "*"]).expect("it is valid"), ["*"]);
        assert!(all(&["*", "https://a"]).expect_err("both").contains("alone"));
        assert!(all(&["https://a", "https://b", "https://c", "https://d"]).expect_err("four").contains("at most 3"));
        assert!(all(&["https://a", "null"]).expect_err("null").contains("`null`"));
    }
}
