//! One replica as the gateway knows it: its idle connections, how much it has to do, and whether it does it.

mod body;
mod connection;
mod health;
mod probe;

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use api::routes::ReplicaRoute;
use http::StatusCode;
use tokio::task::unconstrained;
use transport::Address;

use crate::metrics::VersionMetrics;

pub(crate) use body::{Progress, ReplyBody, RequestBody};
pub(crate) use connection::{Connection, NoReply};

use health::{Health, Why};

/// Idle connections kept per replica.
const MAX_IDLE: usize = 64;
/// After this an idle connection is closed instead of used.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) metrics: Arc<VersionMetrics>,
    address: Address,
    in_flight: AtomicUsize,
    health: Health,
    /// `None` once the replica left the routes.
    idle: Mutex<Option<Idle>>,
}

/// Idle connections with the time since when they are, oldest first. The newest is used first, so that those a burst
/// left behind grow old.
type Idle = Vec<(Connection, Instant)>;

impl Upstream {
    pub(crate) fn new(route: &ReplicaRoute) -> Self {
        Self {
            id: route.id.clone(),
            version: route.version.clone(),
            metrics: Arc::default(),
            address: route.address.clone(),
            in_flight: AtomicUsize::new(0),
            health: Health::default(),
            idle: Mutex::new(Some(Vec::new())),
        }
    }

