//! Random clusters, random misfortune: whatever happens, trying again ends well.
//!
//! A life, all of it from one seed: a random `cluster.yaml` is brought up, changed into another one, and taken down,
//! with calls throttled, replies lost and everything seen late. At calls picked at random the cloud is kept aside as it
//! would be had the caller died there, before the effect, amid several, or after it; each of these is a schedule
//! of its own, which recovers by `up` or by `down`, and may die again on the way. What has to hold of each:
//!
//! - `up` converges, to one of everything, and another `up` makes no call that changes anything;
//! - `down` leaves exactly what was there before;
//! - a change that is refused is refused before anything is touched, and the cluster stays as it was;
//! - nothing of anybody else's is touched.
//!
//! `PROVISION_SCHEDULES` says how many schedules there are in all; `PROVISION_SEED` asks for the life of one seed.

use std::{collections::BTreeSet, time::Duration};

use provision::{
    cloud::State,
    destroy::{Destroyed, destroy},
    execute::{Event, Report, Settings, execute},
    plan::Plan,
    resource::{Key, Kind},
    sim::{Crash, Fork, SimCloud, SimOptions},
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    ground::{FOREIGN, PRIVATE, Spec, spec},
    shapes::Shape,
};

const SCHEDULES: usize = 10_000;
/// Tests that share them, so that they run side by side.
const SHARES: usize = 8;
/// Attempts, without dying, after which it has to be as wanted.
const PATIENCE: usize = 6;
/// Later calls than these are rare, and none of the first is left out for long.
const CALLS: usize = 60;

macro_rules! shares {
    ($($name:ident $share:literal)*) => { $(#[test] fn $name() { share($share) })* };
}
shares! { share_0 0 share_1 1 share_2 2 share_3 3 share_4 4 share_5 5 share_6 6 share_7 7 }

fn share(share: usize) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().expect("a number"));
    let schedules = number("PROVISION_SCHEDULES").unwrap_or(SCHEDULES);
    let (mut tally, mut seed) = (Tally::default(), share);
    match number("PROVISION_SEED") {
        Some(asked) if asked % SHARES == share => tally.add(&live(asked)),
        Some(_) => return,
        None => {
            while tally.schedules < schedules.div_ceil(SHARES) {
                tally.add(&live(seed));
                seed += SHARES;
            }
        }
    }
    println!("{tally:?}, seeds to {seed}");
}

#[derive(Debug, Default)]
struct Tally {
    schedules: usize,
    crashes: usize,
    duplicates: usize,
    refused: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.crashes += other.crashes;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
    }
}

fn live(seed: usize) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut life = Life::new(seed as u64);
    match runtime.block_on(life.live()) {
        Ok(()) => life.tally,
        Err(problem) => panic!("PROVISION_SEED={seed}: {problem}"),
    }
}

/// One private cluster with a way out per zone, at every call there is.
#[tokio::test(start_paused = true)]
async fn dying_at_every_call() {
    let mut life = Life::new(0);
    life.options = SimOptions { lag: Duration::from_secs(3), ..SimOptions::kind(0) };
    let (cluster, cloud) = (spec(PRIVATE), SimCloud::new(life.options.clone()));
    let mut died = Vec::new();
    for of in ["up", "down"] {
        let modes = [Crash::Before, Crash::Amid, Crash::After];
        (1..100).for_each(|nth| modes.into_iter().for_each(|when| cloud.fork_at(nth, when)));
        let calls = cloud.calls().mutating();
        let result = match of {
            "up" => {
                attempt(&cluster, &cloud).await;
                life.converges(&cluster, &cloud).await
            }
            _ => life.goes(&cluster, &cloud).await,
        };
        result.unwrap_or_else(|why| panic!("{of}: {why}"));
        let forks = cloud.forks();
        died.push(cloud.calls().mutating() - calls);
        assert_eq!(forks.len(), modes.len() * died[died.len() - 1], "{of}");
        for (at, fork) in forks.iter().enumerate() {
            // Every call by both ways, with different modes.
            let recovery = if (fork.nth + at) % 2 == 0 { Recovery::Up } else { Recovery::Down };
            let result = life.recover(&cluster, fork, recovery).await;
            result.unwrap_or_else(|why| panic!("{of} died {:?} at call {}: {why}", fork.when, fork.nth));
        }
    }
    println!("died at {died:?} calls of up and down; {:?}", life.tally);
}

