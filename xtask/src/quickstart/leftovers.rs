//! What a cluster that is gone may not leave: processes, and directories under `clusters/`.
//!
//! A process belongs to it if it has the home's path, which nothing else on the machine has, in its environment, its
//! command line or its working directory. Linux tells all three in `/proc`; elsewhere `ps` tells the command line.

use std::{fs, io, path::Path, process::Command};

use anyhow::{Result, bail};

#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    command: String,
}

/// An error if any process of this home is alive. Ends it all the same: it is ours.
pub(crate) fn end_all(home: &Path) -> Result<()> {
    let alive = processes_of(home);
    if alive.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = alive.iter().map(|process| format!("{} {}", process.id, process.command)).collect();
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(alive.iter().map(|process| process.id.to_string()));
    let ended = if kill.status().is_ok_and(|status| status.success()) { "ended now" } else { "`kill` them by hand" };
    bail!("processes of the cluster were still running ({ended}):\n  {}", list.join("\n  "));
}

/// An error if `cluster down` kept anything under `clusters/`.
pub(crate) fn no_clusters(home: &Path) -> Result<()> {
    let directory = home.join("clusters");
    let left = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.flatten().map(|entry| entry.path().display().to_string()).collect::<Vec<_>>(),
    };
    if left.is_empty() {
        return Ok(());
    }
    bail!("`cortex cluster down` left files behind:\n  {}", left.join("\n  "));
}

fn processes_of(home: &Path) -> Vec<Process> {
    let home = home.to_string_lossy();
    if Path::new("/proc/self/environ").exists() { from_proc(&home) } else { from_ps(&home) }
}

fn from_proc(home: &str) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| {
        // Processes that end meanwhile, and other users', cannot be read and are not ours.
        let file = |name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
        let command = String::from_utf8_lossy(&file("cmdline")).replace('\0', " ").trim().to_owned();
        let directory = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        let inside = directory.starts_with(home)
            || command.contains(home)
            || String::from_utf8_lossy(&file("environ")).contains(home);
        inside.then_some(Process { id, command })
    })
    .collect()
}

fn from_ps(home: &str) -> Vec<Process> {
    let output = Command::new("ps").args(["-axww", "-o", "pid=,command="]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter(|line| line.contains(home)).filter_map(ps_line).collect()
}

fn ps_line(line: &str) -> Option<Process> {
    let (id, command) = line.trim_start().split_once(' ')?;
    Some(Process { id: id.parse().ok()?, command: command.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::Path,
        process::Command,
        thread,
        time::{Duration, Instant},
    };

    use super::{Process, end_all, no_clusters, processes_of, ps_line};
    use crate::quickstart::home::Home;

    #[test]
    fn a_process_of_the_home_is_found_and_ended() {
        let home = Home::create().expect("the temporary directory is writable");
        end_all(home.path()).expect("nothing runs yet");
        let mut left =
            Command::new("sleep").arg("60").env("CORTEX_HOME", home.path()).spawn().expect("sleep is everywhere");
        // For a moment after exec the kernel shows an empty environment.
        let start = Instant::now();
        while processes_of(home.path()).is_empty() && start.elapsed() < Duration::from_secs(30) {
            thread::yield_now();
        }
        let error = end_all(home.path()).expect_err("sleep runs").to_string();
        assert!(error.contains(&format!("{} sleep 60", left.id())), "{error}");
        assert!(!left.wait().expect("it is our child").success());
        end_all(home.path()).expect("it was ended");
        home.remove().expect("it is ours");
    }

    #[test]
    fn what_is_left_of_a_cluster_is_named() {
        let home = Home::create().expect("the temporary directory is writable");
        no_clusters(home.path()).expect("there is no such directory");
        fs::create_dir_all(home.path().join("clusters/quickstart")).expect("it is writable");
        assert!(no_clusters(home.path()).expect_err("one is left").to_string().contains("clusters/quickstart"));
        home.remove().expect("it is ours");
        no_clusters(Path::new("/nonexistent")).expect("nothing is there");
    }

    #[test]
    fn lines_of_ps() {
        let expected = Process { id: 42, command: "/bin/cortex operator".to_owned() };
        assert_eq!(ps_line("   42 /bin/cortex operator"), Some(expected));
    }
}
