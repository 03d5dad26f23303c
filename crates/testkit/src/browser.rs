//! A real browser: Chromium without a window, which loads one page and hands over what the page has become, or does with it what
//! a person would ([`Tab`]).

mod devtools;

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use tokio::process::Command;

pub use devtools::Tab;

/// Names of the program, as distributions and Google have them.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
/// Starting takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The page at that address as it is (HTML) once its scripts have nothing more to do for `settle` of the page's own time.
/// The browser believes certificates of the authority in `ca_pem`, besides those that everybody does, and keeps all it
/// writes in `scratch`.
pub async fn page(url: &str, ca_pem: &str, scratch: &Path) -> String {
    let (options, profile) = arguments(ca_pem, scratch);
    let mut command = Command::new(program());
    command
        .args(options)
        .arg("--dump-dom")
        // Pages of this machine ask servers of this machine.
        .arg("--virtual-time-budget=20000")
        .arg(url)
        .env("HOME", &profile)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("the browser did not end within {PATIENCE:?}"));
    let output = output.unwrap_or_else(|error| panic!("the browser does not start: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "the browser failed ({}):\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// What it is always started with, and its directory.
fn arguments(ca_pem: &str, scratch: &Path) -> (Vec<String>, PathBuf) {
    let profile = scratch.join("browser");
    fs::create_dir_all(&profile).unwrap_or_else(|error| panic!("{}: {error}", profile.display()));
    let fixed = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
    // Containers let nobody make the name spaces that its sandbox takes; the page is the test's own.
    let here = ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"];
    let own = [
        format!("--user-data-dir={}", profile.display()),
        format!("--ignore-certificate-errors-spki-list={}", public_key(ca_pem)),
    ];
    (fixed.into_iter().chain(here).map(str::to_owned).chain(own).collect(), profile)
}

/// `CORTEX_TEST_BROWSER`, or what is on the `PATH`.
fn program() -> OsString {
    if let Some(program) = env::var_os("CORTEX_TEST_BROWSER") {
        return program;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = NAMES.iter().flat_map(|name| env::split_paths(&path).map(move |directory| directory.join(name)));
    found.into_iter().find(|program| program.is_file()).map(OsString::from).unwrap_or_else(|| {
        panic!(
            "there is no Chromium on the PATH; try `sudo apt-get install chromium` (Debian, Ubuntu) or `sudo dnf install \
             chromium` (Fedora), or name one in CORTEX_TEST_BROWSER"
        )
    })
}

/// Base64 of the SHA-256 of the authority's public key with its algorithm: how Chromium names it.
fn public_key(pem: &str) -> String {
    let sha256 = transport::public_key_sha256(pem).unwrap_or_else(|error| panic!("the authority: {error}"));
    STANDARD.encode(hex::decode(sha256).expect("it is hex"))
}
