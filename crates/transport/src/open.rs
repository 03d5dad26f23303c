//! How many connections the servers of this process have open. One number for all of them: it is for those who watch the
//! process.

use std::sync::atomic::{AtomicUsize, Ordering};

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Connections that the servers of this process have open, those in their TLS handshake included.
pub fn open_connections() -> usize {
    OPEN.load(Ordering::Relaxed)
}

/// One of them, until it is dropped.
pub(crate) struct Open(());

impl Open {
    pub(crate) fn one() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
