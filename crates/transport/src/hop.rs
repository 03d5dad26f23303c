//! What of a message's headers is for the next hop only.

use http::{HeaderMap, HeaderName, header::CONNECTION};

/// Removes what is about this connection and not about the message (RFC 9110, 7.6.1). `Trailer`
/// stays: it is about the message.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_fields(headers, |_| false);
}

/// Removes all that is about this connection, and the fields with such names, in one pass: mostly there is nothing to remove.
pub fn remove_fields(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    let unwanted = |name: &&HeaderName| is_hop_by_hop(name.as_str()) || unwanted(name.as_str());
    let found: Vec<HeaderName> = headers.keys().filter(unwanted).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade")
}
