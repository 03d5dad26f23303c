//! Looks after workers that live and are of no use: those that hang, and those whose memory grows.

use std::{
    fs,
    sync::Weak,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{desk::Seat, frame, pool::Shared};
use crate::error::minutes;

/// Of its share of the memory, what a worker may have before it is replaced: the kernel kills at all of it.
const NEARLY: f64 = 0.95;

#[derive(Debug, Clone, Copy)]
pub(super) struct Watching {
    /// Between two looks.
    pub(super) pause: Duration,
    /// Longest time at work on one request, or between two pieces of a stream.
    pub(super) request: Duration,
    /// The same after the caller has gone.
    pub(super) abandoned: Duration,
    /// Bytes of memory that one worker may have.
    pub(super) memory: Option<u64>,
}

pub(super) async fn watch(shared: Weak<Shared>, watching: Watching) {
    let mut ticks = interval(watching.pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closing()) else { return };
        shared.at_desk(|desk| {
            let mut all_here = desk.seats.iter().all(|seat| seat.as_ref().is_some_and(|seat| !seat.leaving));
            for seat in desk.seats.iter_mut().flatten().filter(|seat| !seat.hung) {
                replace_if_it_hangs(seat, &watching);
                // One at a time: the others have to answer meanwhile.
                if all_here && !seat.hung && watching.memory.is_some_and(|share| has_grown(seat, share)) {
                    all_here = false;
                    seat.leaving = true;
                    if seat.held.is_empty() {
                        seat.worker.link.send(frame::STOP, 0, b"");
                    }
                }
            }
        });
    }
}

fn replace_if_it_hangs(seat: &mut Seat, watching: &Watching) {
    let (now, pid) = (Instant::now(), seat.worker.pid);
    for held in &mut seat.held {
        let Some(begun) = held.begun else { continue };
        // What was made and not taken is for the caller to take.
        if held.pieces.as_ref().is_some_and(|pieces| pieces.capacity() < pieces.max_capacity()) {
            held.begun = Some(now);
            continue;
        }
        let request_id = &held.request_id;
        if now - begun > watching.request {
            held.hung = true;
            let limit = minutes(watching.request);
            tracing::error!(%request_id, pid, "this request is at work for more than {limit}: its process is replaced");
        } else if held.left.is_some_and(|left| now - left.max(begun) > watching.abandoned) {
            held.hung = true;
            let limit = minutes(watching.abandoned);
            let text = "goes on for more than";
            tracing::error!(%request_id, pid, "this request, whose caller left, {text} {limit}: its process is replaced");
        }
        seat.hung |= held.hung;
    }
    if seat.hung {
        seat.worker.hangs.notify_one();
    }
}

/// Whether the worker should go before the kernel kills it.
fn has_grown(seat: &Seat, share: u64) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
    let limit = (share as f64 * NEARLY) as u64;
    let worker = &seat.worker;
    let Some(now) = resident(worker.pid) else { return false };
    if now <= limit {
        return false;
    }
    let (pid, mib) = (worker.pid, |bytes: u64| bytes >> 20);
    // One that begins like this would be replaced for ever.
    if worker.resident_at_start > limit {
        if !worker.told_of_memory.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let text = "a worker process needs more memory than its share of `compute.mem` just to start: raise it";
            tracing::warn!(pid, mib = mib(now), share_mib = mib(share), "{text}");
        }
        return false;
    }
    let text = "the memory of a worker process has grown to its share of `compute.mem`: it is replaced once it is idle";
    tracing::warn!(pid, mib = mib(now), share_mib = mib(share), "{text}");
    true
}

/// Bytes of memory that a process has of its own or shares, from `/proc` (proc(5)); `None` where there is none.
pub(super) fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_some_memory() {
        assert!(super::resident(std::process::id()).unwrap() > 1 << 20);
        assert_eq!(super::resident(u32::MAX), None);
    }
}
