//! What may be typed about API keys.

use api::api_keys::{ApiKeyKind, Expiry};
use clap::{Args, Subcommand, ValueEnum};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use super::{Printed, Target};
use crate::moment::seconds;

#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// Make a key and print its value.
    Create(ApiKeyCreate),
    /// Show all keys, without their values.
    List {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        printed: Printed,
    },
    /// Print the value of a key.
    Get {
        /// Name of the key; if it is left out, one for all APIs: the one made with the cluster, if it is there.
        name: Option<String>,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        printed: Printed,
    },
    /// Give a key a new value and print it; the former one goes on working for a while.
    Rotate(ApiKeyRotate),
    /// End a key at once; requests that have begun are answered.
    Revoke {
        name: String,
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        printed: Printed,
    },
}

#[derive(Debug, Args)]
pub struct ApiKeyCreate {
    /// Lower-case letters, digits and dashes.
    pub name: String,
    /// What the key opens.
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub kind: Kind,
    /// An API that the key is for; may be repeated. All of them if it is left out.
    #[arg(long = "api", value_name = "API")]
    pub apis: Vec<String>,
    /// When the key ends: after a time (`90d`; s, m, h, d, w), or on a day (`2027-01-31`, or with its time, RFC 3339).
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub expires: Option<Expiry>,
    /// Who or what the key is for.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub description: String,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct ApiKeyRotate {
    pub name: String,
    /// How much longer the former values work (s, m, h, d, w); `0s` ends them at once.
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = seconds)]
    pub overlap: u64,
    /// A new end of the key, as in `create`; as it was if it is left out.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub expires: Option<Expiry>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Kind {
    /// All APIs, and what `monitor` opens.
    Admin,
    /// APIs: all, or those named with `--api`.
    #[default]
    Api,
    /// What gateways tell of themselves; no API.
    Monitor,
}

impl From<Kind> for ApiKeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Admin => Self::Admin,
            Kind::Api => Self::Api,
            Kind::Monitor => Self::Monitor,
        }
    }
}

impl ApiKey {
    pub(super) fn printed(&self) -> &Printed {
        match self {
            Self::Create(ApiKeyCreate { printed, .. })
            | Self::Rotate(ApiKeyRotate { printed, .. })
            | Self::List { printed, .. }
            | Self::Get { printed, .. }
            | Self::Revoke { printed, .. } => printed,
        }
    }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Expiry::At(time));
    }
    if let Ok(day) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Ok(Expiry::At(day.midnight().assume_utc()));
    }
    seconds(text).map(Expiry::In).map_err(|_| {
        "write how long (90d; the units are s, m, h, d and w) or a day (2027-01-31, which begins at midnight UTC)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_have_a_unit_and_days_begin_at_midnight() {
        for (text, expected) in
            [("0s", 0), ("90s", 90), ("15m", 900), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
            assert_eq!(expiry(text), Ok(Expiry::In(expected)), "{text}");
        }
        assert_eq!(expiry("2027-01-31"), Ok(Expiry::At(datetime!(2027-01-31 0:00 UTC))));
        assert_eq!(expiry("2027-01-31T12:30:00+02:00"), Ok(Expiry::At(datetime!(2027-01-31 10:30 UTC))));
        for bad in
            ["", "d", "90", "90x", "-1d", "1.5h", "90 d", "2027-13-01", "tomorrow", "99999999999999999999w", "1é"]
        {
            assert!(seconds(bad).is_err() && expiry(bad).is_err(), "{bad}");
        }
    }
}
