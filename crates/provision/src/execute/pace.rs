//! How many calls run at once, and how fast they follow each other: per service, shared by everything.
//!
//! A token bucket keeps below the limits that are known; when a service still complains, its rate is halved, and grows back
//! as calls succeed.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until},
};

use super::Settings;
use crate::{
    cloud::{CloudError, ErrorKind},
    resource::Service,
};

/// Of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub at_once: usize,
    /// Calls of ours; one may be several requests.
    pub per_second: u32,
    /// That may come at once, after a pause.
    pub burst: u32,
}

impl Limit {
    /// Well below what accounts have by default; EC2: "Request throttling", EC2 API reference.
    pub fn of(service: Service) -> Self {
        let (at_once, per_second, burst) = match service {
            Service::Ec2 => (24, 20, 50),
            Service::Elb => (12, 10, 20),
            Service::S3 => (16, 50, 50),
            Service::Iam => (8, 10, 15),
            Service::AutoScaling => (8, 10, 15),
            Service::Ecs => (8, 10, 15),
            Service::Logs => (4, 5, 5),
        };
        Self { at_once, per_second, burst }
    }
}

/// How many times slower complaints can make a service. The limits are the account's: somebody else may be using them up,
/// and being slow does not help against that.
const SLOWEST: u32 = 8;

pub(crate) struct Pace {
    lanes: BTreeMap<Service, Lane>,
}

struct Lane {
    slots: Semaphore,
    limit: Limit,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    /// When the bucket will be full again, if nobody takes anything.
    full_at: Instant,
    /// Time for one token.
    interval: Duration,
}

impl Pace {
    pub(crate) fn new(settings: &Settings) -> Self {
        let lane = |service: &Service| {
            let limit = settings.limits.get(service).copied().unwrap_or(Limit::of(*service));
            let bucket = Bucket { full_at: Instant::now(), interval: interval(limit) };
            (*service, Lane { slots: Semaphore::new(limit.at_once), limit, bucket: Mutex::new(bucket) })
        };
        Self { lanes: Service::ALL.iter().map(lane).collect() }
    }

    /// Waits for this call's turn; it may run as long as the permit lives.
    pub(crate) async fn enter(&self, service: Service) -> SemaphorePermit<'_> {
        let lane = &self.lanes[&service];
        let permit = lane.slots.acquire().await.expect("never closed");
        let now = Instant::now();
        let turn = lane.take(now);
        if turn > now {
            sleep_until(turn).await;
        }
        permit
    }

    /// To be told of every call's end.
    pub(crate) fn note<T>(&self, service: Service, result: &Result<T, CloudError>) {
        let lane = &self.lanes[&service];
        let mut bucket = lane.bucket.lock().expect("nobody panics while holding it");
        let usual = interval(lane.limit);
        bucket.interval = match result {
            Err(error) if error.kind == ErrorKind::Throttled => (bucket.interval * 2).min(usual * SLOWEST),
            _ => (bucket.interval * 3 / 4).max(usual),
        };
    }
}

fn interval(limit: Limit) -> Duration {
    Duration::from_secs(1) / limit.per_second.max(1)
}

impl Lane {
    /// Takes one token; when it may be used.
    fn take(&self, now: Instant) -> Instant {
        let mut bucket = self.bucket.lock().expect("nobody panics while holding it");
        let interval = bucket.interval;
        bucket.full_at = bucket.full_at.max(now) + interval;
        let burst = interval * self.limit.burst.max(1);
        bucket.full_at.checked_sub(burst).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_a_steady_rate_then_slower_after_complaints() {
        let mut settings = Settings::new(0);
        settings.limits.insert(Service::Elb, Limit { at_once: 100, per_second: 10, burst: 5 });
        let pace = Pace::new(&settings);
        let begun = Instant::now();
        for _ in 0..5 {
            drop(pace.enter(Service::Elb).await);
        }
        assert_eq!(begun.elapsed().as_millis(), 0);
        for _ in 0..10 {
            drop(pace.enter(Service::Elb).await);
        }
        assert!((900..1100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        pace.note::<()>(Service::Elb, &Err(CloudError::new(ErrorKind::Throttled, "slow down")));
        let slower = Instant::now();
        for _ in 0..20 {
            drop(pace.enter(Service::Elb).await);
        }
        assert!(slower.elapsed().as_millis() >= 3000, "{:?}", slower.elapsed());
    }
}
