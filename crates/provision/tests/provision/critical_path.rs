//! Wall time against the longest chain of what has to wait for each other, on the simulated clock.

use std::{collections::BTreeSet, time::Duration};

use provision::{
    destroy::destroy,
    execute::{Event, Settings},
    sim::{SimCloud, SimOptions},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ground::{self, HIGHLY_AVAILABLE, PRIVATE, PUBLIC, settle, spec};

/// DESIGN: at most five percent above what physics demands.
const BUDGET: f64 = 1.05;

async fn ratio(yaml: &str, seed: u64) -> (Duration, Duration) {
    let options = SimOptions { lag: Duration::from_millis(500), ..SimOptions::kind(seed) };
    let cloud = SimCloud::new(options);
    let spec = spec(yaml);
    let plan = spec.plan(&cloud, "1").await.unwrap();
    let critical = plan.critical_path(|step| cloud.timing(step));
    let begun = Instant::now();
    let report = ground::run(&plan, &cloud).await;
    assert!(report.is_complete(), "{report}");
    (begun.elapsed(), critical)
}

/// For information: what `down` takes, of which AWS needs the longest deletion at least.
async fn down(yaml: &str, seed: u64) -> Duration {
    let cloud = SimCloud::new(SimOptions { lag: Duration::from_millis(500), ..SimOptions::kind(seed) });
    let spec = spec(yaml);
    assert!(spec.up(&cloud).await.is_complete());
    settle().await;
    let (none, never) = (BTreeSet::new(), CancellationToken::new());
    let destroyed = destroy(&cloud, &spec.id(), &none, &Settings::new(seed), &|_: Event| {}, &never).await;
    assert!(destroyed.is_complete(), "{destroyed}");
    destroyed.took
}

#[tokio::test(start_paused = true)]
async fn down_is_not_much_slower_than_its_slowest_deletion() {
    // "Creation/deletion times": 42 to 61 s for a NAT gateway, as much for a group with its instances.
    for (name, yaml, slowest) in
        [("public", PUBLIC, 45), ("private", PRIVATE, 50), ("highly available", HIGHLY_AVAILABLE, 50)]
    {
        for seed in 0..3 {
            let took = down(yaml, seed).await;
            println!("{name:16} seed {seed}: {took:>8.1?}, the slowest deletion {slowest} s");
            assert!(took < Duration::from_secs(slowest + 20), "{name}, seed {seed}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn wall_time_is_the_critical_path() {
    for (name, yaml) in [("public", PUBLIC), ("private", PRIVATE), ("highly available", HIGHLY_AVAILABLE)] {
        for seed in 0..10 {
            let (wall, critical) = ratio(yaml, seed).await;
            let ratio = wall.as_secs_f64() / critical.as_secs_f64();
            println!("{name:16} seed {seed}: {wall:>8.1?} of {critical:>8.1?}: {ratio:.3}");
            assert!(ratio <= BUDGET, "{name}, seed {seed}: {ratio:.3}");
            assert!(ratio >= 1.0, "{name}, seed {seed}: faster than possible: {ratio:.3}");
        }
    }
}
