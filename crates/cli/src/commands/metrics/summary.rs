//! What a page of metrics says of each API.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;
use telemetry::{Samples, catalogue::gateway, catalogue::operator, quantile};

#[derive(Debug, Serialize)]
pub struct Summary {
    /// Whether a gateway told its numbers; without one only replicas are known.
    pub gateway: bool,
    /// Seconds that counts and latencies are of; absent if they are of all the time since the gateway began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    pub apis: Vec<ApiSummary>,
}

#[derive(Debug, Serialize)]
pub struct ApiSummary {
    pub name: String,
    pub replicas: Replicas,
    pub requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Of those requests, the ones whose status code was 5xx.
    pub errors: u64,
    pub latency_seconds: Latency,
    pub in_flight: u64,
    /// At the gateway and at replicas.
    pub queued: u64,
    pub retries: u64,
}

#[derive(Debug, Serialize)]
pub struct Replicas {
    pub wanted: u64,
    pub ready: u64,
}

#[derive(Debug, Serialize)]
pub struct Latency {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

impl Summary {
    /// `before`: an earlier page, and how long ago that was; counts are then what has been added. `only`: that API.
    pub fn of(now: &Samples, before: Option<(&Samples, Duration)>, only: Option<&str>) -> Self {
        let names = now.of(operator::WANTED.name, &[]).map(|sample| sample.label("api"));
        let names: BTreeSet<&str> = names.filter(|name| only.is_none_or(|only| only == *name)).collect();
        let told = [("target", "gateway")];
        Self {
            gateway: now.sum(operator::SCRAPED.name, &told) > 0.0,
            seconds: before.map(|(_, time)| time.as_secs_f64()),
            apis: names.into_iter().map(|name| ApiSummary::of(name, now, before)).collect(),
        }
    }
}

impl ApiSummary {
    fn of(name: &str, now: &Samples, before: Option<(&Samples, Duration)>) -> Self {
        let api = [("api", name)];
        // A gateway that was started again begins with nothing.
        let added = |of: &dyn Fn(&Samples) -> f64| {
            let (now, earlier) = (of(now), before.map_or(0.0, |(samples, _)| of(samples)));
            if now < earlier { now } else { now - earlier }
        };
        let requests = added(&|samples| samples.sum(gateway::REQUESTS.name, &api));
        let errors = added(&|samples| {
            let all = samples.of(gateway::REQUESTS.name, &api);
            all.filter(|sample| sample.label("code").starts_with('5')).map(|sample| sample.value).sum()
        });
        let buckets = |samples: &Samples| samples.buckets(gateway::DURATION.name, &api);
        let earlier = before.map(|(samples, _)| buckets(samples)).unwrap_or_default();
        let mut times = buckets(now);
        if earlier.last().is_some_and(|(_, all)| times.last().is_some_and(|(_, now)| now >= all)) {
            times.iter_mut().zip(&earlier).for_each(|((_, count), (_, earlier))| *count -= earlier);
        }
        let gauge = |name| now.sum(name, &api) as u64;
        let ready = [("api", name), ("phase", "ready")];
        Self {
            name: name.to_owned(),
            replicas: Replicas {
                wanted: gauge(operator::WANTED.name),
                ready: now.sum(operator::REPLICAS.name, &ready) as u64,
            },
            requests: requests as u64,
            requests_per_second: before.map(|(_, time)| requests / time.as_secs_f64().max(f64::EPSILON)),
            errors: errors as u64,
            latency_seconds: Latency {
                p50: quantile(0.5, &times),
                p95: quantile(0.95, &times),
                p99: quantile(0.99, &times),
            },
            in_flight: gauge(gateway::IN_FLIGHT.name),
            queued: gauge(gateway::QUEUED.name) + gauge(telemetry::catalogue::replica::QUEUED.name),
            retries: added(&|samples| samples.sum(gateway::RETRIES.name, &api)) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(requests: u64, errors: u64, fast: u64, slow: u64) -> Samples {
        let all = fast + slow;
        let text = format!(
            "cortex_operator_replicas_wanted{{api=\"a\"}} 2\ncortex_operator_replicas_wanted{{api=\"b\"}} 1\n\
             cortex_operator_replicas{{api=\"a\",phase=\"ready\"}} 1\n\
             cortex_operator_scraped{{target=\"gateway\"}} 1\n\
             cortex_gateway_requests_total{{api=\"a\",code=\"200\"}} {requests}\n\
             cortex_gateway_requests_total{{api=\"a\",code=\"502\"}} {errors}\n\
             cortex_gateway_request_duration_seconds_bucket{{api=\"a\",le=\"1\"}} {fast}\n\
             cortex_gateway_request_duration_seconds_bucket{{api=\"a\",le=\"2\"}} {all}\n\
             cortex_gateway_request_duration_seconds_bucket{{api=\"a\",le=\"+Inf\"}} {all}\n"
        );
        Samples::parse(&text).expect("a page")
    }

    #[test]
    fn counts_are_of_all_time_or_since_the_last_look() {
        let (first, second) = (page(10, 0, 10, 0), page(20, 10, 10, 20));
        let all = Summary::of(&second, None, Some("a"));
        let [a] = &all.apis[..] else { panic!("{all:?}") };
        assert_eq!((a.requests, a.errors, a.replicas.wanted, a.replicas.ready), (30, 10, 2, 1));
        assert_eq!((a.requests_per_second, all.gateway), (None, true));
        let since = Summary::of(&second, Some((&first, Duration::from_secs(2))), None);
        assert_eq!(since.apis.len(), 2);
        let a = &since.apis[0];
        assert_eq!((a.requests, a.errors, a.requests_per_second), (20, 10, Some(10.0)));
        assert_eq!((a.latency_seconds.p50, a.latency_seconds.p99), (Some(1.5), Some(1.99)));
        assert_eq!(since.apis[1].latency_seconds.p50, None);
    }

    #[test]
    fn a_gateway_that_was_started_again_does_not_count_backwards() {
        let since = Summary::of(&page(3, 0, 3, 0), Some((&page(100, 0, 50, 50), Duration::from_secs(1))), Some("a"));
        assert_eq!((since.apis[0].requests, since.apis[0].latency_seconds.p50), (3, Some(0.5)));
    }
}
