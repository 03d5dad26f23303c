//! Where prices come from: AWS's price list, asked by an adapter, or the table that is built in.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::Charge;

/// Prices of one unit, in US dollars.
pub trait Prices: Send + Sync {
    /// `None`: not known. Never a guess from another region.
    fn price(&self, region: &str, charge: &Charge) -> Option<Price>;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub usd: f64,
    pub from: Origin,
}

/// How far a price is to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// AWS's price list, when it was asked.
    Live { at: String },
    /// The built-in table: the day its source was right, and that source.
    Embedded { date: String, source: String },
    /// `max_price` of `cluster.yaml`.
    Configured,
}

/// Prices in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PriceTable(
    /// By region and charge, as it is written.
    BTreeMap<(String, String), Price>,
);

impl PriceTable {
    pub fn insert(&mut self, region: impl Into<String>, charge: &Charge, price: Price) {
        self.0.insert((region.into(), charge.to_string()), price);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn regions(&self) -> impl Iterator<Item = &str> {
        let mut regions: Vec<&str> = self.0.keys().map(|(region, _)| region.as_str()).collect();
        regions.dedup();
        regions.into_iter()
    }
}

impl FromIterator<((String, Charge), Price)> for PriceTable {
    fn from_iter<T: IntoIterator<Item = ((String, Charge), Price)>>(prices: T) -> Self {
        Self(prices.into_iter().map(|((region, charge), price)| ((region, charge.to_string()), price)).collect())
    }
}

impl Prices for PriceTable {
    fn price(&self, region: &str, charge: &Charge) -> Option<Price> {
        self.0.get(&(region.to_owned(), charge.to_string())).cloned()
    }
}

/// The second where the first does not know, price by price.
pub struct Fallback<'a>(pub &'a dyn Prices, pub &'a dyn Prices);

impl Prices for Fallback<'_> {
    fn price(&self, region: &str, charge: &Charge) -> Option<Price> {
        self.0.price(region, charge).or_else(|| self.1.price(region, charge))
    }
}

/// The built-in table. What it says, of which day, and what it does not know: `src/cost/prices.txt`.
pub fn embedded() -> &'static PriceTable {
    static TABLE: LazyLock<PriceTable> =
        LazyLock::new(|| read(include_str!("prices.txt")).expect("the built-in table has been read by a test"));
    &TABLE
}

/// The form is told at the head of the file.
fn read(text: &str) -> Result<PriceTable, String> {
    let (mut origins, mut table) = (BTreeMap::new(), PriceTable::default());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let wrong = || format!("not understood: {line}");
        let (name, rest) = line.split_once(' ').ok_or_else(wrong)?;
        if name == "source" {
            let [name, date, source] = *rest.splitn(3, ' ').collect::<Vec<_>>() else { return Err(wrong()) };
            origins.insert(name, Origin::Embedded { date: date.to_owned(), source: source.to_owned() });
            continue;
        }
        let from = origins.get(name).ok_or_else(wrong)?;
        let [regions, what, ref prices @ ..] = *rest.split(' ').collect::<Vec<_>>() else { return Err(wrong()) };
        let prefix = if what == "-" { "" } else { what };
        for pair in prices.chunks(2) {
            let [key, usd] = *pair else { return Err(wrong()) };
            let charge: Charge = format!("{prefix}{key}").parse().map_err(|_| wrong())?;
            let usd: f64 = usd.parse().map_err(|_| wrong())?;
            for region in regions.split(',') {
                let price = Price { usd, from: from.clone() };
                if table.0.insert((region.to_owned(), charge.to_string()), price).is_some() {
                    return Err(format!("twice: {charge} in {region}"));
                }
            }
        }
    }
    Ok(table)
}
