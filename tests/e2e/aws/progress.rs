//! What can be seen of `up` and `down` while they are at work: on a terminal, by programs, and afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use testkit::{
    emulator::{Delays, Mode, python},
    faults::{Fault, Rule, When},
    project::repository,
};

use super::{
    ground::{Account, PUBLIC},
    interrupted::{Ground, Running},
    shapes::{PRIVATE, making},
};

/// Seconds that the NAT gateway takes, so that there is something to be seen.
const NAT: f64 = 3.0;

fn account() -> Account {
    let account = Account::new(Mode::Strict);
    account.emulator.set_delays(&Delays::none().with("nat_create", Duration::from_secs_f64(NAT)));
    account.configure(PRIVATE);
    account
}

fn objects(stderr: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr.lines().map(parse).collect()
}

fn keys(objects: &[Value], event: &str) -> BTreeSet<String> {
    let of_event = objects.iter().filter(|object| object["event"] == event);
    of_event.map(|object| object["key"].as_str().expect("it has one").to_owned()).collect()
}

/// Of everything that a plan makes: what has to be there first.
fn planned(plan: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let entries: Vec<&Value> = plan["entries"].as_array().expect("a list").iter().collect();
    let all: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["key"].as_str()).collect();
    let needs = |entry: &Value| {
        let mut found = BTreeSet::new();
        mentioned(&entry["wanted"]["resource"], &all, &mut found);
        (entry["key"].as_str().expect("text").to_owned(), found)
    };
    entries.into_iter().map(needs).collect()
}

/// References are objects with the `key` of another resource.
fn mentioned(value: &Value, all: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("key").and_then(Value::as_str).filter(|key| all.contains(key)).map(str::to_owned));
            fields.values().for_each(|value| mentioned(value, all, found));
        }
        Value::Array(values) => values.iter().for_each(|value| mentioned(value, all, found)),
        _ => {}
    }
}

struct Slice {
    key: String,
    what: String,
    outcome: String,
    lane: u64,
    begin: u64,
    end: u64,
}

