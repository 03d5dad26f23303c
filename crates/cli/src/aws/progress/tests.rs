//! What is seen of a scripted run.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use provision::{
    cloud::{CloudError, ErrorKind},
    execute::Event,
    plan::Act,
    resource::{Key, Kind},
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    Inner, Shared, View,
    frame::{self, Size},
    leave_on_panic,
    lines::Lines,
    picture::Picture,
    stream::Stream,
    terminal::Terminal,
};
use crate::output::talk_through;

const SIZE: Size = Size { columns: 80, rows: 24 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn started(kind: Kind, part: &str) -> Event {
    Event::Started { key: Key::new(kind, &[part]), kind, act: Act::Create, expected: Duration::from_millis(800) }
}

fn done(kind: Kind, part: &str) -> Event {
    Event::Done { key: Key::new(kind, &[part]), kind, act: Act::Create, took: seconds(1) }
}

fn waiting(kind: Kind, part: &str, expected: u64) -> Event {
    Event::Waiting { key: Key::new(kind, &[part]), kind, expected: seconds(expected) }
}

fn ready(kind: Kind, part: &str) -> Event {
    Event::Ready { key: Key::new(kind, &[part]), kind, took: seconds(90) }
}

fn retrying(kind: Kind, part: &str, error: &str) -> Event {
    let error = CloudError::new(ErrorKind::Throttled, error);
    Event::Retrying { key: Key::new(kind, &[part]), error, pause: seconds(6) }
}

fn failed(kind: Kind, part: &str, error: &str) -> Event {
    Event::Failed { key: Key::new(kind, &[part]), kind, error: CloudError::new(ErrorKind::Invalid, error) }
}

/// Two of the network, one of them to be waited for; a role that AWS refuses, and what needs it; a listener.
fn script() -> Vec<(u64, Event)> {
    vec![
        (0, started(Kind::Vpc, "main")),
        (1, done(Kind::Vpc, "main")),
        (1, started(Kind::NatGateway, "a")),
        (2, done(Kind::NatGateway, "a")),
        (2, waiting(Kind::NatGateway, "a", 100)),
        (2, started(Kind::Role, "control")),
        (3, retrying(Kind::Role, "control", "Throttling: Rate exceeded")),
        (
            9,
            failed(Kind::Role, "control", "LimitExceeded: 1000 roles are the most\nthat an account may have, and more"),
        ),
        (9, Event::Skipped { key: Key::new(Kind::InstanceProfile, &["control"]), because: Key::new(Kind::Role, &[]) }),
        (10, started(Kind::Listener, "api")),
        (90, ready(Kind::NatGateway, "a")),
        (90, done(Kind::Listener, "api")),
    ]
}

fn at(end: u64) -> Picture {
    let mut picture = Picture::default();
    picture.expect([Kind::Vpc, Kind::NatGateway, Kind::Role, Kind::InstanceProfile, Kind::Listener].into_iter());
    for (at, event) in script().into_iter().filter(|(at, _)| *at <= end) {
        picture.event(seconds(at), &event);
    }
    picture
}

fn shown(end: u64, size: Size) -> String {
    frame::running(&at(end), seconds(end), size, false).join("\n")
}

#[test]
fn what_runs_has_a_line_what_is_done_is_counted_and_retries_say_why() {
    assert_eq!(
        shown(4, Size { columns: 120, rows: 24 }),
        "     4 s  2 of 5 done, 2 at work
  network          2/2
    nat-gateway/a                          available 2 s of about 100 s
  load balancing   0/1
  roles            0/2
    role/control                           create    2 s; again in 5 s: Throttling: Rate exceeded"
    );
}

#[test]
fn what_has_failed_stays_in_one_line_no_wider_than_the_terminal() {
    assert_eq!(
        shown(10, SIZE),
        "    10 s  2 of 5 done, 2 at work
  network          2/2
    nat-gateway/a                          available 8 s of about 100 s
  load balancing   0/1
    listener/api                           create    0 s
  roles            0/2, 1 failed, 1 not done
    role/control                           create    failed: LimitExceeded: 100…"
    );
    assert_eq!(
        frame::last(&at(90), seconds(90), SIZE, false).join("\n"),
        "    90 s  3 of 5 done
  network          2/2
  load balancing   1/1
  roles            0/2, 1 failed, 1 not done
    role/control                           create    failed: LimitExceeded: 100…"
    );
}

#[test]
fn every_terminal_is_large_enough() {
    for columns in [1, 2, 7, 20, 41, 60, 79, 80, 200] {
        for rows in [1, 2, 3, 5, 7, 24] {
            let size = Size { columns, rows };
            for end in [0, 4, 10, 90] {
                let lines = frame::running(&at(end), seconds(end), size, false);
                assert!(lines.len() < rows.max(2), "{size:?}: {lines:#?}");
                assert!(lines.iter().all(|line| line.width() <= columns), "{size:?}: {lines:#?}");
            }
        }
    }
}

#[test]
fn on_a_low_terminal_running_ones_are_counted_and_failed_ones_seen() {
    let mut picture = at(10);
    for zone in 0..20 {
        picture.event(seconds(10), &started(Kind::Subnet, &zone.to_string()));
    }
    let lines = frame::running(&picture, seconds(11), Size { columns: 80, rows: 10 }, false);
    assert!(lines.iter().any(|line| line.contains("LimitExceeded")), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.contains("more")), "{lines:#?}");
    assert!(lines.len() < 10, "{lines:#?}");
}

