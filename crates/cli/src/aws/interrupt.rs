//! Ctrl-C, and being asked to end.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output::{leave, say};

/// As shells have it for a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Cancelled by the first Ctrl-C (or SIGTERM); the second one ends the program.
pub fn interruptible() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut end)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        either(&mut interrupt, &mut end).await;
        say!("\nfinishing what is in flight; Ctrl-C again to stop at once");
        cancel.cancel();
        either(&mut interrupt, &mut end).await;
        say!("\nstopped; the same command goes on from here");
        leave();
        std::process::exit(INTERRUPTED);
    });
    token
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
