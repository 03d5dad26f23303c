//! No text whatever makes the parsers panic, hang or point outside of the text.
#![expect(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use spec::{Invalid, cluster, realtime};

const EXAMPLE: &str = include_str!("../../../cluster.yaml.example");
const APIS: &str = "\
- name: digits
  kind: RealtimeAPI
  predictor: {type: onnx, path: model.onnx, env: {A: 'b'}, threads_per_process: 2}
  compute: {cpu: 500m, mem: 1Gi}
  networking:
    endpoint: /v1/digits
    max_in_flight: 8
  autoscaling: {min_replicas: 2, max_replicas: 2}
  update_strategy: {max_surge: 1, max_unavailable: 25%}
";

fn sane(text: &str, invalid: &Invalid) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    assert!(!invalid.problems().is_empty());
    assert!(!invalid.to_string().is_empty());
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none());
    assert!(!invalid.render(&handler).contains("Failed to read contents"), "{invalid}");
    for problem in invalid.problems() {
        assert!(problem.line >= 1 && problem.column >= 1);
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?} of {text:?}");
        assert!(problem.kind.starts_with("clusterconfig.") || problem.kind.starts_with("spec."));
    }
}

fn try_all(text: &str) {
    for result in [cluster::parse("c", text).map(drop), realtime::parse("a", text).map(drop)] {
        if let Err(invalid) = result {
            sane(text, &invalid);
        }
    }
}

/// All fields of both providers, in force.
fn everything() -> String {
    let (_, aws) = EXAMPLE.split_once("# ---- provider: aws").unwrap();
    let (_, aws) = aws.split_once("\n\n").unwrap();
    aws.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text(text in any::<String>()) {
        try_all(&text);
    }

    #[test]
    fn anything_made_of_yaml(parts in prop::collection::vec(prop::sample::select(PARTS), 0..40)) {
        try_all(&parts.concat());
    }

    #[test]
    fn mutations_of_good_files(
        which in 0..4usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, prop::sample::select(PARTS)), 1..6),
    ) {
        let mut text = [EXAMPLE.to_owned(), APIS.to_owned(), everything(), EXAMPLE.replace("# ", "")][which].clone();
        for (at, cut, put) in edits {
            let mut from = at.index(text.len() + 1);
            while !text.is_char_boundary(from) { from -= 1; }
            let mut to = (from + cut).min(text.len());
            while !text.is_char_boundary(to) { to += 1; }
            text.replace_range(from..to, put);
        }
        try_all(&text);
    }
}

const PARTS: &[&str] = &[
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    ": ",
    ":",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "'",
    "\"",
    "#",
    " # x\n",
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "|\n",
    ">\n",
    "\t",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "null",
    "~",
    "true",
    "1",
    "-1",
    "1e400",
    ".nan",
    "99999999999999999999",
    "0x1F",
    "name: a\n",
    "kind: RealtimeAPI\n",
    "provider: local\n",
    "node_groups:\n",
    "é",
    "\u{feff}",
    "\r\n",
    "? ",
    "predictor:\n",
    "lb_port: ",
    "tags:\n",
    "\0",
    "region: us-east-1\n",
];

#[test]
fn documents_that_are_not_one_mapping_or_list() {
    let many_aliases = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{refs}]\n");
        }
        text
    };
    for (text, position, kind) in [
        ("", (1, 1), "empty_document"),
        ("# only a comment\n", (1, 1), "empty_document"),
        ("---\n", (1, 1), "empty_document"),
        ("a: 1\n---\nb: 2\n", (3, 1), "multiple_documents"),
        ("provider: local\n\tlb_port: 1\n", (2, 1), "syntax_error"),
        ("a:\n\tb: 1\n", (2, 1), "syntax_error"),
        ("a: b: c\n", (1, 5), "syntax_error"),
        ("a: [1, 2\n", (1, 4), "syntax_error"),
        ("a: *nothing\n", (1, 4), "syntax_error"),
        ("a: \"unterminated\n", (1, 4), "syntax_error"),
        ("just text", (1, 1), "wrong_type"),
        ("- a\n- b\n", (1, 1), "wrong_type"),
        ("provider: local\nprovider: local\n", (2, 1), "duplicate_key"),
        (&"[".repeat(1000), (1, 33), "too_large"),
        (&"#".repeat((1 << 20) + 1), (1, 1), "too_large"),
        (&many_aliases, (4, 45), "too_large"),
    ] {
        let invalid = cluster::parse("c", text).unwrap_err();
        sane(text, &invalid);
        let shown = &text[..text.len().min(40)];
        let problem = &invalid.problems()[0];
        assert_eq!(problem.kind, format!("clusterconfig.{kind}"), "{shown:?}: {invalid}");
        assert_eq!((problem.line, problem.column), position, "{shown:?}: {invalid}");
    }
}

#[test]
fn aliases_and_merge_keys_work() {
    let text = "\
- &first {name: a, kind: RealtimeAPI, predictor: {type: onnx, path: m.onnx}}
- {<<: *first, name: b}
";
    let names: Vec<String> = realtime::parse("a", text).unwrap().into_iter().map(|api| api.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "\u{feff}provider: local\r\nlb_port: 70000\r\n";
    let invalid = cluster::parse("c", text).unwrap_err();
    assert_eq!((invalid.problems()[0].line, invalid.problems()[0].column), (2, 10));
    sane(text, &invalid);
}

#[test]
fn secrets_are_not_quoted() {
    for text in [
        "provider: aws\naws_secret_access_key: [hunter2]\n",
        "aws_secret_acces_key: hunter2\nregion: x\n",
        "aws_secret_access_key: hunter2\naws_secret_access_key: hunter2: x\n",
        "aws_secret_access_key: |\n  hunter2\nregion: 5\n",
        "aws_secret_access_key:\n- hunter2\n",
    ] {
        let invalid = cluster::parse("c", text).unwrap_err();
        let rendered = invalid.render(&miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::none()));
        for said in [rendered, invalid.to_string(), format!("{invalid:?}")] {
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
