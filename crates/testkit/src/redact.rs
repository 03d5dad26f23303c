//! Takes out of an output what differs from run to run, so that all the rest can be compared.

use std::sync::LazyLock;

use regex::Regex;

/// In this order: the first to match a piece of text decides.
const RULES: [(&str, &str); 13] = [
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[UUID]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[TIME]"),
    (r"\b[0-9a-f]{64}\b", "[SHA256]"),
    (r"\b[0-9a-f]{32}\b", "[HASH]"),
    (r"\b(localhost|127\.0\.0\.1|\[::1\]):\d+", "$1:[PORT]"),
    (r"\(\d+\.\d s\)", "([SECONDS] s)"),
    (r#""seconds": [0-9.e-]+"#, r#""seconds": [SECONDS]"#),
    // In a table, where what follows depends on how long it is.
    (r"\b\d+[smhd] ago {2,}", "[AGO]   "),
    (r"\b\d+[smhd] ago", "[AGO]"),
    (r"\(process \d+\)", "(process [PID])"),
    (r#""pid": \d+"#, r#""pid": [PID]"#),
    (r#""updated_at": "[^"]*""#, r#""updated_at": "[TIME]""#),
    (r"\b[0-9a-f]{8}\b", "[REPLICA]"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |pattern: &str| Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    RULES.iter().map(|(pattern, replacement)| (compile(pattern), *replacement)).collect()
});

/// `root` is the directory that the test lives in.
pub fn redact(root: &str, text: &str) -> String {
    let mut text = text.replace(root, "[ROOT]");
    for (pattern, replacement) in COMPILED.iter() {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn only_what_varies_is_replaced() {
        let text = "/tmp/x/a at https://localhost:41713/echo, 12s ago, 1a2b3c4d ready (0.1 s), 1.5 MB, 3 of 12";
        assert_eq!(
            redact("/tmp/x", text),
            "[ROOT]/a at https://localhost:[PORT]/echo, [AGO], [REPLICA] ready ([SECONDS] s), 1.5 MB, 3 of 12"
        );
    }
}
