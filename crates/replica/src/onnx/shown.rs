//! What a caller wrote, in what he is told: on one line, and no longer than needs be to recognise it.

use std::fmt;

/// In characters.
const LONGEST: usize = 64;

pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(LONGEST) {
            write!(f, "{}", character.escape_debug())?;
        }
        if characters.next().is_some() { f.write_str("...") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_names_are_short_and_plain() {
        assert_eq!(Shown("pixels").to_string(), "pixels");
        assert_eq!(Shown("a\nb").to_string(), "a\\nb");
        assert_eq!(Shown(&"é".repeat(LONGEST)).to_string(), "é".repeat(LONGEST));
        assert_eq!(Shown(&"x".repeat(1 << 20)).to_string(), "x".repeat(LONGEST) + "...");
    }
}
