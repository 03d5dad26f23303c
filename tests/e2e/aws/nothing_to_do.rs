//! What a second `cluster up` asks of AWS, when there is nothing to do.

use std::collections::BTreeMap;

use testkit::emulator::Mode;

use super::{
    ground::{Account, PUBLIC},
    shapes::{HIGHLY_AVAILABLE, PRIVATE},
};

/// Calls of a second `up` of the cluster, by action.
fn asked_again(yaml: &str) -> BTreeMap<String, usize> {
    let account = Account::new(Mode::Strict);
    account.configure(yaml);
    account.make().ok();
    let mark = account.emulator.mark();
    account.make().ok().prints("nothing was changed");
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in account.emulator.calls_since(mark) {
        assert!(!call.mutating, "{call:#?}");
        *calls.entry(format!("{}:{}", call.service, call.action)).or_default() += 1;
    }
    calls
}

/// `docs/benchmarks.md` says what each is for, and why there are not fewer.
#[test]
fn little_is_asked() {
    for (name, yaml, most) in
        [("public", PUBLIC, 57), ("private", PRIVATE, 57), ("highly available", HIGHLY_AVAILABLE, 59)]
    {
        let calls = asked_again(yaml);
        let total: usize = calls.values().sum();
        println!("{name}: {total} calls");
        calls.iter().for_each(|(action, count)| println!("  {count} {action}"));
        assert!(total <= most, "{name}: {total}");
    }
}
