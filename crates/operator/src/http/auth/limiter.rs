//! How often callers who have not proved who they are may make us ask STS.
//!
//! Token buckets: one per address, one per address and access key id, one for all. Whoever proves their identity gets
//! back what it cost, so a good caller is limited only in how many requests are being proved at once, and from then on
//! for a while pays from the bucket of address and key alone: junk from the same address, or from everywhere, cannot
//! lock them out unless it also names their key from their address. A key id alone is never a reason to refuse.
//!
//! Memory is bounded: when a table is full of buckets that are in use, all further keys share one.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use transport::Peer;

/// What one bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    pub burst: f64,
    pub per_second: f64,
}

/// Attempts whose identity is not proved (yet).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budgets {
    pub per_address: Budget,
    pub per_address_and_key: Budget,
    /// All strangers together.
    pub strangers: Budget,
    /// Keys in each table.
    pub table: usize,
}

impl Default for Budgets {
    /// STS's own quota is 600 a second for each account and region, shared with AssumeRole.
    fn default() -> Self {
        Self {
            per_address: Budget { burst: 60.0, per_second: 1.0 },
            per_address_and_key: Budget { burst: 30.0, per_second: 1.0 },
            strangers: Budget { burst: 200.0, per_second: 50.0 },
            table: 20_000,
        }
    }
}

/// How long a proof counts for the next one.
const KNOWN: Duration = Duration::from_secs(15 * 60);
/// A full table is walked through at most this often.
const SWEEP: Duration = Duration::from_secs(1);

pub(super) struct Limiter {
    inner: Mutex<Inner>,
}

struct Inner {
    addresses: Table<AddressKey>,
    pairs: Table<PairKey>,
    strangers: Bucket,
    budgets: Budgets,
}

type AddressKey = Ipv6Addr;
type PairKey = (Ipv6Addr, [u8; 16]);

/// The right to ask STS once. What is not given back is spent.
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    pair: PairKey,
    /// Whether the address and the strangers' bucket were charged.
    stranger: bool,
}

impl Limiter {
    pub(super) fn new(budgets: Budgets) -> Self {
        let now = Instant::now();
        let inner = Inner {
            addresses: Table::new(budgets.per_address, budgets.table, now),
            pairs: Table::new(budgets.per_address_and_key, budgets.table, now),
            strangers: Bucket::full(budgets.strangers, now),
            budgets,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// The permit, or how many seconds to wait.
    pub(super) fn admit(&self, peer: Peer, access_key_id: &str, now: Instant) -> Result<Permit<'_>, u32> {
        let address = address(peer);
        let pair = (address, key_hash(access_key_id));
        let mut inner = self.lock();
        inner.pairs.take(pair, now)?;
        let stranger = !inner.pairs.is_known(&pair, now);
        if stranger && let Err(wait) = inner.charge_stranger(address, now) {
            inner.pairs.put_back(&pair, now);
            return Err(wait);
        }
        Ok(Permit { limiter: self, pair, stranger })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn charge_stranger(&mut self, address: AddressKey, now: Instant) -> Result<(), u32> {
        self.addresses.take(address, now)?;
        let budget = self.budgets.strangers;
        self.strangers.take(budget, now).inspect_err(|_| self.addresses.put_back(&address, now))
    }
}

impl Permit<'_> {
    /// The caller has proved who they are.
    pub(super) fn give_back(self, now: Instant) {
        let mut inner = self.limiter.lock();
        inner.pairs.put_back(&self.pair, now);
        inner.pairs.know(self.pair, now);
        if self.stranger {
            inner.addresses.put_back(&self.pair.0, now);
            let budget = inner.budgets.strangers;
            inner.strangers.put_back(budget, now);
        }
    }
}

struct Table<K> {
    budget: Budget,
    capacity: usize,
    buckets: HashMap<K, Bucket>,
    /// For all keys that found no room.
    shared: Bucket,
    swept_at: Option<Instant>,
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn new(budget: Budget, capacity: usize, now: Instant) -> Self {
        Self { budget, capacity, buckets: HashMap::new(), shared: Bucket::full(budget, now), swept_at: None }
    }

    fn take(&mut self, key: K, now: Instant) -> Result<(), u32> {
        let budget = self.budget;
        self.bucket(key, now).take(budget, now)
    }

    fn bucket(&mut self, key: K, now: Instant) -> &mut Bucket {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.capacity {
            self.sweep(now);
            if self.buckets.len() >= self.capacity {
                return &mut self.shared;
            }
        }
        self.buckets.entry(key).or_insert_with(|| Bucket::full(self.budget, now))
    }

    /// A full bucket of a caller we do not know is as good as none.
    fn sweep(&mut self, now: Instant) {
        if self.swept_at.is_some_and(|at| now - at < SWEEP) {
            return;
        }
        let budget = self.budget;
        self.buckets.retain(|_, bucket| bucket.is_known(now) || bucket.level(budget, now) < budget.burst);
        self.swept_at = Some(now);
    }

    fn put_back(&mut self, key: &K, now: Instant) {
        let bucket = self.buckets.get_mut(key).unwrap_or(&mut self.shared);
        bucket.put_back(self.budget, now);
    }

    fn is_known(&self, key: &K, now: Instant) -> bool {
        self.buckets.get(key).is_some_and(|bucket| bucket.is_known(now))
    }

    fn know(&mut self, key: K, now: Instant) {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.known_until = Some(now + KNOWN);
        }
    }
}

struct Bucket {
    level: f64,
    at: Instant,
    known_until: Option<Instant>,
}

impl Bucket {
    fn full(budget: Budget, now: Instant) -> Self {
        Self { level: budget.burst, at: now, known_until: None }
    }

