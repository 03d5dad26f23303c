//! Looks after workers that live and are of no use: those that hang, and those whose memory grows.

use std::{
    fs,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval};

use super::{desk::Seat, frame, pool::Shared, work::About, worker::Worker};
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
    /// Of the replica, its workers included.
    pub(super) memory: Option<Memory>,
    pub(super) workers: u64,
}

pub(super) async fn watch(shared: Weak<Shared>, watching: Watching) {
    let mut ticks = interval(watching.pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closing()) else { return };
        let (hanging, workers) = shared.at_desk(|desk| {
            let all_here = desk.seats.iter().all(|seat| seat.as_ref().is_some_and(|seat| !seat.leaving));
            let mut hanging = Vec::new();
            for seat in desk.seats.iter_mut().flatten().filter(|seat| !seat.hung) {
                hanging.extend(replace_if_it_hangs(seat, &watching));
            }
            // One at a time: the others have to answer meanwhile.
            let looked_at = desk.seats.iter().flatten().filter(|seat| all_here && !seat.hung);
            (hanging, looked_at.map(|seat| Arc::clone(&seat.worker)).collect::<Vec<_>>())
        });
        hanging.iter().for_each(Hanging::log);
        let Some(memory) = watching.memory else { continue };
        let share = memory.share(watching.workers);
        if let Some(grown) = workers.iter().find(|worker| has_grown(worker, share)) {
            shared.at_desk(|desk| {
                let seat = desk.seats.iter_mut().flatten().find(|seat| Arc::ptr_eq(&seat.worker, grown));
                if let Some(seat) = seat {
                    seat.leaving = true;
                    if seat.held.is_empty() {
                        seat.worker.link.send(frame::STOP, 0, b"");
                    }
                }
            });
        }
    }
}

/// A request that has made its worker one to be replaced.
struct Hanging {
    about: Arc<About>,
    pid: u32,
    limit: Duration,
    left: bool,
}

impl Hanging {
    fn log(&self) {
        let (request_id, trace_id, pid) = (self.about.request_id(), self.about.trace_id(), self.pid);
        let limit = minutes(self.limit);
        if self.left {
            let text = "goes on for more than";
            tracing::error!(%request_id, trace_id, pid, "this request, whose caller left, {text} {limit}: its process is replaced");
        } else {
            tracing::error!(%request_id, trace_id, pid, "this request is at work for more than {limit}: its process is replaced");
        }
    }
}

fn replace_if_it_hangs(seat: &mut Seat, watching: &Watching) -> Vec<Hanging> {
    let (now, pid) = (Instant::now(), seat.worker.pid);
    let mut hanging = Vec::new();
    for held in &mut seat.held {
        let Some(begun) = held.begun else { continue };
        // What was made and not taken is for the caller to take.
        if held.pieces.as_ref().is_some_and(|pieces| pieces.capacity() < pieces.max_capacity()) {
            held.begun = Some(now);
            continue;
        }
        let at_work = now - begun > watching.request;
        let left = held.left.is_some_and(|left| now - left.max(begun) > watching.abandoned);
        if at_work || left {
            held.hung = true;
            let limit = if at_work { watching.request } else { watching.abandoned };
            hanging.push(Hanging { about: Arc::clone(&held.about), pid, limit, left: !at_work });
        }
    }
    if !hanging.is_empty() {
        seat.hung = true;
        seat.worker.hangs.notify_one();
    }
    hanging
}

/// Whether the worker should go before the kernel kills it. Reads a file.
fn has_grown(worker: &Worker, share: u64) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
    let limit = (share as f64 * NEARLY) as u64;
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

/// The memory of the replica and all its workers, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory(pub(super) u64);

impl Memory {
    /// What one of the workers may have: what the replica's own process has is none of theirs.
    fn share(self, workers: u64) -> u64 {
        share(self.0, resident(std::process::id()).unwrap_or_default(), workers)
    }
}

/// Never less than half of an equal part: a replica that has grown itself is not for its workers to make good.
fn share(all: u64, own: u64, workers: u64) -> u64 {
    let workers = workers.max(1);
    (all.saturating_sub(own) / workers).max(all / workers / 2)
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

    #[test]
    fn workers_share_what_the_replica_leaves() {
        assert_eq!(super::share(1000, 100, 2), 450);
        assert_eq!(super::share(1000, 900, 2), 250, "but they are not starved");
        assert_eq!(super::share(1000, 2000, 0), 500);
    }
}