    /// One whose requests count there.
    pub(crate) fn measured(self, metrics: Arc<VersionMetrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Requests that were given to the replica and whose response has not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it should get no requests while others can have them.
    pub(crate) fn is_out(&self) -> bool {
        self.health.is_out()
    }

    /// What became of a request that it got. `peers`: the replicas of the API, this one included.
    pub(crate) fn judge(self: &Arc<Self>, well: bool, peers: &[Arc<Self>]) {
        if well {
            return self.health.succeeded();
        }
        if !self.health.failed() {
            return;
        }
        let out = peers.iter().filter(|peer| peer.is_out()).count();
        if (out + 1) * 2 <= peers.len() {
            self.eject(Why::Fails);
        }
    }

    #[cfg(test)]
    pub(crate) fn refused(&self) {
        self.health.eject(Why::Refuses, Instant::now());
    }

    fn eject(self: &Arc<Self>, why: Why) {
        if let Some(number) = self.health.eject(why, Instant::now()) {
            probe::begin(self, why, number);
        }
    }

    /// A new connection. Whoever has less time than `patience` blames nobody if it does not suffice.
    pub(crate) async fn connect(self: &Arc<Self>, patience: Duration, time: Duration) -> io::Result<Connection> {
        let begun = Instant::now();
        match tokio::time::timeout(patience.min(time), Connection::open(&self.address)).await {
            Ok(Ok(connection)) => {
                self.metrics.connect.observe(begun.elapsed());
                self.health.connected(Instant::now());
                Ok(connection)
            }
            Ok(Err(error)) => {
                self.eject(Why::Refuses);
                Err(error)
            }
            Err(_) => {
                if time >= patience {
                    self.eject(Why::Refuses);
                }
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// An idle connection that is still good, as far as can be known.
    pub(crate) async fn idle(&self) -> Option<Connection> {
        while let Some(mut connection) = self.pop(Instant::now()) {
            let look = poll_fn(|cx| Poll::Ready(connection.is_usable(cx)));
            // A task that has used up its turn would be told that there is nothing to see.
            if unconstrained(look).await {
                return Some(connection);
            }
        }
        None
    }

    fn pop(&self, now: Instant) -> Option<Connection> {
        let (connection, since) = self.lock().as_mut()?.pop()?;
        if now.saturating_duration_since(since) < MAX_IDLE_TIME {
            return Some(connection);
        }
        // It was the newest.
        self.forget_idle();
        None
    }

    /// Keeps a connection whose exchange is complete, unless it is of no more use.
    pub(crate) fn give_back(&self, connection: Connection, now: Instant) {
        if !connection.is_idle() {
            return;
        }
        // Dropped, and so closed, after the lock is released.
        let mut surplus = Vec::new();
        let mut idle = self.lock();
        match &mut *idle {
            Some(idle) => {
                let old = idle.partition_point(|(_, since)| now.saturating_duration_since(*since) >= MAX_IDLE_TIME);
                surplus.extend(idle.drain(..old));
                if idle.len() < MAX_IDLE {
                    idle.push((connection, now));
                }
            }
            None => drop(connection),
        }
        drop(idle);
        drop(surplus);
    }

    /// Closes the idle connections: one of them was found dead.
    pub(crate) fn forget_idle(&self) {
        let old = self.lock().as_mut().map(std::mem::take);
        drop(old);
    }

    /// The replica left the routes: closes its idle connections now, and the others when their requests end.
    pub(crate) fn retire(&self) {
        let idle = self.lock().take();
        drop(idle);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Idle>> {
        // Nothing that can panic runs under the lock.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A status by which a replica says that what it stands for did not answer.
pub(crate) fn is_gateway_failure(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// A request that a replica was chosen for, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Upstream>);

impl InFlight {
    pub(crate) fn new(upstream: &Arc<Upstream>) -> Self {
        upstream.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(upstream))
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use transport::{Listener, Stream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Ground {
        listener: Listener,
        upstream: Arc<Upstream>,
        now: Instant,
    }

    impl Ground {
        async fn new() -> Self {
            let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = Address::Tcp(listener.tcp_address().unwrap().to_string());
            let route = ReplicaRoute { id: "a".to_owned(), version: "v".to_owned(), address };
            Self { listener, upstream: Arc::new(Upstream::new(&route)), now: Instant::now() }
        }

        async fn pair(&self) -> (Connection, Stream) {
            let (ours, theirs) = tokio::join!(self.upstream.connect(PATIENCE, PATIENCE), self.listener.accept());
            (ours.unwrap(), theirs.unwrap().0)
        }

        /// Leaves a connection idle since `age` ago; returns the replica's end.
        async fn idle(&self, age: Duration) -> Stream {
            let (ours, theirs) = self.pair().await;
            self.upstream.give_back(ours, self.now - age);
            theirs
        }

        fn count(&self) -> Option<usize> {
            self.upstream.lock().as_ref().map(Vec::len)
        }
    }

    async fn is_closed(stream: &mut Stream) -> bool {
        matches!(tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await, Ok(Ok(0)))
    }

    #[tokio::test]
    async fn the_pool_is_bounded_and_the_newest_serves_first() {
        let ground = Ground::new().await;
        let mut ends = Vec::new();
        for second in (0..MAX_IDLE as u64 + 3).rev() {
            ends.push(ground.idle(Duration::from_millis(second)).await);
        }
        assert_eq!(ground.count(), Some(MAX_IDLE));
        for surplus in &mut ends[MAX_IDLE..] {
            assert!(is_closed(surplus).await);
        }
        drop(ground.upstream.pop(ground.now).unwrap());
        assert!(is_closed(&mut ends[MAX_IDLE - 1]).await);
    }

    #[tokio::test]
    async fn connections_that_were_idle_for_long_are_closed() {
        let ground = Ground::new().await;
        let mut old = ground.idle(MAX_IDLE_TIME).await;
        let mut older = ground.idle(MAX_IDLE_TIME).await;
        assert!(ground.upstream.pop(ground.now).is_none());
        assert!(is_closed(&mut old).await && is_closed(&mut older).await);
        let mut old = ground.idle(MAX_IDLE_TIME).await;
        let _new = ground.idle(Duration::ZERO).await;
        assert!(is_closed(&mut old).await, "a newer one that comes back sends the old ones away");
        assert_eq!(ground.count(), Some(1));
    }

    #[tokio::test]
    async fn a_connection_that_the_replica_closed_is_not_used() {
        let ground = Ground::new().await;
        drop(ground.idle(Duration::ZERO).await);
        // Until the end has arrived here, the connection looks good.
        let begun = Instant::now();
        while let Some(connection) = ground.upstream.idle().await {
            ground.upstream.give_back(connection, Instant::now());
            assert!(begun.elapsed() < Duration::from_secs(20));
            tokio::task::yield_now().await;
        }
        assert_eq!(ground.count(), Some(0));
    }

    #[tokio::test]
    async fn a_retired_replica_keeps_no_connection() {
        let ground = Ground::new().await;
        let mut idle = ground.idle(Duration::ZERO).await;
        let (busy, mut busy_end) = ground.pair().await;
        ground.upstream.retire();
        assert!(is_closed(&mut idle).await);
        ground.upstream.give_back(busy, ground.now);
        assert!(is_closed(&mut busy_end).await);
        assert!(ground.upstream.idle().await.is_none());
    }
}
