//! Is there a Chromium for the tests that look through one? They find it as `crates/testkit/src/browser.rs` says.

use std::env;

const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

pub(crate) fn is_missing() -> bool {
    if env::var_os("CORTEX_TEST_BROWSER").is_some() {
        return false;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    !env::split_paths(&path).any(|directory| NAMES.iter().any(|name| directory.join(name).is_file()))
}