/// What was written to it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().expect("nobody panics"))).expect("UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_frame_covers_the_one_before_and_the_cursor_comes_back() {
    let written = Written::default();
    let mut terminal = Terminal::new(Box::new(written.clone()), Box::new(|| SIZE), false);
    terminal.tick(seconds(0), &Picture::default());
    assert_eq!(written.take(), "", "nothing runs yet");
    terminal.tick(seconds(4), &at(4));
    let first = written.take();
    assert!(first.contains("\x1b[?25l") && !first.contains('A'), "{first:?}");
    terminal.tick(seconds(10), &at(10));
    // Six lines, each of which fits.
    assert!(written.take().contains("\x1b[6A\r"));
    terminal.say(seconds(11), "something\nelse", &at(10));
    let said = written.take();
    assert!(said.contains("\x1b[7A\rsomething\x1b[K\r\nelse\x1b[K\r\n    11 s  2 of 5"), "{said:?}");
    terminal.settle(seconds(90), &at(90));
    let last = written.take();
    assert!(last.contains("\x1b[7A\r    90 s  3 of 5") && last.contains("\x1b[J\x1b[?25h"), "{last:?}");
}

#[test]
fn a_terminal_made_narrower_has_wrapped_what_was_drawn() {
    let columns = Arc::new(Mutex::new(80));
    let now = Arc::clone(&columns);
    let size = move || Size { columns: *now.lock().expect("nobody panics"), rows: 24 };
    let written = Written::default();
    let mut terminal = Terminal::new(Box::new(written.clone()), Box::new(size), true);
    terminal.tick(seconds(4), &at(4));
    let drawn = frame::running(&at(4), seconds(4), SIZE, false);
    *columns.lock().expect("nobody panics") = 30;
    written.take();
    terminal.tick(seconds(4), &at(4));
    let up: usize = drawn.iter().map(|line| line.width().div_ceil(30)).sum();
    assert!(up > drawn.len() && written.take().contains(&format!("\x1b[{up}A")), "{up}");
}

#[test]
fn lines_for_logs_and_a_sign_of_life_every_half_minute() {
    let written = Written::default();
    let mut lines = Lines::new(Box::new(written.clone()));
    let mut picture = Picture::default();
    picture.expect([Kind::Vpc, Kind::NatGateway].into_iter());
    let mut script = script();
    script.truncate(7);
    script.push((90, ready(Kind::NatGateway, "a")));
    for second in 0..=90 {
        for (at, event) in script.iter().filter(|(at, _)| *at == second) {
            picture.event(seconds(*at), event);
            lines.event(seconds(*at), event, &picture);
        }
        lines.tick(seconds(second), &picture);
    }
    assert_eq!(
        written.take(),
        "   1.0 s  [1/2] created vpc/main (1.0 s)
   2.0 s  [2/2] created nat-gateway/a (1.0 s)
   3.0 s  role/control: Throttling: Rate exceeded; again in 6 s
  33.0 s  waiting for nat-gateway/a (31 s of about 100 s); role/control (31 s): Throttling: Rate exceeded
  63.0 s  waiting for nat-gateway/a (61 s of about 100 s); role/control (61 s): Throttling: Rate exceeded
  90.0 s  nat-gateway/a is available (90.0 s)
"
    );
}

#[test]
fn a_panic_leaves_the_tree_before_it_says_anything() {
    let written = Written::default();
    let view = Box::new(Terminal::new(Box::new(written.clone()), Box::new(|| SIZE), false));
    let shared =
        Arc::new(Shared { begun: Instant::now(), inner: Mutex::new(Inner { picture: at(10), view, trace: None }) });
    shared.with(|inner, at| inner.view.tick(at, &inner.picture));
    assert!(written.take().contains("\x1b[?25l"));
    talk_through(Some(Arc::clone(&shared) as _));
    leave_on_panic();
    let panicked = std::thread::spawn(|| panic!("on purpose")).join();
    talk_through(None);
    assert!(panicked.is_err() && written.take().contains("\x1b[J\x1b[?25h"));
}

#[test]
fn an_object_in_each_line_for_programs_and_a_sign_of_life() {
    let written = Written::default();
    let mut stream = Stream::new(Box::new(written.clone()));
    let mut picture = Picture::default();
    for (at, event) in script() {
        picture.event(seconds(at), &event);
        stream.event(seconds(at), &event, &picture);
        if at == 10 {
            stream.tick(seconds(39), &picture);
            stream.tick(seconds(40), &picture);
        }
    }
    stream.say(seconds(91), "\nthe end\n", &picture);
    let written = written.take();
    let lines: Vec<serde_json::Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("JSON in every line")).collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(
        events,
        [
            "started",
            "done",
            "started",
            "done",
            "waiting",
            "started",
            "retrying",
            "failed",
            "skipped",
            "started",
            "still_waiting",
            "ready",
            "done",
            "message",
        ]
    );
    assert_eq!(lines[6]["message"], "Throttling: Rate exceeded");
    assert_eq!(lines[10]["waiting_for"], serde_json::json!(["nat-gateway/a", "listener/api"]));
    assert_eq!(lines[13]["message"], "the end");
}