    fn is_known(&self, now: Instant) -> bool {
        self.known_until.is_some_and(|until| until > now)
    }

    fn level(&self, budget: Budget, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * budget.per_second;
        (self.level + filled).min(budget.burst)
    }

    /// Takes one, or tells in how many seconds there will be one.
    fn take(&mut self, budget: Budget, now: Instant) -> Result<(), u32> {
        self.level = self.level(budget, now);
        self.at = now;
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - self.level) / budget.per_second).unwrap_or(Duration::MAX);
        Err(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }

    fn put_back(&mut self, budget: Budget, now: Instant) {
        self.level = (self.level(budget, now) + 1.0).min(budget.burst);
        self.at = now;
    }
}

/// [`Peer::client`], in as many bytes whatever it is.
fn address(peer: Peer) -> AddressKey {
    match peer.client() {
        None => Ipv6Addr::UNSPECIFIED,
        Some(IpAddr::V4(ip)) => ip.to_ipv6_mapped(),
        Some(IpAddr::V6(ip)) => ip,
    }
}

/// Key ids come from strangers and are of any length.
fn key_hash(access_key_id: &str) -> [u8; 16] {
    let hash = Sha256::digest(access_key_id);
    std::array::from_fn(|position| hash[position])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKIDEXAMPLE000000001";

    fn limiter(table: usize) -> Limiter {
        Limiter::new(Budgets {
            per_address: Budget { burst: 4.0, per_second: 1.0 },
            per_address_and_key: Budget { burst: 2.0, per_second: 1.0 },
            strangers: Budget { burst: 8.0, per_second: 1.0 },
            table,
        })
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp(format!("{address}:1234").parse().expect("an address"))
    }

    fn admitted(limiter: &Limiter, address: &str, key: &str, now: Instant) -> bool {
        limiter.admit(peer(address), key, now).is_ok()
    }

    /// The good caller's request.
    fn prove(limiter: &Limiter, now: Instant) {
        match limiter.admit(peer("192.0.2.1"), KEY, now) {
            Ok(permit) => permit.give_back(now),
            Err(wait) => panic!("the good caller has to wait {wait} s"),
        }
    }

    #[test]
    fn row_26_junk_is_limited_by_key_then_by_address_then_at_all() {
        let (limiter, now) = (limiter(100), Instant::now());
        let admit = |address: &str, key: &str| admitted(&limiter, address, key, now);
        assert!(admit("192.0.2.1", KEY) && admit("192.0.2.1", KEY));
        assert!(!admit("192.0.2.1", KEY), "the pair's bucket is empty");
        assert!(admit("192.0.2.1", "another") && admit("192.0.2.1", "a third"));
        assert!(!admit("192.0.2.1", "a fourth"), "the address's bucket is empty");
        assert!(admit("192.0.2.2", KEY), "and nobody else's: a key id alone locks nobody out");
        for address in 3..6 {
            assert!(admit(&format!("192.0.2.{address}"), KEY));
        }
        assert!(!admit("192.0.2.9", KEY), "strangers have used up what they have together");
        assert!(admitted(&limiter, "192.0.2.9", KEY, now + Duration::from_secs(1)), "it fills again");
    }

    #[test]
    fn row_26_a_good_caller_is_not_locked_out_by_junk() {
        let (limiter, now) = (limiter(100), Instant::now());
        for _ in 0..100 {
            prove(&limiter, now);
        }
        for junk in 0..200 {
            let _ = limiter.admit(peer(&format!("198.51.100.{junk}")), &format!("junk{junk}"), now);
            let _ = limiter.admit(peer("192.0.2.1"), &format!("junk{junk}"), now);
        }
        assert!(!admitted(&limiter, "203.0.113.1", KEY, now), "strangers wait");
        let later = now + Duration::from_secs(60);
        for at in [now, later] {
            prove(&limiter, at);
        }
    }

    #[test]
    fn a_refused_attempt_costs_nothing_and_says_when_to_come_again() {
        let (limiter, now) = (limiter(100), Instant::now());
        for key in ["a", "b", "c", "d"] {
            assert!(admitted(&limiter, "192.0.2.1", key, now));
        }
        for _ in 0..10 {
            assert_eq!(limiter.admit(peer("192.0.2.1"), "e", now).err(), Some(2));
        }
        assert!(admitted(&limiter, "192.0.2.1", "e", now + Duration::from_secs(1)), "its own bucket was not charged");
    }

    #[test]
    fn one_holder_of_ipv6_addresses_is_one_address() {
        assert_eq!(address(peer("[2001:db8::1]")), address(peer("[2001:db8::ffff:1]")));
        assert_ne!(address(peer("[2001:db8:0:1::1]")), address(peer("[2001:db8::1]")));
        assert_eq!(address(peer("[::ffff:192.0.2.1]")), address(peer("192.0.2.1")));
        assert_ne!(address(peer("192.0.2.1")), address(peer("192.0.2.2")));
        assert_ne!(address(Peer::Local), address(peer("127.0.0.1")));
    }

    #[test]
    fn row_01_memory_is_bounded_whoever_calls() {
        let limiter = limiter(10);
        let now = Instant::now();
        for address in 0..1000u32 {
            let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + address).to_string();
            let _ = limiter.admit(peer(&ip), KEY, now);
        }
        let inner = limiter.lock();
        assert!(inner.addresses.buckets.len() <= 10 && inner.pairs.buckets.len() <= 10);
        drop(inner);
        let later = now + Duration::from_secs(60);
        assert!(admitted(&limiter, "192.0.2.1", KEY, later), "full buckets made room");
        assert!(limiter.lock().pairs.buckets.len() <= 10);
    }
}
