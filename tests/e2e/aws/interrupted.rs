//! What breaks in the middle of `up` and `down`: the network, AWS's patience, credentials, the user's, the process. Whatever it
//! was, the command says how to go on, the same command again does, and `down` leaves nothing.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use testkit::{
    Outcome,
    emulator::{Credentials, Inventory, Mode},
    eventually,
    faults::{Fault, Faults, Rule, When},
};
use tokio::task::JoinSet;

use super::{
    ground::{Account, PUBLIC},
    shapes::{administrator, changes, making, same},
};

/// How many places of the whole `up` are tried, and of the whole `down`.
const PLACES: usize = 8;
const PLACES_OF_DOWN: usize = 4;

pub const DOWN: [&str; 5] = ["cluster", "down", "-c", "cluster.yaml", "--yes"];

/// An account, and a network to it that can be broken.
pub struct Ground {
    pub account: Account,
    pub network: Faults,
    pub before: Inventory,
}

impl Ground {
    pub async fn new() -> Self {
        let account = tokio::task::block_in_place(|| Account::new(Mode::Strict));
        account.configure(PUBLIC);
        let network = Faults::before(&account.emulator.endpoint).await;
        let before = account.emulator.inventory();
        Self { account, network, before }
    }

    /// Over the network that breaks.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.account.emulator.admin, arguments)
    }

    fn command_of(&self, who: &Credentials, arguments: &[&str]) -> Command {
        let mut command = self.account.command_of(who, arguments);
        command.env("AWS_ENDPOINT_URL", self.network.url());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Outcome {
        tokio::task::block_in_place(|| self.account.cortex.run_command(self.command(arguments)))
    }

    /// Counts the calls that change something as they come, before anything becomes of them.
    fn counter(&self) -> Arc<AtomicUsize> {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let count = move |call: &testkit::faults::Call| {
            counter.fetch_add(usize::from(changes(call)), Ordering::SeqCst);
            false
        };
        self.network.add(Rule::new(Fault::Hold, When::Always).on(count));
        seen
    }

    /// `up` until it has made so many calls that change something, which are held from then on.
    async fn up_until(&self, who: &Credentials, calls: usize) -> Running {
        let seen = self.counter();
        self.network.add(Rule::new(Fault::Hold, When::From(calls as u64)).on(changes));
        let running = Running::start(self.command_of(who, &making(&[])), self.account.cortex.root().join("up.log"));
        eventually("the call has come", async || {
            let seen = seen.load(Ordering::SeqCst);
            (seen >= calls).then_some(()).ok_or_else(|| format!("{seen} calls"))
        })
        .await;
        running
    }

    /// By the ordinary network: what was interrupted is finished, then there is nothing left to do, then all of it goes.
    fn goes_on_and_leaves_nothing(&self) {
        tokio::task::block_in_place(|| {
            self.account.make().ok().prints("cluster demo");
            let mark = self.account.emulator.mark();
            self.account.make().ok().prints("nothing was changed");
            let changes = self.account.changes_since(mark);
            assert!(changes.is_empty(), "{changes:#?}");
            self.leaves_nothing();
        });
    }

    fn leaves_nothing(&self) {
        tokio::task::block_in_place(|| {
            let down = self.account.down().ok();
            assert!(down.stdout.contains("nothing left") || down.stdout.contains("there is no cluster"), "{down}");
            same(&self.before, &self.account.emulator.inventory());
        });
    }
}

/// A command that goes on while the test does.
pub struct Running {
    process: Child,
    talk: PathBuf,
}

impl Running {
    pub fn start(mut command: Command, talk: PathBuf) -> Self {
        let file = File::create(&talk).unwrap_or_else(|error| panic!("{}: {error}", talk.display()));
        command.stdout(Stdio::null()).stderr(file);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { process, talk }
    }

    /// What it has said so far.
    fn said(&self) -> String {
        fs::read_to_string(&self.talk).unwrap_or_default()
    }

