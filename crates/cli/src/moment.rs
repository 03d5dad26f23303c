//! Moments as people type them: so long ago, or a date.

use std::str::FromStr;

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment in the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(pub OffsetDateTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ago) = duration(text) {
            let moment = OffsetDateTime::now_utc().checked_sub(ago);
            return moment.map(Self).ok_or_else(|| format!("`{text}` is too long ago"));
        }
        OffsetDateTime::parse(text, &Rfc3339).map(Self).map_err(|_| {
            format!("`{text}` is neither a time like `90m`, `24h` or `7d` nor a moment like `2026-01-31T12:00:00Z`")
        })
    }
}

/// A number and a unit: `s`, `m`, `h`, `d` or `w`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a time: write a number and one of s, m, h, d, w, for example `24h`");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| refuse())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(refuse()),
    };
    number.checked_mul(seconds).map(Duration::seconds).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_moments_are_read() {
        for (text, seconds) in [("0s", 0), ("90m", 5400), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)] {
            assert_eq!(duration(text), Ok(Duration::seconds(seconds)), "{text}");
        }
        for text in ["", "h", "24", "24 h", "-1h", "1.5h", "1y", "1H", "99999999999999999w"] {
            assert!(duration(text).is_err(), "{text}");
        }
        let moment: Moment = "2026-01-31T12:00:00Z".parse().expect("a moment");
        assert_eq!(moment.0, time::macros::datetime!(2026-01-31 12:00 UTC));
        let ago: Moment = "1h".parse().expect("a moment");
        assert!((OffsetDateTime::now_utc() - ago.0 - Duration::HOUR).abs() < Duration::MINUTE);
        for text in ["yesterday", "2026-01-31", "999999999w"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
