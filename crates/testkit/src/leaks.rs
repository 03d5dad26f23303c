//! Secrets where none may be: in what commands say, and in what processes log.
//!
//! Every test that runs `cortex` looks for them, whatever it is about, and on one machine every process is at its most talkative.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What keys and tokens begin with, and how many letters and digits follow at least. Shorter ones are names in prose.
const FORMS: [(&str, usize); 4] = [("ctxapi_", 49), ("ctxadm_", 49), ("ctxses_", 40), ("Cortex-V1 ", 40)];

/// The beginning of a secret in the text: of one that has a form of ours, or of one of these.
pub fn find(text: &str, known: &[&str]) -> Option<String> {
    let formed = FORMS.iter().find_map(|(prefix, length)| {
        text.match_indices(prefix).find_map(|(at, _)| {
            let rest = &text[at + prefix.len()..];
            let run = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count();
            (run >= *length).then(|| format!("{prefix}{}...", &rest[..6]))
        })
    });
    formed.or_else(|| {
        let known = known.iter().find(|secret| secret.len() >= 16 && text.contains(**secret));
        known.map(|secret| format!("{}...", &secret[..6]))
    })
}

/// Files below a directory whose name ends in `.log`, or which are called `log`, with a secret in them.
pub fn in_logs(directory: &Path, known: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() && is_log(&path) {
                let text = fs::read(&path).unwrap_or_default();
                let leak = find(&String::from_utf8_lossy(&text), known);
                found.extend(leak.map(|leak| (path, leak)));
            }
        }
    }
    found
}

fn is_log(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "log" || name.split('.').any(|part| part == "log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_prose_is_not() {
        let key = format!("ctxapi_{}", "a1".repeat(25));
        assert!(find(&format!("the key {key} is"), &[]).is_some());
        assert!(find(&format!("Authorization: Cortex-V1 {}", "eyJh".repeat(20)), &[]).is_some());
        assert!(find("known to nobody: 0123456789abcdef", &["0123456789abcdef"]).is_some());
        for prose in ["a key begins with ctxapi_", "`Authorization: Cortex-V1 ...`", "ctxapi_abc and ctxadm_"] {
            assert_eq!(find(prose, &["0123456789abcdef", ""]), None, "{prose}");
        }
    }

    #[test]
    fn logs_are_searched_wherever_they_lie() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("r/1");
        fs::create_dir_all(&below).expect("made");
        fs::write(below.join("log.1"), format!("x ctxadm_{}", "Z".repeat(49))).expect("written");
        fs::write(below.join("admin-token"), format!("ctxadm_{}", "Z".repeat(49))).expect("written");
        fs::write(directory.path().join("node.log"), "nothing").expect("written");
        let found = in_logs(directory.path(), &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.ends_with("log.1"));
    }
}
