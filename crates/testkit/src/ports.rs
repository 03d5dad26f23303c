//! Ports that no other test of this machine has.
//!
//! They lie below the range from which the kernel gives ports to outgoing connections, so that a cluster whose processes
//! were all killed finds its port free when it comes back.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
};

const FIRST: u16 = 20_000;
const PAIRS: u16 = 2_000;

/// Two neighbouring ports; they are the caller's for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    _lock: File,
}

impl Ports {
    /// `directory` is the same for all tests.
    pub(crate) fn reserve(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let start = u16::try_from(std::process::id() % u32::from(PAIRS)).unwrap_or_default();
        let mut pairs = (0..PAIRS).map(|offset| (start + offset) % PAIRS);
        pairs
            .find_map(|pair| {
                let path = directory.join(pair.to_string());
                let lock = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let first = FIRST + 2 * pair;
                let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
                (lock.try_lock().is_ok() && free(first) && free(first + 1)).then_some(Self { first, _lock: lock })
            })
            .expect("one of thousands of ports is free")
    }
}
