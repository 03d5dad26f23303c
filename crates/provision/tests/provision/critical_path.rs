//! Wall time against the longest chain of what has to wait for each other, on the simulated clock.

use std::time::Duration;

use provision::sim::{SimCloud, SimOptions};
use tokio::time::Instant;

use crate::ground::{self, HIGHLY_AVAILABLE, PRIVATE, PUBLIC, spec};

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
