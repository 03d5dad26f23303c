//! Waiting for what must happen, instead of sleeping for as long as it usually takes.

use std::time::{Duration, Instant};

/// How long a test waits for what must happen. Far longer than it takes, since machines can be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// Asks again until the answer is `Ok`; panics at the deadline with the last `Err`, which says what is still amiss.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(amiss) if begin.elapsed() > DEADLINE => panic!("not within {DEADLINE:?}: {what}\nlast seen: {amiss}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
