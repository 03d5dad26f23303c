//! What a cluster costs while nothing asks anything of it: everything AWS bills by the hour or the month, counted in the
//! desired [`Graph`], so that it can be shown before anything is made.
//!
//! Pure. Prices come in as [`Prices`]; one that is not known leaves its item "unknown" and makes the totals "at least".
//! What AWS bills by use cannot be counted beforehand and is named in [`Bill::not_included`].

mod charge;
mod count;
mod prices;
mod rows;

use serde::{Serialize, Serializer};

pub use charge::{Charge, NotACharge, Unit};
pub use prices::{Fallback, Origin, Price, PriceTable, Prices, embedded};
pub use rows::{COLUMNS, Row};

use crate::desired::Graph;

/// AWS's own month, of its price calculator.
pub const HOURS_PER_MONTH: f64 = 730.0;

/// In US dollars, without taxes, credits and discounts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    pub region: String,
    /// What is there all the time, then the node groups in the order of their names.
    pub items: Vec<Item>,
    /// Everything but the workers.
    pub fixed_per_hour: Amount,
    /// One more worker of each node group.
    pub workers: Vec<Worker>,
    pub per_hour: Amount,
    pub per_month: Amount,
    /// Billed by use.
    pub not_included: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    pub part: Part,
    /// For people, as in `public IPv4 addresses of nodes`.
    pub what: String,
    pub charge: Charge,
    pub unit: Unit,
    /// In units.
    pub quantity: Quantity,
    /// Of one unit. `None`: unknown.
    pub price: Option<Price>,
    /// The market decides, up to this price: spot instances.
    pub at_most: bool,
    pub per_hour: Amount,
}

/// What of the cluster an item belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    ControlPlane,
    LoadBalancers,
    Nat,
    NodeGroup(String),
}

/// From the least that the cluster has to the most it may have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantity {
    #[serde(serialize_with = "rounded")]
    pub min: f64,
    #[serde(serialize_with = "rounded")]
    pub max: f64,
}

/// US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Amount {
    #[serde(serialize_with = "rounded")]
    pub min: f64,
    #[serde(serialize_with = "rounded")]
    pub max: f64,
    /// Some price in it is unknown and counted as nothing.
    pub at_least: bool,
    /// Some price in it is the highest it may be.
    pub at_most: bool,
}

/// Instance, disk and, if nodes are public, address.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worker {
    pub node_group: String,
    pub per_hour: Amount,
}

/// What `graph` costs.
pub fn bill(graph: &Graph, prices: &dyn Prices) -> Bill {
    let counted = count::count(graph);
    let price = |counted: &count::Counted| item(counted, &graph.cluster.region, prices);
    let some = |counted: &&count::Counted| counted.quantity.max > 0.0;
    let items: Vec<Item> = counted.items.iter().filter(some).map(price).collect();
    let is_worker = |item: &&Item| matches!(item.part, Part::NodeGroup(_));
    let fixed_per_hour = sum(items.iter().filter(|item| !is_worker(item)));
    let workers = counted.workers.iter().map(|(group, parts)| Worker {
        node_group: group.clone(),
        per_hour: sum(parts.iter().filter(some).map(price).collect::<Vec<_>>().iter()),
    });
    let workers = workers.collect();
    let per_hour = sum(items.iter());
    let per_month = per_hour.times(HOURS_PER_MONTH);
    let region = graph.cluster.region.clone();
    Bill { region, items, fixed_per_hour, workers, per_hour, per_month, not_included: counted.not_included }
}

fn item(counted: &count::Counted, region: &str, prices: &dyn Prices) -> Item {
    let count::Counted { part, what, charges, quantity, at_most, limit } = counted;
    let charge = charges.first().expect("every count has something that is charged for").clone();
    let price = limit.clone().or_else(|| dearest(charges, region, prices));
    let at_most = *at_most;
    let unit = charge.unit();
    let cost = |count: f64, price: &Price| count * price.usd / unit.hours();
    let per_hour = match &price {
        Some(price) => {
            Amount { min: cost(quantity.min, price), max: cost(quantity.max, price), at_least: false, at_most }
        }
        None => Amount { at_least: true, ..Amount::default() },
    };
    Item {
        part: part.clone(),
        what: what.clone(),
        charge,
        unit,
        quantity: *quantity,
        price,
        at_most: at_most && !per_hour.at_least,
        per_hour,
    }
}

/// The highest price of any of these; unknown as soon as one is.
fn dearest(charges: &[Charge], region: &str, prices: &dyn Prices) -> Option<Price> {
    let all: Option<Vec<Price>> = charges.iter().map(|charge| prices.price(region, charge)).collect();
    all?.into_iter().max_by(|a, b| a.usd.total_cmp(&b.usd))
}

fn sum<'a>(items: impl Iterator<Item = &'a Item>) -> Amount {
    items.fold(Amount::default(), |sum, item| sum.plus(item.per_hour))
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            min: self.min + other.min,
            max: self.max + other.max,
            at_least: self.at_least || other.at_least,
            at_most: self.at_most || other.at_most,
        }
    }

    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { min: self.min * factor, max: self.max * factor, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e6).round() / 1e6)
}
