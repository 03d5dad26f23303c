//! What a replica may take of this machine, by cgroup v2 (Linux, `Documentation/admin-guide/cgroup-v2.rst`): its memory
//! is limited, and its share of busy processors is in proportion to `compute.cpu`, as on Amazon ECS. Idle processors are
//! anybody's.
//!
//! Needs a place in the tree that has been given to us to divide: the cgroup of this process or the one above it, delegated,
//! with the controllers `cpu` and `memory`. systemd gives one to a unit with `Delegate=cpu memory` and `DelegateSubgroup=`. No
//! process but the replicas is moved, and what others divide is left alone, whatever rights this process has. Where there is
//! no such place replicas are not confined, which the log says once.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{fs::getxattr, process::geteuid};
use spec::realtime::Compute;

const MOUNT: &str = "/sys/fs/cgroup";
const OWN: &str = "/proc/self/cgroup";
const CONTROLLERS: [&str; 2] = ["cpu", "memory"];
/// With the value 1: how systemd marks what it has given away (`Delegate=`, systemd.resource-control(5)); the first one only
/// root can read.
const MARKS: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// A cgroup whose children are replicas.
#[derive(Debug)]
pub(super) struct Tree {
    directory: PathBuf,
}

/// This machine's, found once.
pub(super) fn tree() -> Option<&'static Tree> {
    static TREE: OnceLock<Option<Tree>> = OnceLock::new();
    let find = || match Tree::find(Path::new(MOUNT), Path::new(OWN), &is_delegated) {
        Ok(tree) => Some(tree),
        Err(reason) => {
            tracing::warn!("replicas are not held to `compute.cpu` and `compute.mem`: {reason}");
            None
        }
    };
    TREE.get_or_init(find).as_ref()
}

impl Tree {
    /// `delegated`: whether a cgroup was given to us.
    fn find(mount: &Path, own: &Path, delegated: &dyn Fn(&Path) -> bool) -> Result<Self, String> {
        if !mount.join("cgroup.controllers").is_file() {
            return Err(format!("there is no cgroup v2 at {}", mount.display()));
        }
        let text = fs::read_to_string(own).map_err(|error| format!("{}: {error}", own.display()))?;
        // Without such a line no process of this machine is in it.
        let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else {
            return Err(format!("{} names no cgroup v2", own.display()));
        };
        let own = mount.join(path);
        let mut reasons = Vec::new();
        // Above the mount there is nothing of ours.
        for directory in own.ancestors().take(2).filter(|directory| directory.starts_with(mount)) {
            if !delegated(directory) {
                reasons.push(format!("{} was not delegated", directory.display()));
                continue;
            }
            match divide(directory) {
                Ok(()) => return Ok(Self { directory: directory.to_owned() }),
                Err(error) => reasons.push(format!("{}: {error}", directory.display())),
            }
        }
        Err(format!("no cgroup is ours to divide ({})", reasons.join("; ")))
    }

    /// Makes the cgroup of a replica that is to be started.
    pub(super) fn make(&self, id: &str, compute: &Compute) -> io::Result<()> {
        let directory = self.of(id);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::write(directory.join("cpu.weight"), weight(compute.cpu_millis).to_string())?;
        let Some(bytes) = compute.mem_bytes else { return Ok(()) };
        fs::write(directory.join("memory.max"), bytes.to_string())?;
        // Else what is too much goes to the disk, and the limit is none. Kernels that count no swap have no such file.
        let swap = directory.join("memory.swap.max");
        if swap.exists() { fs::write(swap, "0") } else { Ok(()) }
    }

    /// Puts a replica that has just been started into its cgroup, and with it whatever it starts.
    pub(super) fn enter(&self, id: &str, pid: u32) -> io::Result<()> {
        fs::write(self.of(id).join("cgroup.procs"), pid.to_string())
    }