struct Life {
    random: SmallRng,
    options: SimOptions,
    tally: Tally,
    /// What was there before the cluster.
    before: Vec<String>,
}

/// What is tried after a crash.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Recovery {
    Up,
    Down,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let most = if random.random_bool(0.2) { 9000 } else { 4000 };
        let options = SimOptions {
            seed,
            lag: Duration::from_millis(random.random_range(0..most)),
            throttled: random.random_range(0.0..0.2),
            lost: random.random_range(0.0..0.1),
        };
        Self { random, options, tally: Tally::default(), before: Vec::new() }
    }

    async fn live(&mut self) -> Result<(), String> {
        let first = Shape::random(&mut self.random);
        let cluster = spec(&first.yaml());
        let cloud = SimCloud::new(self.options.clone());
        cloud.bring(FOREIGN);
        if self.random.random_bool(0.1) {
            let theirs =
                [("name: demo", "name: neighbour"), ("of-mine", "of-theirs"), ("group: clients", "group: others")];
            let neighbour = theirs.iter().fold(first.yaml(), |yaml, (ours, theirs)| yaml.replace(ours, theirs));
            attempt(&spec(&neighbour), &cloud).await;
            sleep(self.settled()).await;
            cloud.give_away();
        }
        self.before = cloud.inventory();

        self.ask_for_forks(&cloud, 10);
        attempt(&cluster, &cloud).await;
        self.converges(&cluster, &cloud).await.map_err(|why| format!("{why}\n{}", first.yaml()))?;
        self.recover_all(&cluster, &cloud, "up").await.map_err(|why| format!("{why}\n{}", first.yaml()))?;

        let second = first.changed(&mut self.random);
        let files = || format!("\n{}\nchanged into\n{}", first.yaml(), second.yaml());
        let cluster = self.change(&cluster, &second, &cloud).await.map_err(|why| format!("{why}{}", files()))?;

        self.ask_for_forks(&cloud, 10);
        self.goes(&cluster, &cloud).await.map_err(|why| format!("{why}{}", files()))?;
        self.recover_all(&cluster, &cloud, "down").await.map_err(|why| format!("{why}{}", files()))
    }

    /// The cluster as it is afterwards.
    async fn change(&mut self, cluster: &Spec, to: &Shape, cloud: &SimCloud) -> Result<Spec, String> {
        let changed = spec(&to.yaml());
        let calls = cloud.calls().mutating();
        let Ok(plan) = changed.plan(cloud, "1").await else {
            self.tally.refused += 1;
            let stays = cluster.plan(cloud, "2").await.is_ok_and(|plan| plan.is_empty());
            let untouched = cloud.calls().mutating() == calls;
            return match stays && untouched {
                true => Ok(Spec { name: cluster.name.clone(), aws: cluster.aws.clone() }),
                false => Err("refused, but not before something was touched".to_owned()),
            };
        };
        self.ask_for_forks(cloud, 6);
        run(&plan, cloud).await;
        self.converges(&changed, cloud).await?;
        self.recover_all(&changed, cloud, "change").await?;
        Ok(changed)
    }

    fn ask_for_forks(&mut self, cloud: &SimCloud, count: usize) {
        for _ in 0..count {
            // The first calls are those that can be made twice.
            let most = if self.random.random_bool(0.4) { 15 } else { CALLS };
            cloud.fork_at(self.random.random_range(1..most), crash(&mut self.random));
        }
    }

    async fn recover_all(&mut self, cluster: &Spec, cloud: &SimCloud, of: &str) -> Result<(), String> {
        for fork in cloud.forks() {
            let recovery = if self.random.random_bool(0.5) { Recovery::Up } else { Recovery::Down };
            let told = |why| format!("{of} died {:?} at call {}, then {recovery:?}: {why}", fork.when, fork.nth);
            self.recover(cluster, &fork, recovery).await.map_err(told)?;
        }
        Ok(())
    }

    async fn recover(&mut self, cluster: &Spec, fork: &Fork, recovery: Recovery) -> Result<(), String> {
        let seed = self.random.random();
        let cloud = SimCloud::resume(fork, seed, SimOptions { seed, ..self.options.clone() });
        self.tally.crashes += 1;
        self.hurry().await;
        if self.random.random_bool(0.25) {
            cloud.crash_at(self.random.random_range(1..CALLS), crash(&mut self.random));
            let again = async {
                match self.random.random_bool(0.7) {
                    true => attempt(cluster, &cloud).await,
                    false => drop(down(cluster, &cloud).await),
                }
            };
            let died = tokio::select! {
                () = again => false,
                () = cloud.crashed() => true,
            };
            cloud.revive();
            self.tally.crashes += usize::from(died);
            self.hurry().await;
        }
        match recovery {
            Recovery::Up => {
                attempt(cluster, &cloud).await;
                self.converges(cluster, &cloud).await
            }
            Recovery::Down => {
                // What the operator has deployed.
                cloud.grow(Kind::EcsService, "iris");
                self.goes(cluster, &cloud).await
            }
        }
    }

    /// People are quick to try again.
    async fn hurry(&mut self) {
        let most = if self.random.random_bool(0.5) { 500 } else { 6000 };
        sleep(Duration::from_millis(self.random.random_range(0..most))).await;
    }

    /// So that everything is seen.
    fn settled(&self) -> Duration {
        self.options.lag * 2 + Duration::from_secs(1)
    }

    /// Is as wanted after a few attempts, and then left alone.
    async fn converges(&mut self, spec: &Spec, cloud: &SimCloud) -> Result<(), String> {
        self.tally.schedules += 1;
        let mut problem = String::new();
        for _ in 0..PATIENCE {
            sleep(self.settled()).await;
            let observed = spec.observe(cloud).await;
            let there = observed.iter().filter(|found| found.state != State::Deleting).map(|found| &found.key);
            let (mut keys, mut duplicates) = (BTreeSet::<&Key>::new(), 0);
            there.for_each(|key| duplicates += usize::from(!keys.insert(key)));
            self.tally.duplicates += duplicates;
            let plan = match spec.plan_of(&observed, "2") {
                Ok(plan) => plan,
                Err(refused) => {
                    problem = refused.to_string();
                    continue;
                }
            };
            let calls = cloud.calls().mutating();
            let report = run(&plan, cloud).await;
            if !plan.is_empty() {
                problem = format!("{plan}\n{report}");
                continue;
            }
            let quiet = report.is_complete() && cloud.calls().mutating() == calls && duplicates == 0;
            return match (quiet, cloud.trespasses().as_slice()) {
                (true, []) => Ok(()),
                (true, touched) => Err(format!("touched what is not ours: {touched:?}")),
                (false, _) => Err(format!("an empty plan did something, or is not complete: {report}")),
            };
        }
        Err(format!("does not converge: {problem}"))
    }

    /// Leaves what was there before.
    async fn goes(&mut self, spec: &Spec, cloud: &SimCloud) -> Result<(), String> {
        self.tally.schedules += 1;
        let destroyed = down(spec, cloud).await;
        sleep(Duration::from_secs(30)).await;
        match destroyed.is_complete() && cloud.inventory() == self.before && cloud.trespasses().is_empty() {
            true => Ok(()),
            false => {
                Err(format!("left behind: {:?}; touched: {:?}\n{destroyed}", cloud.inventory(), cloud.trespasses()))
            }
        }
    }
}

/// What is refused because something is not yet seen is tried again like anything else.
async fn attempt(spec: &Spec, cloud: &SimCloud) {
    if let Ok(plan) = spec.plan(cloud, "1").await {
        run(&plan, cloud).await;
    }
}

async fn run(plan: &Plan, cloud: &SimCloud) -> Report {
    execute(plan, cloud, &settings(), &|_: Event| {}, &CancellationToken::new()).await
}

/// Fewer looks than people get: what decides is tried by other tests, and looks are most of the work.
fn settings() -> Settings {
    Settings { tick: Duration::from_secs(5), ..Settings::new(5) }
}

async fn down(spec: &Spec, cloud: &SimCloud) -> Destroyed {
    let never = CancellationToken::new();
    destroy(cloud, &spec.id(), &BTreeSet::new(), &settings(), &|_: Event| {}, &never).await
}

fn crash(random: &mut SmallRng) -> Crash {
    [Crash::Before, Crash::Amid, Crash::After][random.random_range(0..3)]
}
