//! What junk costs, in numbers: for `cargo xtask bench operator`, which takes the one line of JSON.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use http::StatusCode;
use identity::{Secret, sts::AwsCredentials};
use operator::Budgets;
use serde_json::json;

use crate::{
    BATCH, CONNECTIONS,
    door::{Call, Door},
    junk, resident_kib, send,
};

const TIME: Duration = Duration::from_secs(10);

/// Asks, and asks again, until it is over; milliseconds of each answer.
async fn good_caller(door: &Door, over: &AtomicBool) -> Vec<f64> {
    let alice = door.sts.alice();
    let mut took = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let call = door.signed(&alice, Call::info());
        let begun = Instant::now();
        assert_eq!(door.send(&call).await.status, StatusCode::OK);
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    took
}

/// The good caller's times, and what `load` made of its own, side by side for some seconds.
async fn beside<T>(door: &Door, load: impl AsyncFn(&AtomicBool) -> T) -> (Vec<f64>, T) {
    let over = AtomicBool::new(false);
    let clock = async {
        tokio::time::sleep(TIME).await;
        over.store(true, Ordering::SeqCst);
    };
    let (good, made, ()) = tokio::join!(good_caller(door, &over), load(&over), clock);
    (good, made)
}

fn at(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    (sorted[index] * 100.0).round() / 100.0
}

/// Requests with a good form and a guessed secret; how many were sent.
async fn forge(door: &Door, number: usize, over: &AtomicBool) -> usize {
    let mut sent = 0;
    while !over.load(Ordering::SeqCst) {
        let keys = AwsCredentials {
            access_key_id: format!("AKIDJUNK{:012}", number * 1000 + sent % 100),
            secret_access_key: Secret::new("guessed"),
            session_token: None,
        };
        let status = door.send(&door.signed(&keys, Call::info())).await.status;
        assert!([StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&status), "{status}");
        sent += 1;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: `cargo xtask bench operator`"]
async fn what_junk_costs() {
    let budgets = Budgets::default();
    let door = Door::open_with(budgets).await;
    let (idle, ()) = beside(&door, async |_| ()).await;

    let junk = junk(&door);
    send(&door, &junk, 10_000).await;
    let (asked, before) = (door.sts.asked(), resident_kib());
    let flood = async |over: &AtomicBool| {
        let one = async || {
            let mut sent = 0;
            while !over.load(Ordering::SeqCst) {
                sent += send(&door, &junk, 20 * BATCH).await;
            }
            sent
        };
        join_all((0..CONNECTIONS).map(|_| one())).await.into_iter().sum::<usize>()
    };
    let (flooded, malformed) = beside(&door, flood).await;
    let junk_sts_calls = door.sts.asked() - asked - flooded.len();
    let grown = resident_kib().saturating_sub(before);

    let asked = door.sts.asked();
    let forgers = async |over: &AtomicBool| {
        join_all((0..CONNECTIONS).map(|number| forge(&door, number, over))).await.into_iter().sum::<usize>()
    };
    let (beside_forgers, forged) = beside(&door, forgers).await;
    let report = json!({
        "bench": "operator",
        "malformed_per_second": malformed as u64 / TIME.as_secs(),
        "junk_sts_calls": junk_sts_calls,
        "junk_rss_growth_mb": (grown as f64 / 102.4).round() / 10.0,
        "good_p50_ms": [at(&idle, 0.5), at(&flooded, 0.5), at(&beside_forgers, 0.5)],
        "good_p99_ms": [at(&idle, 0.99), at(&flooded, 0.99), at(&beside_forgers, 0.99)],
        "good_answers": [idle.len(), flooded.len(), beside_forgers.len()],
        "forged": forged,
        "forged_sts_calls": door.sts.asked() - asked - beside_forgers.len(),
        "forged_budget": (budgets.per_address.burst + budgets.per_address.per_second * TIME.as_secs_f64()).ceil(),
    });
    println!("\n{report}");
    door.close().await;
}
