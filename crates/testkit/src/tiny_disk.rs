//! A file system of a few megabytes, for tests in which the disk is full.
//!
//! It is mounted in a mount namespace of its own, which one sleeping process holds: nobody else sees it, and when that
//! process and those that entered are gone, so is the disk, however the test ended.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

pub struct TinyDisk {
    holder: Child,
    megabytes: u32,
}

impl TinyDisk {
    /// `Err` says why this user cannot have one on this machine.
    pub fn new(megabytes: u32) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can mount a file system".to_owned());
        }
        let refused = |error: std::io::Error| format!("`unshare` cannot be run: {error}");
        let works = Command::new("unshare").args(["--mount", "true"]).output().map_err(refused)?;
        if !works.status.success() {
            return Err(format!("no mount namespace: {}", String::from_utf8_lossy(&works.stderr).trim()));
        }
        // It ends when its standard input does, so that it does not outlive the test.
        let holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", "echo ready; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(refused)?;
        let mut disk = Self { holder, megabytes };
        let mut said = [0; 6];
        let out = disk.holder.stdout.as_mut().expect("it is a pipe");
        std::io::Read::read_exact(out, &mut said).map_err(refused)?;
        Ok(disk)
    }

    pub(crate) fn mount(&self, at: &Path) {
        let mut command = self.enter();
        command.args(["mount", "-t", "tmpfs", "-o", &format!("size={}m,mode=0700", self.megabytes), "cortex-test"]);
        command.arg(at);
        let Output { status, stderr, .. } = command.output().expect("nsenter can be run");
        assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    }

    /// A command that runs the one it gets as arguments where the disk is.
    pub fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string(), "--"]);
        command
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
