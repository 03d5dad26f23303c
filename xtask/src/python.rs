//! Is there a Python that can make virtual environments, and if not, which package is it?
//!
//! Predictors run in virtual environments, and the ONNX Runtime library comes out of a wheel. Linux distributions split
//! Python up, so each missing part has its own package.

use std::{fs, process::Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// The oldest Python for which the requirements of the examples and the tests have wheels.
const OLDEST: (u64, u64) = (3, 11);

const PROBE: &str = "
import importlib.util, json, sys
missing = [name for name in ('venv', 'ensurepip', 'pip') if importlib.util.find_spec(name) is None]
print(json.dumps({'version': sys.version_info[:3], 'build': sys.version + sys.prefix, 'missing': missing}))
";

/// `python3` of the `PATH`, checked.
#[derive(Debug)]
pub(crate) struct Python {
    /// Tells one installation from another.
    pub(crate) build: String,
}

pub(crate) fn find() -> Result<Python> {
    let system = System::this();
    let probe = run::program("python3").args(["-c", PROBE]).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let Ok(output) = probe else {
        bail!("there is no `python3` on the PATH; {}", system.advice(&["python3"]));
    };
    if !output.status.success() {
        bail!("`python3` is on the PATH but does not work ({}); {}", output.status, system.advice(&["python3"]));
    }
    let answer = serde_json::from_slice(&output.stdout).context("`python3` did not answer as asked")?;
    judge(&answer, system)
}

fn judge(answer: &Value, system: System) -> Result<Python> {
    let number = |place: usize| answer["version"][place].as_u64().unwrap_or(0);
    let version = (number(0), number(1));
    if version < OLDEST {
        let (have, need) = (format!("{}.{}", version.0, version.1), format!("{}.{}", OLDEST.0, OLDEST.1));
        bail!("`python3` is Python {have}; Python {need} or newer has to come first on the PATH as `python3`");
    }
    let missing: Vec<&str> = answer["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        bail!("`python3` lacks {}; {}", missing.join(" and "), system.advice(&missing));
    }
    Ok(Python { build: answer["build"].as_str().unwrap_or_default().to_owned() })
}

/// Whose packages to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Debian,
    Fedora,
    MacOs,
    Other,
}

/// How to get these on this system: parts of Python, or `chromium`.
pub(crate) fn advice(missing: &[&str]) -> String {
    System::this().advice(missing)
}

impl System {
    fn this() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        Self::of(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// From the text of `/etc/os-release` (os-release(5)).
    fn of(os_release: &str) -> Self {
        let value = |line: &str| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")).map(|v| v.replace('"', ""));
        let ids = os_release.lines().filter_map(value).collect::<Vec<_>>().join(" ");
        let is = |id: &str| ids.split_whitespace().any(|known| known == id);
        if is("debian") || is("ubuntu") {
            Self::Debian
        } else if is("fedora") || is("rhel") {
            Self::Fedora
        } else {
            Self::Other
        }
    }

    fn advice(self, missing: &[&str]) -> String {
        match self {
            Self::Debian => format!("try `sudo apt-get install {}`", packages(missing, debian)),
            Self::Fedora => format!("try `sudo dnf install {}`", packages(missing, fedora)),
            Self::MacOs => format!("try `brew install {}`", packages(missing, homebrew)),
            Self::Other => format!(
                "install it (Debian: {}; Fedora: {}; macOS: `brew install {}`)",
                packages(missing, debian),
                packages(missing, fedora),
                packages(missing, homebrew)
            ),
        }
    }
}

fn packages(missing: &[&str], package_of: fn(&str) -> &'static str) -> String {
    let mut names: Vec<&str> = missing.iter().flat_map(|part| package_of(part).split(' ')).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

fn debian(part: &str) -> &'static str {
    match part {
        "chromium" => "chromium",
        "pip" => "python3-pip",
        "venv" | "ensurepip" => "python3-venv",
        _ => "python3 python3-venv python3-pip",
    }
}

fn homebrew(part: &str) -> &'static str {
    match part {
        "chromium" => "--cask chromium",
        _ => "python",
    }
}

fn fedora(part: &str) -> &'static str {
    match part {
        "chromium" => "chromium",
        "pip" => "python3-pip",
        "venv" | "ensurepip" => "python3-libs",
        _ => "python3 python3-pip",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{System, judge};

    #[test]
    fn systems_are_told_apart() {
        assert_eq!(System::of("NAME=x\nID=debian\n"), System::Debian);
        assert_eq!(System::of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), System::Debian);
        assert_eq!(System::of("ID=\"amzn\"\nID_LIKE=\"fedora\"\n"), System::Fedora);
        assert_eq!(System::of("ID=arch\n"), System::Other);
    }

    #[test]
    fn a_whole_python_is_taken() {
        let python = judge(&json!({"version": [3, 12, 1], "build": "b", "missing": []}), System::Debian);
        assert_eq!(python.expect("nothing is missing").build, "b");
    }

    #[test]
    fn missing_parts_name_their_package() {
        let answer = json!({"version": [3, 11, 2], "missing": ["ensurepip", "pip"]});
        let on = |system| judge(&answer, system).expect_err("two parts are missing").to_string();
        let expected = "`python3` lacks ensurepip and pip; try `sudo apt-get install python3-pip python3-venv`";
        assert_eq!(on(System::Debian), expected);
        assert!(on(System::Fedora).ends_with("`sudo dnf install python3-libs python3-pip`"));
        assert!(on(System::Other).contains("Fedora: python3-libs python3-pip;"));
    }

    #[test]
    fn a_browser_is_named_as_its_package_is() {
        assert_eq!(System::Debian.advice(&["chromium"]), "try `sudo apt-get install chromium`");
        assert_eq!(System::MacOs.advice(&["chromium"]), "try `brew install --cask chromium`");
        assert_eq!(System::MacOs.advice(&["pip", "venv"]), "try `brew install python`");
    }

    #[test]
    fn an_old_python_is_refused() {
        let error = judge(&json!({"version": [3, 9, 18], "missing": ["pip"]}), System::MacOs).expect_err("too old");
        assert!(error.to_string().contains("is Python 3.9; Python 3.11 or newer"));
    }
}
