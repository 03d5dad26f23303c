//! Amounts of processor and memory, and shares of replicas, in Kubernetes' notation as the old product took it.
//! Computed in whole numbers: what a user wrote is never rounded.

use super::{Share, rules, written::Amount};
use crate::problem::Refusal;

/// Powers of ten (`K`, `M`, ...) and of two (`Ki`, `Mi`, ...), longest suffix first.
const MEMORY_UNITS: &[(&str, u64)] = &[
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("", 1),
];

/// Thousandths of a core.
pub(super) fn cpu(amount: Amount) -> Result<u32, Refusal> {
    let text = amount.to_string();
    let millis = match text.strip_suffix('m') {
        Some(millis) => millis.parse().ok().filter(|_| !millis.starts_with('+')),
        None => decimal(&text, 1000),
    };
    let millis: u64 = millis.ok_or_else(|| {
        Refusal::invalid(format!("`{text}` is not an amount of processor"))
            .help("cores with at most three decimals such as 1 or 0.5, or thousandths such as 500m")
    })?;
    let millis = u32::try_from(millis).map_err(|_| Refusal::range(format!("{text} is more than any machine has")))?;
    rules::cpu_millis(millis).map(|()| millis)
}

/// Thousandths of a second.
pub(super) fn batch_interval(amount: Amount) -> Result<u32, Refusal> {
    let text = amount.to_string();
    let millis = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => decimal(millis, 1),
        (None, Some(seconds)) => decimal(seconds, 1000),
        (None, None) => decimal(&text, 1000),
    };
    let millis = millis.ok_or_else(|| {
        Refusal::invalid(format!("`{text}` is not a time in whole milliseconds"))
            .help("seconds such as 0.01, or a text such as 10ms")
    })?;
    let millis = u32::try_from(millis).unwrap_or(u32::MAX);
    rules::batch_interval(millis).map(|()| millis)
}

/// Bytes.
pub(super) fn memory(amount: Amount) -> Result<u64, Refusal> {
    let text = amount.to_string();
    let bytes = MEMORY_UNITS.iter().find_map(|(suffix, unit)| decimal(text.strip_suffix(suffix)?, *unit));
    let bytes = bytes.ok_or_else(|| {
        Refusal::invalid(format!("`{text}` is not an amount of memory")).help("for example 512Mi or 1.5Gi")
    })?;
    rules::mem_bytes(bytes).map(|()| bytes)
}

/// A non-negative decimal times `unit`, if that is a whole number.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') || fraction.len() > 18 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let number = whole.parse::<u128>().ok()?.checked_mul(scale)? + fraction.parse::<u128>().unwrap_or(0);
    let product = number.checked_mul(u128::from(unit))?;
    (product % scale == 0).then(|| u64::try_from(product / scale).ok()).flatten()
}

/// A count of replicas, or a percentage of them.
pub(super) fn share(amount: Amount) -> Result<Share, Refusal> {
    let share = match &amount {
        Amount::Whole(count) => u32::try_from(*count).ok().map(Share::Count),
        Amount::Fraction(_) => None,
        Amount::Text(text) => match text.strip_suffix('%') {
            Some(percent) => decimal(percent, 1).and_then(|p| u32::try_from(p).ok()).map(Share::Percent),
            None => decimal(text, 1).and_then(|count| u32::try_from(count).ok()).map(Share::Count),
        },
    };
    let share = share.ok_or_else(|| {
        Refusal::invalid(format!("`{amount}` is neither a number of replicas nor a percentage"))
            .help("for example 1 or 25%")
    })?;
    rules::share(share).map(|()| share)
}
