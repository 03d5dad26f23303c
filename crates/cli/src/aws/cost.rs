//! What a cluster would cost, as it is shown.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_infra::live_prices;
use provision::{
    cost::{Bill, COLUMNS, Charge, Fallback, Price, PriceTable, Prices, bill, embedded},
    desired::Graph,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::account::Account;
use crate::{home::Home, output::table};

/// How long AWS's price list may take to answer. Nobody waits for a table.
const PATIENCE: Duration = Duration::from_secs(4);
/// Prices change a few times a year.
const GOOD_FOR: time::Duration = time::Duration::days(7);

/// By AWS's price list, else by what it said within the last days, else by the built-in table; each price says which.
pub async fn estimate(account: &Account, graph: &Graph) -> Bill {
    let charges = charges(graph);
    let mut cache = Cache::open(&account.region);
    let missing: Vec<Charge> =
        charges.iter().filter(|charge| cache.table().price(&account.region, charge).is_none()).cloned().collect();
    if !missing.is_empty() {
        let now = OffsetDateTime::now_utc();
        let today = now.date().to_string();
        let asked = live_prices(&account.clients, &account.region, &missing, &today);
        if let Ok(live) = tokio::time::timeout(PATIENCE, asked).await {
            cache.extend(&account.region, &missing, &live, now);
        }
    }
    bill(graph, &Fallback(&cache.table(), embedded()))
}

/// Everything that a bill needs a price of.
fn charges(graph: &Graph) -> Vec<Charge> {
    struct Asked(Mutex<BTreeSet<String>>);
    impl Prices for Asked {
        fn price(&self, _: &str, charge: &Charge) -> Option<Price> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(charge.to_string());
            None
        }
    }
    let asked = Asked(Mutex::default());
    bill(graph, &asked);
    let asked = asked.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    asked.iter().filter_map(|charge| charge.parse().ok()).collect()
}

/// What AWS has said, in a file of the user's. It is no harm if it cannot be read or written.
#[derive(Default)]
struct Cache {
    file: Option<PathBuf>,
    region: String,
    known: Vec<Known>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Known {
    charge: Charge,
    price: Price,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Cache {
    fn open(region: &str) -> Self {
        let file = Home::find().ok().map(|home| home.prices().join(format!("{region}.json")));
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let mut known: Vec<Known> = serde_json::from_str(&text).unwrap_or_default();
        let now = OffsetDateTime::now_utc();
        known.retain(|known| known.at <= now && now - known.at < GOOD_FOR);
        Self { file, region: region.to_owned(), known }
    }

    fn table(&self) -> PriceTable {
        let of = |known: &Known| ((self.region.clone(), known.charge.clone()), known.price.clone());
        self.known.iter().map(of).collect()
    }

    fn extend(&mut self, region: &str, charges: &[Charge], live: &PriceTable, at: OffsetDateTime) {
        let known = charges.iter().filter_map(|charge| {
            let price = live.price(region, charge)?;
            Some(Known { charge: charge.clone(), price, at })
        });
        let before = self.known.len();
        self.known.extend(known);
        if let (Some(file), true) = (&self.file, self.known.len() > before)
            && let Ok(text) = serde_json::to_string(&self.known)
        {
            let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text));
            if let Err(error) = written {
                tracing::debug!(%error, file = %file.display(), "the prices were not kept");
            }
        }
    }
}

pub fn show(bill: &Bill) -> String {
    let rows = bill.rows();
    let cells = rows.iter().map(|row| row.cells().map(str::to_owned));
    format!("{}\nnot in it: {}", table(COLUMNS, cells), bill.not_included.join("; "))
}
