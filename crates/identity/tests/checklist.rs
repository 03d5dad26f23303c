//! The table of `docs/security/identity.md`, held against the tests: it names no test that is not there, and leaves out none
//! that says which row it is for.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where the tests that the table names may be.
const PLACES: [&str; 5] = [
    "crates/identity/tests/sts",
    "crates/identity/src",
    "crates/operator/tests",
    "crates/operator/src",
    "crates/transport/tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `file::test` of every test in those places.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    for place in PLACES {
        sources(&root().join(place), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let (text, module) =
            (fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_str().unwrap().to_owned());
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn "))
                && std::mem::take(&mut is_test)
            {
                tests.insert(format!("{module}::{}", rest.split('(').next().unwrap()));
            }
        }
    }
    tests
}

/// The tests of each row.
fn table() -> BTreeMap<u8, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("docs/security/identity.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix('|')?.split(" | ").collect();
        let number = cells.first()?.parse().ok()?;
        let names = cells.last()?.split('`').map(str::trim).filter(|name| name.contains("::"));
        Some((number, names.map(str::to_owned).collect()))
    });
    rows.collect()
}

/// Of `row_07_…` and `rows_06_07_…`.
fn rows_in(test: &str) -> Vec<u8> {
    let name = test.split("::").last().unwrap();
    let numbers = name.strip_prefix("rows_").or(name.strip_prefix("row_")).unwrap_or("");
    numbers.split('_').map_while(|number| number.parse().ok()).collect()
}

#[test]
fn every_test_that_the_table_names_exists() {
    let (tests, table) = (tests(), table());
    assert_eq!(table.keys().copied().collect::<Vec<_>>(), (1..=32).collect::<Vec<_>>());
    for (row, named) in table {
        assert!(!named.is_empty(), "row {row} has no test");
        for name in named {
            assert!(tests.contains(&name), "row {row}: there is no test {name}");
        }
    }
}

#[test]
fn every_test_that_names_a_row_is_in_the_table() {
    let table = table();
    let mut found = 0;
    for test in tests() {
        for row in rows_in(&test) {
            assert!(table[&row].contains(&test), "row {row} lacks {test}");
            found += 1;
        }
    }
    assert!(found > 40, "{found} tests that name a row");
}
