//! What may be typed about web pages.

use clap::{Args, Subcommand};

use super::{Printed, Target};

#[derive(Debug, Subcommand)]
pub enum Cors {
    /// Say which pages may call, in place of what was said before.
    Set(CorsSet),
    /// Show which pages may call.
    Get {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        printed: Printed,
    },
    /// Take back what was set: an API goes by the cluster's setting, and the cluster by none.
    Unset(CorsUnset),
}

#[derive(Debug, Args)]
pub struct CorsSet {
    /// Only for this API; for all that have no setting of their own if it is left out.
    #[arg(long, value_name = "NAME")]
    pub api: Option<String>,
    /// Origin of pages (`https://example.com`, `http://localhost:3000`), or `*` for all pages; may be repeated.
    #[arg(long = "origin", value_name = "ORIGIN", required_unless_present = "none")]
    pub origins: Vec<String>,
    /// No page may call; for an API of a cluster whose setting lets some.
    #[arg(long, conflicts_with = "origins")]
    pub none: bool,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Args)]
pub struct CorsUnset {
    /// Only for this API; the cluster's setting if it is left out.
    #[arg(long, value_name = "NAME")]
    pub api: Option<String>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub printed: Printed,
}

impl Cors {
    pub(super) fn printed(&self) -> &Printed {
        match self {
            Self::Set(CorsSet { printed, .. }) | Self::Get { printed, .. } | Self::Unset(CorsUnset { printed, .. }) => {
                printed
            }
        }
    }
}
