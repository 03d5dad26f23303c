//! Random clusters, random misfortune: whatever happens, trying again ends well.
//!
//! One cluster, dying at every single call of `up` and of `down`; then schedules, each made from one seed: it tries `up` several times, dying at random calls, with calls throttled and replies lost;
//! then leaves it alone until the plan is empty; changes something; then takes everything down again, dying there too.
//! `PROVISION_SCHEDULES` says how many, `PROVISION_SEED` where they begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use provision::{
    destroy::{Destroyed, destroy},
    execute::{Event, Settings},
    resource::Kind,
    sim::{Crash, SimCloud, SimOptions},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ground::{self, FOREIGN, PRIVATE, Spec, spec};

const SCHEDULES: u64 = 500;
/// Attempts, without dying, after which it has to be as wanted.
const PATIENCE: usize = 6;

#[derive(Default)]
struct Tally {
    crashes: usize,
    rounds: usize,
    duplicates: usize,
}

#[test]
fn every_schedule_converges() {
    let number = |name: &str, default| std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"));
    let (first, count) = (number("PROVISION_SEED", 0), number("PROVISION_SCHEDULES", SCHEDULES));
    let threads = 2;
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let run = |offset| move || (first + offset..first + count).step_by(threads).map(schedule).collect::<Vec<_>>();
        let handles: Vec<_> = (0..threads as u64).map(|offset| scope.spawn(run(offset))).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("the seed is above")).collect()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    println!(
        "{} schedules from seed {first}: {} crashes, {} attempts, {} duplicates on the way",
        tallies.len(),
        sum(|t| t.crashes),
        sum(|t| t.rounds),
        sum(|t| t.duplicates),
    );
}

#[tokio::test(start_paused = true)]
async fn dying_at_every_call() {
    let cluster = spec(PRIVATE);
    let mut calls = (0, 0);
    for nth in 1.. {
        for when in [Crash::Before, Crash::Amid, Crash::After] {
            let cloud = SimCloud::new(SimOptions { lag: Duration::from_secs(3), ..SimOptions::kind(nth as u64) });
            cloud.crash_at(nth, when);
            let up = tokio::select! {
                () = attempt(&cluster, &cloud) => false,
                () = cloud.crashed() => true,
            };
            cloud.revive();
            let mut tally = Tally::default();
            converge(&cluster, &cloud, &mut tally).await.unwrap_or_else(|why| panic!("{nth} {when:?}: {why}"));

            cloud.crash_at(nth, when);
            let down = tokio::select! {
                _ = down(&cluster, &cloud) => false,
                () = cloud.crashed() => true,
            };
            cloud.revive();
            let destroyed = self::down(&cluster, &cloud).await;
            sleep(Duration::from_secs(10)).await;
            assert!(destroyed.is_complete(), "{nth} {when:?}: {destroyed}");
            assert_eq!(cloud.inventory(), Vec::<String>::new(), "{nth} {when:?}");
            calls = (calls.0 + usize::from(up), calls.1 + usize::from(down));
            if !up && !down {
                println!("died at {} calls of up and {} of down", calls.0, calls.1);
                return;
            }
        }
    }
}

fn schedule(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    match runtime.block_on(life(seed)) {
        Ok(tally) => tally,
        Err(problem) => panic!("PROVISION_SEED={seed} PROVISION_SCHEDULES=1: {problem}"),
    }
}

async fn life(seed: u64) -> Result<Tally, String> {
    let mut random = StdRng::seed_from_u64(seed);
    let yaml = cluster(&mut random);
    let cloud = SimCloud::new(SimOptions {
        seed,
        lag: Duration::from_millis(random.random_range(0..4000)),
        throttled: random.random_range(0.0..0.2),
        lost: random.random_range(0.0..0.1),
    });
    cloud.bring(FOREIGN);
    let before = cloud.inventory();
    let mut tally = Tally::default();
    let cluster = spec(&yaml);
    for _ in 0..random.random_range(0..5) {
        tally.crashes += usize::from(dying_up(&cluster, &cloud, &mut random).await);
    }
    converge(&cluster, &cloud, &mut tally).await.map_err(|why| format!("{why}\n{yaml}"))?;

    let changed = spec(&format!("{yaml}log_retention_days: 7\n"));
    tally.crashes += usize::from(dying_up(&changed, &cloud, &mut random).await);
    converge(&changed, &cloud, &mut tally).await.map_err(|why| format!("after a change: {why}\n{yaml}"))?;

    cloud.grow(Kind::EcsService, "iris");
    let mut last = None;
    for attempt in 0.. {
        let dies = attempt < 2 && random.random_bool(0.5);
        if dies {
            cloud.crash_at(random.random_range(1..40), crash(&mut random));
        }
        let done = tokio::select! {
            done = down(&changed, &cloud) => Some(done),
            () = cloud.crashed() => None,
        };
        cloud.revive();
        tally.crashes += usize::from(done.is_none());
        if let Some(done) = done {
            last = Some(done);
            break;
        }
    }
    let last = last.expect("the loop ends with a report");
    sleep(Duration::from_secs(10)).await;
    match last.is_complete() && cloud.inventory() == before {
        true => Ok(tally),
        false => Err(format!("left behind: {:?}\n{last}\n{yaml}", cloud.inventory())),
    }
}

