//! Times as people type them: how long, or when.

use std::str::FromStr;

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment in the past: so long ago, or a date.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(pub OffsetDateTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ago) = seconds(text) {
            let ago = i64::try_from(ago).map(Duration::seconds).ok();
            let moment = ago.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago));
            return moment.map(Self).ok_or_else(|| format!("`{text}` is too long ago"));
        }
        OffsetDateTime::parse(text, &Rfc3339).map(Self).map_err(|_| {
            format!("`{text}` is neither a time like `90m`, `24h` or `7d` nor a moment like `2026-01-31T12:00:00Z`")
        })
    }
}

/// A whole number and its unit: `s`, `m`, `h`, `d` or `w`.
pub fn seconds(text: &str) -> Result<u64, String> {
    let parsed = || {
        let unit = text.chars().last()?;
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        let of_unit = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        number.checked_mul(of_unit)
    };
    parsed().ok_or_else(|| "write a whole number with its unit: 30s, 15m, 24h, 90d or 2w".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_a_time_or_a_moment() {
        let moment: Moment = "2026-01-31T12:00:00Z".parse().expect("a moment");
        assert_eq!(moment.0, time::macros::datetime!(2026-01-31 12:00 UTC));
        let ago: Moment = "2h".parse().expect("a moment");
        assert!((OffsetDateTime::now_utc() - ago.0 - Duration::hours(2)).abs() < Duration::MINUTE);
        for text in ["yesterday", "2026-01-31", "", "999999999w", "30000000000000w"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
