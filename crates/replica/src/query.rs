//! The query string as a predictor sees it: `application/x-www-form-urlencoded` (URL Standard, section 5).

use percent_encoding::percent_decode_str;

/// Pairs in the order sent; a part without `=` has an empty value; what is not UTF-8 becomes U+FFFD.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    let part = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (part(key), part(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn decodes_in_order() {
        let got = pairs("b=1&a=x%20y+z&a=&flag&&%C3%A9=%ff");
        let want = [("b", "1"), ("a", "x y z"), ("a", ""), ("flag", ""), ("é", "\u{fffd}")];
        assert_eq!(got, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(pairs("").is_empty());
    }
}