/// The slices and the number of retries of a trace, of which no two of a lane overlap.
fn trace(account: &Account, name: &str) -> (Vec<Slice>, usize) {
    let text = fs::read_to_string(account.cortex.working_directory().join(name)).expect("it was written");
    let trace: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let events = trace["traceEvents"].as_array().expect("a list");
    let retries = events.iter().filter(|event| event["ph"] == "i" && event["cat"] == "retry").count();
    let slice = |event: &Value| Slice {
        key: event["args"]["key"].as_str().expect("text").to_owned(),
        what: event["cat"].as_str().expect("text").to_owned(),
        outcome: event["args"]["outcome"].as_str().expect("text").to_owned(),
        lane: event["tid"].as_u64().expect("a number"),
        begin: event["ts"].as_u64().expect("a number"),
        end: event["ts"].as_u64().expect("a number") + event["dur"].as_u64().expect("a number"),
    };
    let slices: Vec<Slice> = events.iter().filter(|event| event["ph"] == "X").map(slice).collect();
    for one in &slices {
        let others = slices.iter().filter(|other| other.lane == one.lane && !std::ptr::eq(*other, one));
        for other in others {
            assert!(one.end <= other.begin || other.end <= one.begin, "{} and {} overlap", one.key, other.key);
        }
    }
    (slices, retries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn programs_follow_by_json_and_the_trace_has_every_step_after_what_it_needs() {
    let ground = Ground::new().await;
    let account = &ground.account;
    account.configure(PRIVATE);
    let nat = Delays::none().with("nat_create", Duration::from_secs_f64(NAT));
    account.emulator.set_delays(&nat);
    let small = ["--node-binary", "/bin/true", "--onnxruntime", "/bin/true"];
    let dry = ground.run(&[["cluster", "up", "--dry-run", "-o", "json"].as_slice(), &small].concat()).ok();
    let plan = planned(&dry.json()["plan"]);
    ground.network.add(Rule::new(Fault::Throttle, When::Nth(1)).on(|call| call.action == "CreateSubnet"));

    let up = ground.run(&making(&["-o", "json", "--trace", "up.json"])).ok();
    assert_eq!(up.json()["changed"], true);
    let events = objects(&up.stderr);
    let all: BTreeSet<String> = plan.keys().cloned().collect();
    assert_eq!(keys(&events, "started"), all);
    assert_eq!(keys(&events, "done"), all);
    assert!(keys(&events, "waiting").contains("nat-gateway/us-east-1a"), "{:?}", keys(&events, "waiting"));
    assert_eq!(keys(&events, "waiting"), keys(&events, "ready"));
    assert_eq!(events.iter().filter(|event| event["event"] == "retrying").count(), 1);
    let times: Vec<f64> = events.iter().map(|event| event["elapsed"].as_f64().expect("a number")).collect();
    assert!(times.is_sorted() && events.iter().all(|event| event["time"].is_string()));

    let (slices, retries) = trace(account, "up.json");
    assert_eq!(retries, 1);
    assert!(slices.iter().all(|slice| slice.outcome == "done"));
    let made: BTreeMap<&str, &Slice> =
        slices.iter().filter(|slice| slice.what == "create").map(|slice| (slice.key.as_str(), slice)).collect();
    assert_eq!(made.keys().copied().collect::<Vec<_>>(), all.iter().map(String::as_str).collect::<Vec<_>>());
    let mut dependencies = 0;
    for (key, needs) in &plan {
        for need in needs {
            assert!(made[need.as_str()].end <= made[key.as_str()].begin, "{key} began before {need} was there");
            dependencies += 1;
        }
    }
    assert!(dependencies > 50, "{dependencies}");
    let waited = slices.iter().find(|slice| slice.what == "available" && slice.key.starts_with("nat-gateway"));
    let waited = waited.expect("it is waited for");
    assert!(waited.end - waited.begin >= 2_000_000, "{} us", waited.end - waited.begin);

    let down = ["cluster", "down", "-c", "cluster.yaml", "--yes", "-o", "json", "--trace", "down.json"];
    let down = ground.run(&down).ok();
    assert_eq!(keys(&objects(&down.stderr), "done").len(), down.json()["removed"].as_u64().expect("a number") as usize);
    let (slices, _) = trace(account, "down.json");
    assert!(slices.iter().all(|slice| slice.what == "delete" && slice.outcome == "done"));
}

/// With what had been done and what had not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interrupted_run_has_a_trace_too() {
    let ground = Ground::new().await;
    let account = &ground.account;
    let held = |call: &testkit::faults::Call| call.action == "CreateSubnet";
    ground.network.add(Rule::new(Fault::Hold, When::Always).on(held));
    let log = account.cortex.root().join("up.log");
    let mut up = Running::start(ground.command(&making(&["-o", "json", "--trace", "up.json"])), log);
    up.says("\"subnet/").await;
    up.interrupt();
    up.says("finishing what is in flight").await;
    up.interrupt();
    assert_eq!(up.end().0, Some(130));
    let (slices, _) = trace(account, "up.json");
    let outcome =
        |key: &str| slices.iter().find(|slice| slice.key.starts_with(key)).map(|slice| slice.outcome.as_str());
    assert_eq!(outcome("vpc"), Some("done"));
    assert_eq!(outcome("subnet"), Some("interrupted"));
    ground.network.release();
}

#[test]
fn a_trace_that_cannot_be_written_is_refused_before_anything_is_done() {
    let account = Account::new(Mode::Strict);
    account.configure(PUBLIC);
    let before = account.emulator.inventory();
    account.run(&making(&["--trace", "nowhere/up.json"])).exits(1).says("nowhere/up.json").says("hint: --trace");
    assert!(account.emulator.inventory().added_since(&before).is_empty());
}

/// A command on a terminal of 100 columns and 40 rows; see `terminal.py`.
fn on_a_terminal(command: &Command, options: &[&str], environment: &[(&str, &str)]) -> Value {
    let mut terminal = Command::new(python());
    terminal.arg(repository("tests/e2e/aws/terminal.py")).args(["40", "100"]).args(options).arg("--");
    terminal.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(environment.iter().copied());
    let output = terminal.current_dir(command.get_current_dir().expect("it has one")).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn lines(seen: &Value) -> Vec<&str> {
    seen.as_array().expect("a list").iter().map(|line| line.as_str().expect("text")).collect()
}

/// A tree while it is at work; its counts, and what the command says, afterwards.
#[test]
fn on_a_terminal_there_is_a_tree_and_a_clean_screen_in_the_end() {
    let account = account();
    let seen = on_a_terminal(&account.command(&making(&[])), &[], &[]);
    assert_eq!(seen["code"], 0, "{seen:#}");
    let frames: Vec<Vec<&str>> = seen["frames"].as_array().expect("a list").iter().map(lines).collect();
    let waits = |line: &&&str| line.starts_with("    nat-gateway/us-east-1a") && line.contains(" of about ");
    let waiting: BTreeSet<&str> = frames.iter().filter_map(|frame| frame.iter().find(waits)).copied().collect();
    assert!(waiting.len() >= 2, "the time goes on without events: {waiting:?}");
    assert!(frames.iter().any(|frame| frame.iter().any(|line| line.contains(" at work"))));
    assert!(frames.iter().flatten().all(|line| line.chars().count() <= 100));

    let left = lines(&seen["lines"]);
    let of_tree: Vec<&&str> =
        left.iter().filter(|line| line.contains(" at work") || line.starts_with("    nat-")).collect();
    assert!(of_tree.is_empty(), "{left:#?}");
    let counts = left.iter().filter(|line| line.starts_with("  network ")).count();
    assert!(counts == 1 && left.iter().any(|line| line.starts_with("cluster demo is up")), "{left:#?}");
    assert_eq!((&seen["cursor"], &seen["coloured"]), (&Value::Bool(true), &Value::Bool(true)));

    let seen = on_a_terminal(&account.command(&["cluster", "down", "-c", "cluster.yaml", "--yes"]), &[], &[]);
    let left = lines(&seen["lines"]);
    assert!(left.iter().any(|line| line.contains("nothing left")), "{left:#?}");
    assert_eq!((&seen["code"], &seen["cursor"]), (&Value::from(0), &Value::Bool(true)));
}

#[test]
fn without_colours_if_so_wished_and_without_escapes_on_a_dumb_terminal() {
    let account = account();
    let seen = on_a_terminal(&account.command(&making(&[])), &[], &[("TERM", "dumb")]);
    assert_eq!(seen["frames"], Value::Array(Vec::new()));
    assert!(lines(&seen["lines"]).iter().any(|line| line.contains("] created vpc")), "{seen:#}");
    let down = account.command(&["cluster", "down", "-c", "cluster.yaml", "--yes"]);
    let seen = on_a_terminal(&down, &[], &[("NO_COLOR", "1")]);
    assert!(lines(&seen["frames"][1]).iter().any(|line| line.contains(" done")), "{seen:#}");
    assert_eq!((&seen["code"], &seen["coloured"]), (&Value::from(0), &Value::Bool(false)));
}

#[test]
fn ctrl_c_gives_the_screen_back() {
    let account = account();
    let seen = on_a_terminal(&account.command(&making(&[])), &["--interrupt-at", "nat-gateway/us-east-1a  "], &[]);
    assert_eq!((&seen["code"], &seen["cursor"]), (&Value::from(10), &Value::Bool(true)), "{seen:#}");
    let left = lines(&seen["lines"]);
    assert!(left.contains(&"finishing what is in flight; Ctrl-C again to stop at once"), "{left:#?}");
    assert!(left.iter().all(|line| !line.contains(" at work") && !line.starts_with("    nat-")), "{left:#?}");
    account.down().ok();
}
