//! One call of `up` and one of `down` is lost, before it had an effect or after: whichever it is, nobody notices, or the same
//! command again goes on; nothing is made twice, and nothing is left.
//!
//! A seeded sample of the calls, one of each stretch; every call with `cargo xtask test --full`, which takes hours: every n-th life
//! of those, from the k-th on, with `CORTEX_TEST_SHARE=k/n` as well. A connection that stays cut is
//! `interrupted`'s, a process that dies at any call the simulation's (`provision`).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use testkit::faults::{Call, Fault, Rule, When};
use tokio::task::JoinSet;

use super::{
    interrupted::{DOWN, Ground},
    shapes::{changes, making, same},
};

/// Accounts at once.
const WORKERS: usize = 4;
/// Stretches of the calls, of each of which one is lost.
const CHANGING: usize = 5;
const ASKING: usize = 3;
const SEED: u64 = 7;

/// Which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Changing,
    Asking,
}

/// The n-th call of `up`, and in another life of `down`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Case {
    of: Of,
    up: u64,
    down: u64,
    fault: Fault,
}

/// What became of the cases of one sort.
#[derive(Debug, Default)]
struct Row {
    cases: usize,
    unnoticed_ups: usize,
    unnoticed_downs: usize,
}

type Table = BTreeMap<(Of, &'static str), Row>;

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn any_one_call_may_be_lost() {
    let cases = {
        let ground = Ground::new().await;
        ground.run(&making(&[])).ok();
        let up = ground.network.calls();
        ground.run(&DOWN).ok();
        let down = ground.network.calls().split_off(up.len());
        cases(&up, &down)
    };
    let count = cases.len();
    let (cases, table) = (Arc::new(Mutex::new(VecDeque::from(cases))), Arc::new(Mutex::new(Table::new())));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS.min(count) {
        let (cases, table) = (Arc::clone(&cases), Arc::clone(&table));
        workers.spawn(async move {
            let ground = Ground::new().await;
            loop {
                let next = cases.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(case) = next else { return };
                let unnoticed = live(&ground, case);
                println!("{case:?}: up noticed it: {}, down: {}", !unnoticed.0, !unnoticed.1);
                let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                let row = table.entry((case.of, name(case.fault))).or_default();
                row.cases += 1;
                row.unnoticed_ups += usize::from(unnoticed.0);
                row.unnoticed_downs += usize::from(unnoticed.1);
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        if let Err(error) = worker {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    let table = table.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{:<10} {:<14} {:>6} {:>20} {:>22}", "calls", "lost", "cases", "up did not notice", "down did not notice");
    for ((of, fault), row) in table.iter() {
        println!(
            "{:<10} {fault:<14} {:>6} {:>20} {:>22}",
            format!("{of:?}"),
            row.cases,
            row.unnoticed_ups,
            row.unnoticed_downs
        );
    }
    assert_eq!(table.values().map(|row| row.cases).sum::<usize>(), count);
}

/// Whether `up` and `down` came through by themselves. They have to by the second attempt.
fn live(ground: &Ground, case: Case) -> (bool, bool) {
    let lose = |nth| {
        let Case { of, fault, .. } = case;
        ground.network.relent();
        ground.network.add(Rule::new(fault, When::Nth(nth)).on(move |call| of == self::of(call)));
    };
    lose(case.up);
    let up = ground.run(&making(&[]));
    let unnoticed_up = up.code == 0;
    ground.network.relent();
    if !unnoticed_up {
        up.says("error: ").says("hint: ");
        ground.run(&making(&[])).ok().prints("cluster demo");
    }
    let plan = ["cluster", "plan", "-c", "cluster.yaml", "--node-binary", "/bin/true", "--onnxruntime", "/bin/true"];
    let plan = ground.run(&[plan.as_slice(), &["-o", "json"]].concat()).ok();
    let wanted: Value = serde_json::from_str(&plan.stdout).unwrap_or_else(|error| panic!("{error}\n{plan}"));
    assert_eq!(wanted["changes"], false, "{case:?}: something is left to do\n{plan}");

    lose(case.down);
    let down = ground.run(&DOWN);
    let unnoticed_down = down.code == 0;
    ground.network.relent();
    if !unnoticed_down {
        down.says("error: ").says("hint: ");
        ground.run(&DOWN).ok();
    }
    same(&ground.before, &ground.account.emulator.inventory());
    (unnoticed_up, unnoticed_down)
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::CutBefore => "before effect",
        _ => "after effect",
    }
}

fn of(call: &Call) -> Of {
    if changes(call) { Of::Changing } else { Of::Asking }
}

/// Of every call, or of one of each stretch: the one that is lost.
fn cases(up: &[Call], down: &[Call]) -> Vec<Case> {
    let full = std::env::var_os("CORTEX_TEST_FULL").is_some();
    let seed = std::env::var("E2E_SEED").ok().map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (share, shares) = share();
    let mut cases = Vec::new();
    for (kind, stretches) in [(Of::Changing, CHANGING), (Of::Asking, ASKING)] {
        let count = |calls: &[Call]| calls.iter().filter(|call| of(call) == kind).count();
        let (ups, downs) = (count(up), count(down));
        let lives = if full { ups.max(downs) } else { stretches };
        let mut pick = |total: usize, life: usize| {
            let place =
                if full { life % total } else { total * life / lives + random.random_range(0..total.div_ceil(lives)) };
            1 + place.min(total - 1) as u64
        };
        for life in 0..lives {
            let (up, down) = (pick(ups, life), pick(downs, life));
            if full && life % shares != share {
                continue;
            }
            cases.extend([Fault::CutBefore, Fault::CutAfter].map(|fault| Case { of: kind, up, down, fault }));
        }
    }
    cases
}

/// `k/n`, from 1 to n; all of it if nothing is said.
fn share() -> (usize, usize) {
    let Ok(text) = std::env::var("CORTEX_TEST_SHARE") else { return (0, 1) };
    let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    match numbers {
        Some((k, n)) if (1..=n).contains(&k) => (k - 1, n),
        _ => panic!("CORTEX_TEST_SHARE is `{text}`, not k/n"),
    }
}
