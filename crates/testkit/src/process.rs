//! Processes of this machine, by id.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

/// Whether a process of that id runs. One that has ended and was not waited for yet does not.
pub fn is_alive(pid: u32) -> bool {
    // The state comes after the command's name, which is in parentheses and may hold anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    let ended = matches!(state, None | Some('Z' | 'X'));
    // Of one that was killed the first thread may be gone before others, which keep its sockets open.
    !ended || fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

/// The command line with blanks between the words; empty for a process that is no more.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Everybody whose command line names something in this directory: the processes of a cluster that lives there, and
/// the predictors that its replicas have started.
pub fn of_directory(directory: &Path) -> Vec<u32> {
    let needle = directory.display().to_string();
    let processes = fs::read_dir("/proc").unwrap_or_else(|error| panic!("/proc: {error}"));
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != std::process::id() && is_alive(pid) && command_line(pid).contains(&needle))
        .collect()
}

/// Everybody who was started with this in the environment (`NAME=value`, or the beginning of that).
pub fn of_environment(variable: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap_or_else(|error| panic!("/proc: {error}"));
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            // Others' processes cannot be read, and are none of ours.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|entry| entry.starts_with(variable.as_bytes()))
        })
        .filter(|&pid| is_alive(pid))
        .collect()
}

/// Resident memory of a process that runs, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_else(|error| panic!("{pid}: {error}"));
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    size.unwrap_or_else(|| panic!("the memory of {pid} is not known: {status}"))
}

/// `kill -9` of one that may be gone by now.
pub fn kill_if_there(pid: u32) {
    if let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(process, Signal::KILL);
    }
}

/// `kill -9`.
pub fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    send(pid, Signal::TERM);
}

fn send(pid: u32, signal: Signal) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { panic!("{pid} is no process id") };
    kill_process(process, signal).unwrap_or_else(|error| panic!("{signal:?} to {pid}: {error}"));
}
