//! Phase 6: which replica gets the request.
//!
//! Of two replicas taken at random, the one with fewer requests in flight: nearly as even as looking at all of them, at
//! the same price for three replicas and for five thousand, and many gateways do not all run to the same one (M.
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).

use std::sync::Arc;

use crate::{
    snapshot::Api,
    upstream::{InFlight, Upstream},
};

/// Takes a replica that is not among `tried`, if there is any; one that is out (`upstream::health`) only if there is no
/// other. `random` decides.
pub(crate) fn choose(api: &Api, tried: &[Arc<Upstream>], random: u64) -> Option<InFlight> {
    let all = &api.replicas[..];
    let is_tried = |replica: &Arc<Upstream>| tried.iter().any(|tried| Arc::ptr_eq(tried, replica));
    let good = |replica: &&Arc<Upstream>| !is_tried(replica) && !replica.is_out();
    let (left, right) = two_of(all.len(), random)?;
    let pick = match (Some(&all[left]).filter(good), Some(&all[right]).filter(good)) {
        (Some(left), Some(right)) if right.in_flight() < left.in_flight() => Some(right),
        (None, right) => right,
        (left, _) => left,
    };
    // Neither will do: look at all of them, beginning anywhere.
    let anywhere = || all[left..].iter().chain(&all[..left]);
    let pick = pick.or_else(|| anywhere().find(good)).or_else(|| anywhere().find(|replica| !is_tried(replica)));
    pick.map(InFlight::new)
}

/// Two different positions below `count`, or twice the same if there is only one.
fn two_of(count: usize, random: u64) -> Option<(usize, usize)> {
    let (first, second) = ((random >> 32) as usize, (random & 0xffff_ffff) as usize);
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let left = first % count;
            let right = second % (count - 1);
            Some((left, if right < left { right } else { right + 1 }))
        }
    }
}

#[cfg(test)]
mod tests {
    use api::routes::ReplicaRoute;
    use transport::Address;

    use super::*;

    fn api(count: usize) -> Api {
        let route = |number: usize| ReplicaRoute {
            id: number.to_string(),
            version: "v".to_owned(),
            address: Address::Tcp(format!("127.0.0.1:{}", number + 1)),
        };
        Api {
            name: "iris".into(),
            replicas: (0..count).map(|number| Arc::new(Upstream::new(&route(number)))).collect(),
            pages: Arc::default(),
            gate: Arc::default(),
            timeout: None,
            metrics: Arc::default(),
        }
    }

    #[test]
    fn the_two_are_different_and_every_pair_occurs() {
        assert_eq!(two_of(0, 7), None);
        assert_eq!(two_of(1, u64::MAX), Some((0, 0)));
        let mut seen = std::collections::HashSet::new();
        for first in 0..5u64 {
            for second in 0..4u64 {
                let (left, right) = two_of(5, first << 32 | second).unwrap();
                assert_ne!(left, right);
                seen.insert((left, right));
            }
        }
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn the_one_with_fewer_in_flight_gets_it() {
        let api = api(2);
        let guards: Vec<_> = (0..10).map(|random| choose(&api, &[], random).unwrap()).collect();
        assert_eq!([api.replicas[0].in_flight(), api.replicas[1].in_flight()], [5, 5]);
        drop(guards);
        assert_eq!([api.replicas[0].in_flight(), api.replicas[1].in_flight()], [0, 0]);
    }

    #[test]
    fn a_replica_that_is_out_is_the_last_resort_and_a_tried_one_none() {
        let api = api(3);
        api.replicas[0].refused();
        api.replicas[1].refused();
        for random in 0..100u64 {
            let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let chosen = choose(&api, &[], random).unwrap();
            assert_eq!(chosen.upstream().id, "2");
            let tried = [Arc::clone(&api.replicas[2])];
            assert_ne!(choose(&api, &tried, random).unwrap().upstream().id, "2");
            assert!(choose(&api, &api.replicas, random).is_none());
        }
        api.replicas[2].refused();
        assert!(choose(&api, &[], 7).is_some(), "if all are out, all are in");
    }

    #[test]
    fn load_is_even_over_many() {
        let api = api(50);
        let guards: Vec<_> = (0..5000).map(|_| choose(&api, &[], rand::random()).unwrap()).collect();
        let most = api.replicas.iter().map(|replica| replica.in_flight()).max().unwrap();
        assert!(most <= 110, "one of fifty replicas has {most} of {} requests", guards.len());
    }
}