/// Whether it died.
async fn dying_up(spec: &Spec, cloud: &SimCloud, random: &mut StdRng) -> bool {
    // The first calls are those that can be made twice.
    let calls = if random.random_bool(0.5) { 15 } else { 60 };
    cloud.crash_at(random.random_range(1..calls), crash(random));
    let died = tokio::select! {
        () = attempt(spec, cloud) => false,
        () = cloud.crashed() => true,
    };
    cloud.revive();
    // People are quick to try again.
    let most = if random.random_bool(0.5) { 500 } else { 6000 };
    sleep(Duration::from_millis(random.random_range(0..most))).await;
    died
}

/// What is refused because something is not yet seen is tried again like anything else.
async fn attempt(spec: &Spec, cloud: &SimCloud) {
    if let Ok(plan) = spec.plan(cloud, "1").await {
        ground::run(&plan, cloud).await;
    }
}

async fn converge(spec: &Spec, cloud: &SimCloud, tally: &mut Tally) -> Result<(), String> {
    let mut problem = String::new();
    for _ in 0..PATIENCE {
        tally.rounds += 1;
        // So that everything is seen.
        sleep(Duration::from_secs(8)).await;
        let observed = spec.observe(cloud).await;
        let mut keys: BTreeMap<_, usize> = BTreeMap::new();
        for found in observed.iter().filter(|found| found.state != provision::cloud::State::Deleting) {
            *keys.entry(&found.key).or_default() += 1;
        }
        let duplicates: Vec<_> = keys.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key.clone()).collect();
        tally.duplicates += duplicates.len();
        match spec.plan(cloud, "2").await {
            Ok(plan) if plan.is_empty() && duplicates.is_empty() => {
                let calls = cloud.calls().mutating();
                let report = ground::run(&plan, cloud).await;
                return match report.is_complete() && cloud.calls().mutating() == calls {
                    true => Ok(()),
                    false => Err(format!("an empty plan did something, or is not complete: {report}")),
                };
            }
            Ok(plan) => {
                let report = ground::run(&plan, cloud).await;
                problem = format!("{plan}\n{report}");
            }
            Err(refused) => problem = refused.to_string(),
        }
    }
    Err(format!("does not converge: {problem}"))
}

async fn down(spec: &Spec, cloud: &SimCloud) -> Destroyed {
    let never = CancellationToken::new();
    destroy(cloud, &spec.id(), &BTreeSet::new(), &Settings::new(5), &|_: Event| {}, &never).await
}

fn crash(random: &mut StdRng) -> Crash {
    [Crash::Before, Crash::Amid, Crash::After][random.random_range(0..3)]
}

/// A small cluster of any shape.
fn cluster(random: &mut StdRng) -> String {
    let mut yaml = "cluster_name: demo\nregion: us-east-1\n".to_owned();
    let pick = |random: &mut StdRng, from: &[&str]| from[random.random_range(0..from.len())].to_owned();
    let private = random.random_bool(0.5);
    let visibility = if private { "private" } else { "public" };
    let schemes = ["internet-facing", "internal"];
    let (mut api, mut operator) = (pick(random, &schemes), pick(random, &schemes));
    let brought = random.random_bool(0.2);
    if brought && private {
        (api, operator) = ("internal".to_owned(), "internal".to_owned());
    }
    writeln!(yaml, "subnet_visibility: {visibility}").unwrap();
    writeln!(yaml, "api_load_balancer_scheme: {api}\noperator_load_balancer_scheme: {operator}").unwrap();
    if api == operator && random.random_bool(0.3) {
        yaml.push_str("load_balancer: dedicated\n");
    }
    if brought {
        for (zone, subnet) in [("a", "0"), ("b", "1")] {
            let list = if zone == "a" { "subnets:\n" } else { "" };
            let id = format!("subnet-0123456789abcdef{subnet}");
            writeln!(yaml, "{list}  - {{availability_zone: us-east-1{zone}, subnet_id: {id}}}").unwrap();
        }
    } else {
        writeln!(yaml, "vpc_cidr: {}", pick(random, &["10.0.0.0/16", "10.1.0.0/20", "192.168.7.0/24"])).unwrap();
        if private {
            writeln!(yaml, "nat_gateway: {}", pick(random, &["single", "highly_available"])).unwrap();
        }
        if random.random_bool(0.3) {
            yaml.push_str("availability_zones: [us-east-1a, us-east-1b, us-east-1c]\n");
        }
    }
    writeln!(yaml, "control_plane: {{instances: {}}}", random.random_range(1..4)).unwrap();
    yaml.push_str("node_groups:\n");
    for group in 0..random.random_range(1..4) {
        let (min, spot) = (random.random_range(0..3), random.random_bool(0.3));
        writeln!(
            yaml,
            "  - {{name: g{group}, instance_type: m5.large, min_instances: {min}, max_instances: 4, spot: {spot}}}"
        )
        .unwrap();
    }
    yaml
}
