//! How calls to AWS are repeated, how long they are waited for, and how their errors are told.

use std::{error::Error, time::Duration};

use aws_config::{
    retry::RetryConfig,
    timeout::{TimeoutConfig, TimeoutConfigBuilder},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the reply to one try begins. AWS answers what is asked here in tens of milliseconds.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// For all tries of one call together: the lease of a process that waits longer has run out anyway.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const TRIES: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(3);

pub(crate) fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF)
}

/// Of calls whose requests and replies are small.
pub(crate) fn timeouts() -> TimeoutConfig {
    connect_timeout()
        .read_timeout(TRY_TIMEOUT)
        .operation_attempt_timeout(TRY_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

pub(crate) fn connect_timeout() -> TimeoutConfigBuilder {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT)
}

/// Before another try of ours: anything up to twice as long as the last time.
pub(crate) async fn back_off(attempt: u32) {
    let longest = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(LONGEST_BACKOFF);
    tokio::time::sleep(longest.mul_f64(rand::random())).await;
}

/// The error with all that led to it, each text once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}
