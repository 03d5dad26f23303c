//! Logs out of CloudWatch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::wire::{LogLine, LogQuery};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use futures_util::StreamExt as _;
use operator::engine::{Engine as _, LogStream};
use testkit::emulator::{Delays, Mode};

use crate::ground::{Ground, LOG_GROUP};

const MINUTE: i64 = 60 * 1000;

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    i64::try_from(now).expect("it is not so late")
}

async fn write(ground: &Ground, stream: &str, lines: &[(i64, &str)]) {
    let events = lines.iter().map(|(at, text)| {
        let message =
            format!(r#"{{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","target":"predictor","message":"{text}"}}"#);
        InputLogEvent::builder().timestamp(*at).message(message).build().expect("it is whole")
    });
    let put = ground.logs.put_log_events().log_group_name(LOG_GROUP).log_stream_name(stream);
    put.set_log_events(Some(events.collect())).send().await.expect("events are taken");
}

async fn ground() -> Ground {
    let ground = Ground::without_nodes(Mode::Strict, &Delays::none());
    ground.logs.create_log_group().log_group_name(LOG_GROUP).send().await.expect("a log group is made");
    for stream in ["iris/replica/a", "iris/replica/b", "iris-2/replica/c"] {
        let made = ground.logs.create_log_stream().log_group_name(LOG_GROUP).log_stream_name(stream);
        made.send().await.expect("a log stream is made");
    }
    ground
}

fn query(follow: bool, tail: usize) -> LogQuery {
    LogQuery { follow, tail }
}

fn messages(lines: Vec<LogLine>) -> Vec<String> {
    lines.into_iter().map(|line| format!("{} {}", line.replica, line.message)).collect()
}

async fn next(stream: &mut LogStream) -> LogLine {
    tokio::time::timeout(Duration::from_secs(30), stream.next()).await.expect("in time").expect("it goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_found_however_old_they_are() {
    let ground = ground().await;
    let now = now();
    write(&ground, "iris/replica/a", &[(now - 3 * 24 * 60 * MINUTE, "days"), (now - 30 * MINUTE, "minutes")]).await;
    write(&ground, "iris/replica/b", &[(now - 5 * 60 * MINUTE, "hours"), (now - 1000, "second"), (now, "now")]).await;
    write(&ground, "iris-2/replica/c", &[(now, "of another API")]).await;
    let engine = ground.engine();
    for (tail, expected) in [
        (10, ["a days", "b hours", "a minutes", "b second", "b now"].as_slice()),
        (5, &["a days", "b hours", "a minutes", "b second", "b now"]),
        (3, &["a minutes", "b second", "b now"]),
        (1, &["b now"]),
        (0, &[]),
    ] {
        let lines = engine.logs("iris", &query(false, tail)).await.expect("there are logs");
        assert_eq!(messages(lines.collect().await), expected, "the last {tail}");
    }
    let mark = ground.emulator.mark();
    drop(engine.logs("iris", &query(false, 2)).await.expect("there are logs"));
    assert_eq!(ground.emulator.calls_since(mark).len(), 1, "no further back than it takes");
    let none = engine.logs("nothing", &query(false, 10)).await.expect("no log is no error");
    assert_eq!(none.count().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_goes_on_and_tells_nothing_twice() {
    let ground = ground().await;
    write(&ground, "iris/replica/a", &[(now() - 2000, "one"), (now() - 1000, "two")]).await;
    let engine = ground.engine();
    let mut lines = engine.logs("iris", &query(true, 10)).await.expect("there are logs");
    let mut told = vec![next(&mut lines).await, next(&mut lines).await];
    // Written before what was told, and seen after it.
    write(&ground, "iris/replica/b", &[(now() - 1500, "late"), (now(), "three")]).await;
    told.extend([next(&mut lines).await, next(&mut lines).await]);
    write(&ground, "iris/replica/a", &[(now(), "four")]).await;
    told.push(next(&mut lines).await);
    assert_eq!(messages(told), ["a one", "a two", "b late", "b three", "a four"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_group_that_is_missing_is_an_error() {
    let ground = Ground::without_nodes(Mode::Strict, &Delays::none());
    let Err(error) = ground.engine().logs("iris", &query(false, 10)).await else { panic!("there is no group") };
    assert!(error.to_string().contains("logs:FilterLogEvents: ResourceNotFoundException"), "{error}");
}
