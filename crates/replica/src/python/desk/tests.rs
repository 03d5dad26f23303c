use std::sync::atomic::AtomicBool;

use tokio::{net::UnixStream, sync::Notify};

use super::{
    super::{
        frame::Ready,
        link::{Incoming, Link},
    },
    *,
};
use crate::exchange::{Request, Turn};

/// A desk with workers that have been quick, and the other ends of their sockets.
fn desk(processes: usize) -> (Desk, Vec<(Incoming, UnixStream)>) {
    let mut desk = Desk::new(processes, 1);
    let mut ends = Vec::new();
    for seat in 0..processes {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (link, incoming) = Link::new(ours);
        let worker = Worker {
            link,
            ready: Ready::default(),
            pid: u32::try_from(seat).unwrap(),
            resident_at_start: 0,
            told_of_memory: AtomicBool::new(false),
            hangs: Notify::new(),
        };
        desk.sit(seat, Arc::new(worker));
        desk.seats[seat].as_mut().unwrap().pace = Duration::ZERO;
        ends.push((incoming, theirs));
    }
    (desk, ends)
}

impl Desk {
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
            let (work, about) =
                Work::one(Request { id: String::new(), head, body: Bytes::new(), turn: Turn::default() }, false)
                    .unwrap();
            self.submit(work, Arc::new(about), Answer::One(oneshot::channel().0));
        }
        let _ = self.hand_out();
    }

    /// How many requests each worker has, and how many wait.
    fn load(&self) -> (Vec<usize>, usize) {
        (self.seats.iter().flatten().map(|seat| seat.held.len()).collect(), self.waiting.len())
    }
}

#[tokio::test]
async fn quick_workers_get_some_ahead_and_the_only_one_more() {
    let (mut two, _ends) = desk(2);
    two.take(10);
    assert_eq!(two.load(), (vec![3, 3], 4));
    let (mut one, _ends) = desk(1);
    one.take(20);
    assert_eq!(one.load(), (vec![15], 5));
    assert_eq!(one.requests_waiting(), 19, "one is begun with");
    one.seats[0].as_mut().unwrap().pace = 2 * QUICK;
    one.finish(0, 1);
    one.take(0);
    assert_eq!(one.load(), (vec![14], 5), "it is slow now");
}

#[tokio::test]
async fn nothing_more_waits_behind_a_request_that_takes_long() {
    let (mut desk, _ends) = desk(2);
    desk.take(2);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(1));
    desk.seats[0].as_mut().unwrap().held[0].begun = long_ago;
    desk.take(5);
    assert_eq!(desk.load(), (vec![1, 3], 3));
    desk.finish(0, 1);
    desk.take(0);
    assert_eq!(desk.load(), (vec![1, 3], 2), "it has to be quick again first");
}

#[tokio::test]
async fn of_a_dead_worker_only_what_it_had_begun_is_lost() {
    let (mut desk, _ends) = desk(1);
    desk.take(3);
    assert_eq!(desk.bury(0).iter().map(|held| held.number).collect::<Vec<_>>(), [1]);
    assert_eq!(desk.load(), (vec![], 2));
    assert_eq!(desk.waiting.iter().map(|job| job.number).collect::<Vec<_>>(), [2, 3]);
}
