//! A value nobody may see by accident: `Debug` hides it, and it has neither `Display` nor `Serialize`.

use std::fmt;

#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The text with every value of a key that speaks of a secret overwritten by `*`, byte for byte, so that positions
/// stay true. Works on lines, since it must also work on text that is not YAML: what may quote a document
/// in an error message gets it from here.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut inside: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        let blank = line.trim().is_empty();
        if inside.is_some_and(|key| blank || indent > key) {
            stars(&mut masked, line);
            continue;
        }
        inside = None;
        match value_start(line) {
            Some(start) => {
                inside = Some(indent);
                masked.push_str(&line[..start]);
                stars(&mut masked, &line[start..]);
            }
            None => masked.push_str(line),
        }
    }
    masked
}

/// Where the value of a secret begins on this line: after the first colon behind the word.
fn value_start(line: &str) -> Option<usize> {
    let word = line.to_ascii_lowercase().find("secret")?;
    Some(word + line[word..].find(':')? + 1)
}

fn stars(to: &mut String, hidden: &str) {
    for c in hidden.chars() {
        if c.is_ascii_whitespace() {
            to.push(c);
        } else {
            to.extend(std::iter::repeat_n('*', c.len_utf8()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_value() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(Secret(***))");
    }

    #[test]
    fn masks_values_and_keeps_every_byte_in_its_place() {
        for (text, masked) in [
            ("a: 1\naws_secret_access_key: abc # x\nb: 2\n", "a: 1\naws_secret_access_key: *** * *\nb: 2\n"),
            ("aws_secret_access_key: |\n  abc\n\n  dé\nb: 2\n", "aws_secret_access_key: *\n  ***\n\n  ***\nb: 2\n"),
            ("{cortex_aws_secret_access_key: abc}", "{cortex_aws_secret_access_key: ****"),
            ("AWS_SECRET_KEY:abc", "AWS_SECRET_KEY:***"),
            ("secret without a colon", "secret without a colon"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(text).len(), text.len());
        }
    }
}