    pub async fn says(&self, text: &str) {
        eventually(&format!("it says: {text}"), async || {
            let said = self.said();
            said.contains(text).then_some(()).ok_or(said)
        })
        .await;
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "it is not there any more");
    }

    /// Exit code, and all that it has said.
    pub fn end(&mut self) -> (Option<i32>, String) {
        let status = tokio::task::block_in_place(|| self.process.wait()).expect("it was started");
        (status.code(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All places at once: a command that gets no answer tries for two minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn the_network_goes_away_in_the_middle_of_up() {
    let total = {
        let ground = Ground::new().await;
        ground.run(&making(&[])).ok();
        ground.network.calls().len()
    };
    let mut cases = JoinSet::new();
    for place in 0..PLACES {
        let call = 1 + place * (total - 1) / PLACES;
        // Before the effect, or after it: then the caller does not know.
        let fault = if place % 2 == 0 { Fault::CutAfter } else { Fault::CutBefore };
        cases.spawn(async move {
            let ground = Ground::new().await;
            ground.network.add(Rule::new(fault, When::From(call as u64)));
            let up = ground.run(&making(&[]));
            assert!(up.code == 6 || up.code == 1, "call {call} of {total}, {fault:?}\n{up}");
            let up = up.says("error: ").says("hint: ");
            let begun = !ground.account.emulator.inventory().added_since(&ground.before).is_empty();
            if begun && fault == Fault::CutBefore {
                assert!(up.stderr.contains("exist"), "call {call} of {total}: what is there?\n{up}");
            }
            ground.goes_on_and_leaves_nothing();
        });
    }
    finished(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn the_network_goes_away_in_the_middle_of_down() {
    let total = {
        let ground = Ground::new().await;
        ground.run(&making(&[])).ok();
        let made = ground.network.calls().len();
        ground.run(&DOWN).ok();
        ground.network.calls().len() - made
    };
    let mut cases = JoinSet::new();
    for place in 0..PLACES_OF_DOWN {
        let call = 1 + place * (total - 1) / PLACES_OF_DOWN;
        let fault = if place % 2 == 0 { Fault::CutBefore } else { Fault::CutAfter };
        cases.spawn(async move {
            let ground = Ground::new().await;
            ground.run(&making(&[])).ok();
            ground.network.add(Rule::new(fault, When::From(call as u64)));
            let down = ground.run(&DOWN);
            assert!(down.code == 6 || down.code == 1, "call {call} of {total}, {fault:?}\n{down}");
            down.says("error: ").says("hint: ");
            ground.leaves_nothing();
        });
    }
    finished(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fifth_call_is_throttled_and_nobody_notices() {
    let ground = Ground::new().await;
    ground.network.add(Rule::new(Fault::Throttle, When::Rate { share: 0.2, seed: 7 }));
    ground.run(&making(&[])).ok().prints("cluster demo is up");
    ground.run(&making(&[])).ok().prints("nothing was changed");
    ground.run(&DOWN).ok().prints("nothing left");
    assert!(ground.network.hits() > 50, "{}", ground.network.hits());
    same(&ground.before, &ground.account.emulator.inventory());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_ends_in_the_middle_of_up_and_a_new_one_goes_on() {
    let ground = Ground::new().await;
    let emulator = &ground.account.emulator;
    let role = administrator(emulator);
    let session = emulator.assume(&role, "this-morning");
    let mut up = ground.up_until(&session, 24).await;
    emulator.expire_credentials(&session);
    ground.network.release();
    let (code, said) = up.end();
    assert_eq!(code, Some(4), "{said}");
    for text in ["resources exist", "exists: ", "error: ", "expired", "hint: "] {
        assert!(said.contains(text), "it should say: {text}\n{said}");
    }
    let session = emulator.assume(&role, "this-afternoon");
    tokio::task::block_in_place(|| {
        ground.account.run_of(&session, &making(&[])).ok().prints("cluster demo is up");
        ground.account.run_of(&session, &making(&[])).ok().prints("nothing was changed");
        ground.account.run_of(&session, &DOWN).ok().prints("nothing left");
    });
    let left = emulator.inventory().added_since(&ground.before);
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["role administrator"], "which is the test's own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ctrl_c_finishes_what_is_in_flight_and_says_what_there_is() {
    let ground = Ground::new().await;
    let mut up = ground.up_until(&ground.account.emulator.admin, 20).await;
    up.interrupt();
    up.says("finishing what is in flight").await;
    ground.network.release();
    let (code, said) = up.end();
    assert_eq!(code, Some(10), "{said}");
    let there = ground.account.emulator.inventory();
    assert!(there.count("vpc") > ground.before.count("vpc"), "{said}");
    for text in ["resources exist", "exists: vpc (vpc-", "not done: ", "interrupted", "hint: ", "cluster down"] {
        assert!(said.contains(text), "it should say: {text}\n{said}");
    }
    ground.goes_on_and_leaves_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ctrl_c_and_then_down_leaves_nothing() {
    let ground = Ground::new().await;
    let mut up = ground.up_until(&ground.account.emulator.admin, 40).await;
    up.interrupt();
    up.says("finishing what is in flight").await;
    ground.network.release();
    assert_eq!(up.end().0, Some(10));
    ground.leaves_nothing();
}

/// The first Ctrl-C waits for what is in flight, the second one for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ctrl_c_twice_stops_at_once() {
    let ground = Ground::new().await;
    let mut up = ground.up_until(&ground.account.emulator.admin, 20).await;
    up.interrupt();
    up.says("finishing what is in flight").await;
    up.interrupt();
    let (code, said) = up.end();
    assert_eq!(code, Some(130), "{said}");
    ground.network.release();
    ground.goes_on_and_leaves_nothing();
}

/// Nobody can tell a killed command from a slow one but by waiting until its lease has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_up_is_waited_for_and_then_gone_on_with() {
    let ground = Ground::new().await;
    let mut up = ground.up_until(&ground.account.emulator.admin, 24).await;
    up.process.kill().expect("it runs");
    up.end();
    // What it had asked for happens, though nobody hears of it any more.
    ground.network.release();
    let next = tokio::task::block_in_place(|| ground.account.make()).ok().prints("cluster demo is up");
    next.says("is at work on this cluster; waiting to see whether it still is");
    ground.goes_on_and_leaves_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_at_once_the_second_is_told_who_is_at_work_and_since_when() {
    let mut ground = Ground::new().await;
    let second = ground.account.emulator.create_administrator("bob");
    ground.before = ground.account.emulator.inventory();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let vpc = move |call: &testkit::faults::Call| {
        let hit = call.action == "CreateVpc";
        counter.fetch_add(usize::from(hit), Ordering::SeqCst);
        hit
    };
    ground.network.add(Rule::new(Fault::Hold, When::Always).on(vpc));
    let mut command = ground.command(&making(&[]));
    command.env("USER", "alice");
    let mut first = Running::start(command, ground.account.cortex.root().join("up.log"));
    eventually("the first is at work", async || {
        (seen.load(Ordering::SeqCst) > 0).then_some(()).ok_or_else(|| first.said())
    })
    .await;

    for arguments in [making(&[]).as_slice(), &DOWN] {
        let refused = tokio::task::block_in_place(|| ground.account.run_of(&second, arguments)).exits(7);
        let refused = refused.says("`cortex cluster up` of alice at ").says(", since 20").says("hint: ");
        assert!(refused.stderr.contains("nothing was done"), "{refused}");
    }
    let mut done = ground.account.changes_since(0);
    done.retain(|call| call.access_key_id == second.access_key_id && call.status < 400);
    assert!(done.is_empty(), "{done:#?}");
    ground.network.release();
    let (code, said) = first.end();
    assert_eq!(code, Some(0), "{said}");
    ground.goes_on_and_leaves_nothing();
}

async fn finished(mut cases: JoinSet<()>) {
    while let Some(case) = cases.join_next().await {
        if let Err(error) = case {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
