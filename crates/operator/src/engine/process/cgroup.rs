//! What a replica may take of this machine, by cgroup v2 (Linux, `Documentation/admin-guide/cgroup-v2.rst`): its memory
//! is limited, and its share of busy processors is in proportion to `compute.cpu`, as on Amazon ECS. Idle processors are
//! anybody's.
//!
//! Needs a place in the tree that is ours to divide: the cgroup of this process or the one above it, writable, with the
//! controllers `cpu` and `memory`. systemd gives one to a unit with `Delegate=cpu memory` and `DelegateSubgroup=`. No
//! process but the replicas is moved. Where there is no such place replicas are not confined, which the log says once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use spec::realtime::Compute;

const MOUNT: &str = "/sys/fs/cgroup";
const OWN: &str = "/proc/self/cgroup";
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];

/// A cgroup whose children are replicas.
#[derive(Debug)]
pub(super) struct Tree {
    directory: PathBuf,
}

/// This machine's, found once.
pub(super) fn tree() -> Option<&'static Tree> {
    static TREE: OnceLock<Option<Tree>> = OnceLock::new();
    let find = || match Tree::find(Path::new(MOUNT), Path::new(OWN)) {
        Ok(tree) => Some(tree),
        Err(reason) => {
            tracing::warn!("replicas are not held to `compute.cpu` and `compute.mem`: {reason}");
            None
        }
    };
    TREE.get_or_init(find).as_ref()
}

impl Tree {
    fn find(mount: &Path, own: &Path) -> Result<Self, String> {
        if !mount.join("cgroup.controllers").is_file() {
            return Err(format!("there is no cgroup v2 at {}", mount.display()));
        }
        let text = fs::read_to_string(own).map_err(|error| format!("{}: {error}", own.display()))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let own = mount.join(path);
        let mut reason = String::new();
        // Above the mount there is nothing of ours.
        for directory in own.ancestors().take(2).filter(|directory| directory.starts_with(mount)) {
            match divide(directory) {
                Ok(()) => return Ok(Self { directory: directory.to_owned() }),
                Err(error) => reason = format!("{}: {error}", directory.display()),
            }
        }
        Err(format!("no cgroup is ours to divide ({reason})"))
    }

    /// Makes the cgroup of a replica that is to be started.
    pub(super) fn make(&self, id: &str, compute: &Compute) -> io::Result<()> {
        let directory = self.of(id);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::write(directory.join("cpu.weight"), weight(compute.cpu_millis).to_string())?;
        match compute.mem_bytes {
            Some(bytes) => fs::write(directory.join("memory.max"), bytes.to_string()),
            None => Ok(()),
        }
    }

    /// Puts a replica that has just been started into its cgroup, and with it whatever it starts.
    pub(super) fn enter(&self, id: &str, pid: u32) -> io::Result<()> {
        fs::write(self.of(id).join("cgroup.procs"), pid.to_string())
    }

    /// Forgets a replica that is no more. One that has processes left stays, harmless.
    pub(super) fn remove(&self, id: &str) {
        let _ = fs::remove_dir(self.of(id));
    }

    fn of(&self, id: &str) -> PathBuf {
        self.directory.join(format!("cortex-replica-{id}"))
    }
}

/// Has the children of a cgroup controlled.
fn divide(directory: &Path) -> io::Result<()> {
    let has = |file: &str| -> io::Result<bool> {
        let text = fs::read_to_string(directory.join(file))?;
        Ok(CONTROLLERS.iter().all(|controller| text.split_whitespace().any(|word| word == *controller)))
    };
    if !has("cgroup.controllers")? {
        return Err(io::Error::other("it has no controllers `cpu` and `memory`"));
    }
    if !has("cgroup.subtree_control")? {
        fs::write(directory.join("cgroup.subtree_control"), "+cpu +memory")?;
    }
    let probe = directory.join(format!("cortex-probe-{}", std::process::id()));
    fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe))
}

/// From thousandths of a core to 1..=10000, by way of the shares of cgroup v1 (1024 a core), as container runtimes do.
fn weight(cpu_millis: u32) -> u64 {
    let shares = (u64::from(cpu_millis) * 1024 / 1000).clamp(2, 262_144);
    1 + (shares - 2) * 9999 / 262_142
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// A tree of plain files: a mount, and this process in `a.service/main`.
    fn fake(controllers: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let mount = directory.path().join("mount");
        for group in ["", "a.service", "a.service/main"] {
            fs::create_dir_all(mount.join(group)).unwrap();
            fs::write(mount.join(group).join("cgroup.controllers"), controllers).unwrap();
            fs::write(mount.join(group).join("cgroup.subtree_control"), "").unwrap();
        }
        fs::write(directory.path().join("own"), "1:name=x:/y\n0::/a.service/main\n").unwrap();
        (directory, mount)
    }

    #[test]
    fn a_replica_gets_its_limits_and_is_forgotten() {
        let (directory, mount) = fake("cpuset cpu memory pids");
        // The kernel refuses to divide a cgroup that has processes; the one above has none.
        fs::remove_file(mount.join("a.service/main/cgroup.subtree_control")).unwrap();
        let tree = Tree::find(&mount, &directory.path().join("own")).unwrap();
        let read = |file: &str| fs::read_to_string(mount.join("a.service").join(file)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+cpu +memory");
        tree.make("1", &Compute { cpu_millis: 1000, mem_bytes: Some(64 << 20) }).unwrap();
        tree.enter("1", 42).unwrap();
        assert_eq!(read("cortex-replica-1/cpu.weight"), "39");
        assert_eq!(read("cortex-replica-1/memory.max"), "67108864");
        assert_eq!(read("cortex-replica-1/cgroup.procs"), "42");
        tree.make("2", &Compute { cpu_millis: 20, mem_bytes: None }).unwrap();
        assert!(!mount.join("a.service/cortex-replica-2/memory.max").exists());
    }

    #[test]
    fn what_is_missing_is_said() {
        let (directory, mount) = fake("pids");
        let own = directory.path().join("own");
        let reason = Tree::find(&mount, &own).unwrap_err();
        assert!(reason.contains("it has no controllers `cpu` and `memory`"), "{reason}");
        let reason = Tree::find(directory.path(), &own).unwrap_err();
        assert!(reason.contains("there is no cgroup v2"), "{reason}");
    }

    #[test]
    fn weights_are_those_of_container_runtimes() {
        assert_eq!([0, 20, 1000, 10_000, u32::MAX].map(weight), [1, 1, 39, 391, 10_000]);
    }

    /// Where a cgroup can be had, the kernel takes what is written.
    #[test]
    fn a_real_one_if_there_is_one() {
        let Ok(tree) = Tree::find(Path::new(MOUNT), Path::new(OWN)) else { return };
        let id = format!("test-{}", std::process::id());
        tree.make(&id, &Compute { cpu_millis: 500, mem_bytes: Some(64 << 20) }).unwrap();
        let memory = fs::read_to_string(tree.of(&id).join("memory.max")).unwrap();
        tree.remove(&id);
        assert_eq!((memory.trim(), tree.of(&id).exists()), ("67108864", false));
    }
}