    /// Forgets a replica that is no more. A cgroup that still has processes stays, and that is an error.
    pub(super) fn remove(&self, id: &str) -> io::Result<()> {
        match fs::remove_dir(self.of(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn of(&self, id: &str) -> PathBuf {
        self.directory.join(format!("cortex-replica-{id}"))
    }
}

/// "Delegation", cgroup-v2.rst: to a less privileged user, by making the cgroup theirs; to a namespace, by making it the root
/// there. To a unit of root's nothing of the kernel's tells it, and systemd leaves a mark.
fn is_delegated(directory: &Path) -> bool {
    let marked = |name: &str| {
        let mut value = [0; 1];
        getxattr(directory, name, &mut value[..]).is_ok() && value == *b"1"
    };
    let user = geteuid();
    let theirs = || {
        !user.is_root()
            && ["cgroup.procs", "cgroup.subtree_control"]
                .iter()
                .all(|file| fs::metadata(directory.join(file)).is_ok_and(|file| file.uid() == user.as_raw()))
    };
    // The root of the machine's own tree has no type.
    let root_of_namespace = || directory == Path::new(MOUNT) && directory.join("cgroup.type").is_file();
    MARKS.into_iter().any(marked) || theirs() || root_of_namespace()
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

    fn all(_: &Path) -> bool {
        true
    }

    #[test]
    fn a_replica_gets_its_limits() {
        let (directory, mount) = fake("cpuset cpu memory pids");
        // The kernel refuses to divide a cgroup that has processes; the one above has none.
        fs::remove_file(mount.join("a.service/main/cgroup.subtree_control")).unwrap();
        let tree = Tree::find(&mount, &directory.path().join("own"), &all).unwrap();
        let read = |file: &str| fs::read_to_string(mount.join("a.service").join(file)).unwrap();
        assert_eq!(read("cgroup.subtree_control"), "+cpu +memory");
        // The kernel puts files into what is made.
        fs::create_dir(mount.join("a.service/cortex-replica-1")).unwrap();
        fs::write(mount.join("a.service/cortex-replica-1/memory.swap.max"), "max").unwrap();
        tree.make("1", &Compute { cpu_millis: 1000, mem_bytes: Some(64 << 20) }).unwrap();
        tree.enter("1", 42).unwrap();
        assert_eq!(read("cortex-replica-1/cpu.weight"), "39");
        assert_eq!(read("cortex-replica-1/memory.max"), "67108864");
        assert_eq!(read("cortex-replica-1/memory.swap.max"), "0");
        assert_eq!(read("cortex-replica-1/cgroup.procs"), "42");
        // Without a count of swap, and without a limit.
        tree.make("2", &Compute { cpu_millis: 20, mem_bytes: Some(1) }).unwrap();
        assert!(!mount.join("a.service/cortex-replica-2/memory.swap.max").exists());
        tree.make("3", &Compute { cpu_millis: 20, mem_bytes: None }).unwrap();
        assert!(!mount.join("a.service/cortex-replica-3/memory.max").exists());
    }

    #[test]
    fn a_replica_that_is_no_more_is_forgotten_and_what_cannot_be_is_said() {
        let (directory, mount) = fake("cpu memory");
        let tree = Tree::find(&mount, &directory.path().join("own"), &all).unwrap();
        let group = |id: &str| mount.join("a.service/main").join(format!("cortex-replica-{id}"));
        for id in ["1", "2"] {
            fs::create_dir(group(id)).unwrap();
        }
        // As the kernel does with one that has processes.
        fs::write(group("2").join("a process"), "").unwrap();
        tree.remove("1").unwrap();
        assert!(!group("1").exists());
        assert_eq!(tree.remove("2").unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        // It never had one.
        tree.remove("3").unwrap();
        assert!(tree.enter("3", 42).is_err());
    }

    #[test]
    fn what_was_not_delegated_is_left_alone_whatever_rights_there_are() {
        let (directory, mount) = fake("cpu memory");
        let own = directory.path().join("own");
        let reason = Tree::find(&mount, &own, &|_| false).unwrap_err();
        assert!(reason.contains("a.service/main was not delegated"), "{reason}");
        // Only what is marked is divided, and not what is nearest.
        let service = mount.join("a.service");
        let tree = Tree::find(&mount, &own, &|group| group == service).unwrap();
        assert_eq!(tree.directory, service);
        for group in ["", "a.service/main"] {
            assert_eq!(fs::read_to_string(mount.join(group).join("cgroup.subtree_control")).unwrap(), "", "{group}");
        }
    }

    #[test]
    fn a_place_is_ours_if_it_is_marked_or_our_users() {
        let (_directory, mount) = fake("cpu memory");
        let group = mount.join("a.service");
        fs::write(group.join("cgroup.procs"), "").unwrap();
        // Root owns everything: that says nothing.
        assert_eq!(is_delegated(&group), !geteuid().is_root());
        let mark = |value: &[u8]| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&group, "user.delegate", value, flags).is_ok()
        };
        // Not every file system of tests takes marks.
        if mark(b"1") {
            assert!(is_delegated(&group));
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let (directory, mount) = fake("pids");
        let own = directory.path().join("own");
        let reason = Tree::find(&mount, &own, &all).unwrap_err();
        assert!(reason.contains("it has no controllers `cpu` and `memory`"), "{reason}");
        let reason = Tree::find(directory.path(), &own, &all).unwrap_err();
        assert!(reason.contains("there is no cgroup v2"), "{reason}");
        fs::write(&own, "1:name=x:/y\n").unwrap();
        let reason = Tree::find(&mount, &own, &all).unwrap_err();
        assert!(reason.contains("names no cgroup v2"), "{reason}");
    }

    #[test]
    fn weights_are_those_of_container_runtimes() {
        assert_eq!([0, 20, 1000, 10_000, u32::MAX].map(weight), [1, 1, 39, 391, 10_000]);
    }

    /// Where a cgroup can be had, the kernel takes what is written.
    #[test]
    fn a_real_one_if_there_is_one() {
        let Ok(tree) = Tree::find(Path::new(MOUNT), Path::new(OWN), &is_delegated) else { return };
        let id = format!("test-{}", std::process::id());
        tree.make(&id, &Compute { cpu_millis: 500, mem_bytes: Some(64 << 20) }).unwrap();
        let memory = fs::read_to_string(tree.of(&id).join("memory.max")).unwrap();
        tree.remove(&id).unwrap();
        assert_eq!((memory.trim(), tree.of(&id).exists()), ("67108864", false));
    }
}
