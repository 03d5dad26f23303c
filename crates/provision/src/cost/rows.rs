//! A bill as the cells of a table, for whoever prints it.

use serde::Serialize;

use super::{Amount, Bill, HOURS_PER_MONTH, Item, Origin, Part, Price, Quantity};

/// The heads of the cells of [`Row`].
pub const COLUMNS: [&str; 7] = ["for", "what", "quantity", "unit price", "per hour", "per month", "price of"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub part: String,
    pub what: String,
    pub quantity: String,
    pub unit_price: String,
    pub per_hour: String,
    pub per_month: String,
    pub price_of: String,
}

impl Bill {
    /// A row for each item, then what is always there, each further worker, and everything together.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.items.iter().map(row).collect();
        rows.push(total("without workers".to_owned(), self.fixed_per_hour));
        let workers = self.workers.iter();
        rows.extend(workers.map(|worker| total(format!("each worker of {}", worker.node_group), worker.per_hour)));
        rows.push(total("all".to_owned(), self.per_hour));
        rows
    }

    /// Everything together, for a sentence.
    pub fn in_short(&self) -> String {
        let (per_hour, per_month) = both(self.per_hour);
        format!("{per_hour} US dollars an hour, {per_month} a month")
    }
}

impl Row {
    /// In the order of [`COLUMNS`].
    pub fn cells(&self) -> [&str; 7] {
        let Self { part, what, quantity, unit_price, per_hour, per_month, price_of } = self;
        [part, what, quantity, unit_price, per_hour, per_month, price_of]
    }
}

fn row(item: &Item) -> Row {
    let unit = item.unit.as_str();
    let per = match &item.price {
        Some(price) if item.at_most => format!("at most {} / {unit}", decimal(price.usd)),
        Some(price) => format!("{} / {unit}", decimal(price.usd)),
        None => "unknown".to_owned(),
    };
    let (per_hour, per_month) = match item.price {
        Some(_) => both(item.per_hour),
        None => ("unknown".to_owned(), "unknown".to_owned()),
    };
    Row {
        part: part(&item.part),
        what: item.what.clone(),
        quantity: quantity(item.quantity),
        unit_price: per,
        per_hour,
        per_month,
        price_of: item.price.as_ref().map(price_of).unwrap_or_default(),
    }
}

fn total(what: String, amount: Amount) -> Row {
    let (per_hour, per_month) = both(amount);
    let empty = String::new;
    Row {
        part: "total".to_owned(),
        what,
        quantity: empty(),
        unit_price: empty(),
        per_hour,
        per_month,
        price_of: empty(),
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::ControlPlane => "control plane".to_owned(),
        Part::LoadBalancers => "load balancers".to_owned(),
        Part::Nat => "NAT".to_owned(),
        Part::NodeGroup(name) => format!("node group {name}"),
    }
}

fn price_of(price: &Price) -> String {
    match &price.from {
        Origin::Live { at } => format!("{at} (AWS)"),
        Origin::Embedded { date, .. } => format!("{date} (built in)"),
        Origin::Configured => "max_price".to_owned(),
    }
}

fn quantity(quantity: Quantity) -> String {
    between(decimal(quantity.min), decimal(quantity.max))
}

fn both(per_hour: Amount) -> (String, String) {
    (per_hour.text(4), per_hour.times(HOURS_PER_MONTH).text(2))
}

impl Amount {
    /// Where something is unknown and something else is a limit, neither bound is one.
    fn text(self, digits: usize) -> String {
        let text = between(format!("{:.digits$}", self.min), format!("{:.digits$}", self.max));
        match (self.at_least, self.at_most) {
            (true, true) => format!("about {text}, and what is unknown"),
            (true, false) => format!("at least {text}"),
            (false, true) => format!("at most {text}"),
            (false, false) => text,
        }
    }
}

fn between(min: String, max: String) -> String {
    if min == max { min } else { format!("{min} - {max}") }
}

/// Without trailing zeros.
fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
