//! Whole bodies in memory, with a bound on each and on all of them together.
//!
//! Only bytes that have come take of the common room: whoever announces much and sends nothing keeps nobody else out. (While a
//! body grows, its buffer may be as large again.)

use std::{
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The grain in which room is given out.
const GRAIN: usize = 1024;

/// Room that bodies share.
#[derive(Debug)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / GRAIN)))
    }
}

/// A whole body; gives its room back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
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

/// Reads a body to its end.
pub(super) async fn read<B>(body: &mut B, limit: usize, budget: &Budget, wait: Wait) -> Result<Held, Trouble>
where
    B: Body<Data = Bytes, Error = io::Error> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(Trouble::TooLarge);
    }
    let begun = Instant::now();
    let (mut bytes, mut room) = (BytesMut::new(), None);
    while let Some(frame) = next(body.frame(), begun, wait).await? {
        // Trailers have no place in the other form.
        let Ok(data) = frame.map_err(Trouble::Broken)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(Trouble::TooLarge);
        }
        take(budget, &mut room, length)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes: bytes.freeze(), _room: room })
}

async fn next<T>(piece: impl Future<Output = T>, begun: Instant, wait: Wait) -> Result<T, Trouble> {
    let deadline = match wait {
        Wait::Altogether(time) => begun + time,
        Wait::ForMore(time) => Instant::now() + time,
    };
    tokio::time::timeout_at(deadline.into(), piece).await.map_err(|_| Trouble::Late)
}

/// Makes `room` enough for so many bytes.
fn take(budget: &Budget, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Trouble> {
    let missing = bytes.div_ceil(GRAIN).saturating_sub(room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
    if missing == 0 {
        return Ok(());
    }
    let missing = u32::try_from(missing).map_err(|_| Trouble::Full)?;
    let more = Arc::clone(&budget.0).try_acquire_many_owned(missing).map_err(|_| Trouble::Full)?;
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_the_grain_and_given_back() {
        let budget = Budget::new(4 * GRAIN);
        let (mut one, mut other) = (None, None);
        take(&budget, &mut one, 1).unwrap();
        take(&budget, &mut one, GRAIN).unwrap();
        assert_eq!(budget.0.available_permits(), 3);
        take(&budget, &mut one, 2 * GRAIN + 1).unwrap();
        take(&budget, &mut other, GRAIN).unwrap();
        assert!(matches!(take(&budget, &mut other, GRAIN + 1), Err(Trouble::Full)));
        drop(one);
        take(&budget, &mut other, 4 * GRAIN).unwrap();
        drop(other);
        assert_eq!(budget.0.available_permits(), 4);
    }
}
