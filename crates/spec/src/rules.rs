//! Rules for single values that more than one document, or more than one part of a document, uses. Pure: a value goes
//! in, the checked value or a refusal comes out.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

use crate::problem::Refusal;

/// A whole number of the range, as the type the checked model wants.
pub(crate) fn within<N: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(i64) -> Result<N, Refusal> {
    move |value| {
        let fits = range.contains(&value).then(|| N::try_from(value).ok()).flatten();
        fits.ok_or_else(|| {
            Refusal::range(format!("{value} is out of range: it must be from {} to {}", range.start(), range.end()))
        })
    }
}

/// Whether every character is an ASCII letter, digit or one of `others`.
pub(crate) fn only(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn lower_case(text: &str) -> bool {
    !text.bytes().any(|b| b.is_ascii_uppercase())
}

/// The name of a cluster: 3 to 54 characters, so that names made from it fit into AWS's limits.
pub(crate) fn cluster_name(name: String) -> Result<String, Refusal> {
    let parts_ok = name.split('-').all(|part| !part.is_empty() && only(part, "") && lower_case(part));
    match name.len() {
        3..=54 if parts_ok => Ok(name),
        3..=54 => Err(Refusal::invalid(format!("`{name}` is not a name for a cluster"))
            .help("use lower-case letters, digits and single dashes between them")),
        len => Err(Refusal::range(format!("a cluster's name has 3 to 54 characters, this has {len}"))),
    }
}

/// The name of an API: a DNS-1035 label, cut to 42 characters by the names made from it.
pub(crate) fn api_name(name: String) -> Result<String, Refusal> {
    const MAX: usize = 42;
    let ok = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && only(&name, "-")
        && lower_case(&name);
    if name.len() > MAX {
        return Err(Refusal::range(format!("an API's name has at most {MAX} characters, this has {}", name.len())));
    }
    if ok {
        return Ok(name);
    }
    Err(Refusal::invalid(format!("`{name}` is not a name for an API"))
        .help("use lower-case letters, digits and dashes; begin with a letter and do not end with a dash"))
}

/// A DNS name (RFC 1123, with an optional `*.` in front) or an IP address, in lower case.
pub(crate) fn host_name(name: String) -> Result<String, Refusal> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let plain = name.strip_prefix("*.").unwrap_or(&name);
    let label = |l: &str| (1..=63).contains(&l.len()) && only(l, "-") && !l.starts_with('-') && !l.ends_with('-');
    // What ends in a number is an address (RFC 3696, section 2), and as an address it is wrong.
    let numeric = plain.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if plain.len() <= 253 && plain.split('.').all(label) && !numeric {
        return Ok(name.to_ascii_lowercase());
    }
    Err(Refusal::invalid(format!("`{name}` is neither a host name nor an IP address"))
        .help("write only the name, without `https://`, port or path"))
}

pub(crate) fn ip_address(text: String) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::invalid(format!("`{text}` is not an IP address"))
            .help("for example 127.0.0.1 (this machine only), 0.0.0.0 (every IPv4 network) or :: (every network)")
    })
}

/// A path that means the same whichever directory a process runs in.
pub(crate) fn absolute_path(text: String) -> Result<PathBuf, Refusal> {
    let path = PathBuf::from(&text);
    if text.starts_with('~') {
        return Err(Refusal::invalid(format!("`{text}`: `~` is not expanded here")).help("write the whole path"));
    }
    if !path.is_absolute() {
        return Err(Refusal::invalid(format!("`{text}` is not an absolute path")).help("begin it with `/`"));
    }
    Ok(path)
}

/// A file of the user's, as written; the CLI reads it relative to the directory of `cluster.yaml`.
pub(crate) fn file(text: String) -> Result<PathBuf, Refusal> {
    match text.is_empty() || text.starts_with('~') {
        true => Err(Refusal::invalid(format!("`{text}` is not the path of a file"))
            .help("write it absolute, or relative to the directory of cluster.yaml")),
        false => Ok(PathBuf::from(text)),
    }
}

/// A path inside the project directory, without `.` segments.
pub(crate) fn project_path(text: String) -> Result<String, Refusal> {
    let refuse = |why: &str| {
        Err(Refusal::invalid(format!("`{text}` {why}"))
            .help("write it relative to the directory of cortex.yaml, with `/` between the parts"))
    };
    if text.is_empty() || text.chars().any(char::is_control) {
        return refuse("is not a path");
    }
    if text.starts_with('/') || text.starts_with('~') || text.as_bytes().get(1) == Some(&b':') {
        return refuse("is not relative to the project");
    }
    if text.contains("://") {
        return refuse("is a URL, not a file of the project");
    }
    if text.contains('\\') {
        return refuse("contains a `\\`");
    }
    if text.split('/').any(|part| part == "..") {
        return refuse("leads out of the project");
    }
    Ok(text.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/"))
}

/// The known name a user most likely meant: at most a third of its letters wrong.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    known
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_that_was_meant_and_no_other() {
        let known = ["cluster_name", "lb_port", "spot", "region", "operator_port"];
        for (written, meant) in [
            ("clustername", Some("cluster_name")),
            ("cluster-name", Some("cluster_name")),
            ("lbport", Some("lb_port")),
            ("Region", Some("region")),
            ("sport", Some("spot")),
            ("operater_port", Some("operator_port")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known.into_iter()), meant, "{written}");
        }
    }

    #[test]
    fn distance_counts_insertions_deletions_and_substitutions() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
