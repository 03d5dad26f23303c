//! What kind of answer whoever asks would like best.

use http::{HeaderMap, header::ACCEPT};

/// Browsers name HTML; a client that takes whatever there is gets JSON, as does one that likes JSON as much.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let quality = |wanted: &str| {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let of_range = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
            weight.filter(|_| named)
        };
        values.flat_map(|value| value.split(',')).filter_map(of_range).fold(0.0, f32::max)
    };
    quality("text/html") > quality("application/json")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_is_for_those_who_ask_for_one() {
        for (accept, page) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/html"), true),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("application/json, text/html"), false),
            (Some("application/json;q=0.5, TEXT/HTML;q=0.9"), true),
            (Some("application/json, text/html;q=0.9"), false),
            (Some("text/html;q=0"), false),
            (Some("text/html;q=x"), false),
        ] {
            let headers = accept.map(|accept| (ACCEPT, HeaderValue::from_str(accept).unwrap()));
            assert_eq!(prefers_html(&headers.into_iter().collect()), page, "{accept:?}");
        }
    }
}
