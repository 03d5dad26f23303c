//! How many connections each client holds, so that one cannot take every place there is.
//!
//! Who is one client is said by [`Peer::client`]. Processes of this machine that come over a socket file are not counted.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::Peer;

#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    /// Of one client.
    limit: usize,
    held: Arc<Mutex<HashMap<IpAddr, Held>>>,
}

#[derive(Debug, Default)]
struct Held {
    connections: usize,
    /// Somebody has been told that this is too many.
    told: bool,
}

/// A client's hold on one connection.
#[derive(Debug)]
pub(crate) struct Place {
    client: Option<IpAddr>,
    held: Arc<Mutex<HashMap<IpAddr, Held>>>,
}

impl Crowd {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// `None`: this client has enough.
    pub(crate) fn admit(&self, peer: Peer) -> Option<Place> {
        let client = peer.client();
        if let Some(client) = client {
            let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let held = all.entry(client).or_default();
            if held.connections >= self.limit {
                if !std::mem::replace(&mut held.told, true) {
                    tracing::warn!(%client, limit = self.limit, "a client has too many connections; more are closed");
                }
                return None;
            }
            held.connections += 1;
        }
        Some(Place { client, held: Arc::clone(&self.held) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get_mut(&client) {
            held.connections -= 1;
            if held.connections == 0 {
                all.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp(format!("{address}:1234").parse().expect("an address"))
    }

    #[test]
    fn each_client_has_its_places_and_no_more() {
        let crowd = Crowd::new(2);
        let first = crowd.admit(peer("192.0.2.1")).expect("a place");
        let _second = crowd.admit(peer("[::ffff:192.0.2.1]")).expect("a place");
        assert!(crowd.admit(peer("192.0.2.1")).is_none());
        assert!(crowd.admit(peer("192.0.2.2")).is_some());
        drop(first);
        assert!(crowd.admit(peer("192.0.2.1")).is_some());

        let held: Vec<_> = (1..4).map(|host| crowd.admit(peer(&format!("[2001:db8::{host}]")))).collect();
        assert!(held[1].is_some() && held[2].is_none(), "one household");
        assert!(crowd.admit(peer("[2001:db8:0:1::1]")).is_some(), "the next one");
        let local: Vec<_> = (0..9).map(|_| crowd.admit(Peer::Local)).collect();
        assert!(local.iter().all(Option::is_some));
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let crowd = Crowd::new(2);
        for host in 0..200 {
            drop(crowd.admit(peer(&format!("192.0.2.{host}"))));
        }
        assert!(crowd.held.lock().expect("unpoisoned").is_empty());
    }
}
