//! Servers under measurement: each on processors of its own, with what it used of them.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::run;

/// For a server to take connections.
const PATIENCE: Duration = Duration::from_secs(120);
/// For it to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// Linux counts processor time in hundredths of a second for programs (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// Ended when dropped.
pub(super) struct Server {
    child: Child,
}

/// A program that runs on these processors only, as `taskset` lists them.
pub(super) fn pinned(processors: &str, program: impl AsRef<Path>) -> Command {
    let mut command = run::program("taskset");
    command.args(["-c", processors]).arg(program.as_ref());
    command
}

impl Server {
    /// Starts it and waits until it takes connections. What it says goes to the file.
    pub(super) fn start(command: &mut Command, address: &str, log: &Path) -> Result<Self> {
        if TcpStream::connect(address).is_ok() {
            bail!("something listens at {address} already");
        }
        let out = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
        let mut server = Self { child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("a server ended ({status}):\n{}", fs::read_to_string(log).unwrap_or_default());
            }
            if begun.elapsed() > PATIENCE {
                bail!("no server at {address}:\n{}", fs::read_to_string(log).unwrap_or_default());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Processor time that it and the processes it started have used.
    pub(super) fn cpu(&self) -> Duration {
        let ticks: f64 = self.tree().into_iter().map(ticks).sum();
        Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
    }

    /// Memory of it and the processes it started, in MiB.
    pub(super) fn resident(&self) -> f64 {
        self.tree().into_iter().filter_map(resident_kib).sum::<f64>() / 1024.0
    }

    fn tree(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = all.get(next).copied() {
            next += 1;
            let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            for thread in threads {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            }
        }
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // All that it started: nginx's workers and LitServe's servers outlive what started them.
        let tree = self.tree();
        let signal = |name: &str, pid: &u32| {
            let _ = run::program("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
        };
        tree.iter().rev().for_each(|pid| signal("-TERM", pid));
        let begun = Instant::now();
        while tree.iter().any(|pid| is_alive(*pid)) {
            let _ = self.child.try_wait();
            if begun.elapsed() > GRACE {
                tree.iter().filter(|pid| is_alive(**pid)).for_each(|pid| signal("-KILL", pid));
            }
            sleep(Duration::from_millis(20));
        }
        // Its first thread may have ended before those that hold its sockets still.
        let _ = self.child.wait();
    }
}

/// A process that has ended and that nobody has asked about yet is not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// proc(5), `/proc/pid/stat`: utime and stime are fields 14 and 15, and the name in field 2 may hold spaces.
fn ticks(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
}

fn resident_kib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}
