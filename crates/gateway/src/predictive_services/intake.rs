//! Whole bodies in memory, with a bound on each and on all of them together.
//!
//! Only bytes that have come take of the common room: whoever announces much and sends nothing keeps nobody else out, and no client
//! gets more than its share. (While a body grows, its buffer may be as large again.)

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use transport::Peer;

/// The grain in which room is given out.
const GRAIN: usize = 1024;

/// Room that bodies share.
#[derive(Debug)]
pub(super) struct Budget {
    room: Arc<Semaphore>,
    /// Grains that one client may have; those that have some, with how many.
    share: usize,
    shares: Shares,
}

type Shares = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl Budget {
    /// `share`: bytes for one client at most.
    pub(super) fn new(bytes: usize, share: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes / GRAIN)), share: share / GRAIN, shares: Shares::default() }
    }

    /// None as yet.
    pub(super) fn room(&self, client: Peer) -> Room {
        Room { taken: None, client: client.client(), shares: Arc::clone(&self.shares) }
    }
}

/// What one body has of it; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    taken: Option<OwnedSemaphorePermit>,
    client: Option<IpAddr>,
    shares: Shares,
}

impl Room {
    fn grains(&self) -> usize {
        self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Makes it enough for so many bytes.
    fn grow(&mut self, budget: &Budget, bytes: usize) -> Result<(), Trouble> {
        let missing = bytes.div_ceil(GRAIN).saturating_sub(self.grains());
        if missing == 0 {
            return Ok(());
        }
        let count = u32::try_from(missing).map_err(|_| Trouble::Full)?;
        let more = Arc::clone(&budget.room).try_acquire_many_owned(count).map_err(|_| Trouble::Full)?;
        if let Some(client) = self.client {
            let mut shares = lock(&self.shares);
            let share = shares.entry(client).or_default();
            if *share + missing > budget.share {
                return Err(Trouble::Full);
            }
            *share += missing;
        }
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let (Some(client), grains @ 1..) = (self.client, self.grains()) else { return };
        let mut shares = lock(&self.shares);
        if let Some(share) = shares.get_mut(&client) {
            *share = share.saturating_sub(grains);
            if *share == 0 {
                shares.remove(&client);
            }
        }
    }
}

fn lock(shares: &Shares) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // Nothing that can panic runs under the lock.
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A whole body, and the room that it takes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) room: Room,
}

impl Held {
    /// Something that is as large, and takes the same room until all of it is gone.
    pub(super) fn replaced(self, text: String) -> Bytes {
        struct Sent {
            text: String,
            _room: Room,
        }
        impl AsRef<[u8]> for Sent {
            fn as_ref(&self) -> &[u8] {
                self.text.as_bytes()
            }
        }
        Bytes::from_owner(Sent { text, _room: self.room })
    }
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// For the whole body.
    Altogether(Duration),
    /// For each piece of it.
    ForMore(Duration),
}

#[derive(Debug)]
pub(super) enum Trouble {
    TooLarge,
    /// There is no room left, for now.
    Full,
    Late,
    Broken(io::Error),
}

/// Reads a body to its end, for that client.
pub(super) async fn read<B>(
    body: &mut B,
    limit: usize,
    budget: &Budget,
    client: Peer,
    wait: Wait,
) -> Result<Held, Trouble>
where
    B: Body<Data = Bytes, Error = io::Error> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Trouble::TooLarge);
    }
    let begun = Instant::now();
    let (mut bytes, mut room) = (BytesMut::new(), budget.room(client));
    while let Some(frame) = next(body.frame(), begun, wait).await? {
        // Trailers have no place in the other form.
        let Ok(data) = frame.map_err(Trouble::Broken)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(Trouble::TooLarge);
        }
        room.grow(budget, length)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes: bytes.freeze(), room })
}

async fn next<T>(piece: impl Future<Output = T>, begun: Instant, wait: Wait) -> Result<T, Trouble> {
    let deadline = match wait {
        Wait::Altogether(time) => begun + time,
        Wait::ForMore(time) => Instant::now() + time,
    };
    tokio::time::timeout_at(deadline.into(), piece).await.map_err(|_| Trouble::Late)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Peer {
        Peer::Tcp(format!("{address}:1").parse().unwrap())
    }

    #[test]
    fn room_is_taken_by_the_grain_and_given_back() {
        let budget = Budget::new(4 * GRAIN, 4 * GRAIN);
        let [mut one, mut other] = ["192.0.2.1", "192.0.2.2"].map(|address| budget.room(client(address)));
        one.grow(&budget, 1).unwrap();
        one.grow(&budget, GRAIN).unwrap();
        assert_eq!(budget.room.available_permits(), 3);
        one.grow(&budget, 2 * GRAIN + 1).unwrap();
        other.grow(&budget, GRAIN).unwrap();
        assert!(matches!(other.grow(&budget, GRAIN + 1), Err(Trouble::Full)));
        drop(one);
        other.grow(&budget, 4 * GRAIN).unwrap();
        drop(other);
        assert_eq!(budget.room.available_permits(), 4);
        assert!(lock(&budget.shares).is_empty());
    }

    #[test]
    fn no_client_takes_more_than_its_share() {
        let budget = Budget::new(4 * GRAIN, 2 * GRAIN);
        let [mut one, mut same] = [1, 2].map(|_| budget.room(client("192.0.2.1")));
        one.grow(&budget, 2 * GRAIN).unwrap();
        assert!(matches!(same.grow(&budget, 1), Err(Trouble::Full)));
        assert_eq!(budget.room.available_permits(), 2, "what was refused takes nothing");
        budget.room(client("192.0.2.2")).grow(&budget, 2 * GRAIN).unwrap();
        let held = Held { bytes: Bytes::new(), room: one };
        let sent = held.replaced("answer".to_owned());
        let part = sent.slice(1..);
        drop(sent);
        assert!(same.grow(&budget, 1).is_err(), "{part:?} is not sent yet");
        drop(part);
        same.grow(&budget, 1).unwrap();
    }
}
