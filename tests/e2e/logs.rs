//! A log that nobody reads holds nobody up; and what is read is whole.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{Cluster, Load, Role, Version, eventually, process, project};

/// A gateway in the place of a cluster's own, whose log is a pipe.
struct Piped {
    child: Child,
    log: Option<BufReader<std::process::ChildStderr>>,
}

impl Piped {
    /// `level`: of its log.
    async fn take_over(cluster: &Cluster, level: &str) -> Self {
        let mut command = cluster.cortex.command(&["gateway", "--directory"]);
        command.arg(&cluster.directory).env("CORTEX_LOG", level);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        let log = child.stderr.take().map(BufReader::new);
        let client = cluster.client_of(Version::Http1);
        eventually("the gateway answers", async || {
            let answer = client.try_post("/echo", &json!(1)).await?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
        Self { child, log }
    }

    /// Reads from now on. Every line has to be whole.
    fn read(&mut self) -> (mpsc::Receiver<Value>, JoinHandle<()>) {
        let log = self.log.take().expect("nobody reads it yet");
        let (told, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in log.lines() {
                let line = line.expect("UTF-8");
                let line = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                let _ = told.send(line);
            }
        });
        (lines, reader)
    }

    /// Asks it to end, and waits.
    fn stop(mut self) {
        process::terminate(self.child.id());
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }
}

async fn cluster_without_a_gateway() -> Cluster {
    let cluster = Cluster::up();
    cluster.deploy(&project::python(&cluster.cortex, "echo", &project::echo("1"), ""));
    let (node, gateway) = (cluster.pid(Role::Node), cluster.pid(Role::Gateway));
    cluster.kill(node).await;
    cluster.kill(gateway).await;
    cluster
}

fn lost(line: &Value) -> Option<u64> {
    (line["target"] == "log").then(|| line["lines"].as_u64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_up_nobody_and_says_what_it_lost() {
    let cluster = cluster_without_a_gateway().await;
    // It fills pipe and queue with what HTTP/2 says at this level.
    let mut gateway = Piped::take_over(&cluster, "trace").await;
    let load = Load::start(&[cluster.client()], "/echo", &json!("hello"), 8, Duration::ZERO);
    load.more(1500).await;
    let (lines, reader) = gateway.read();
    // Now that it is read, it says so by itself.
    let said = tokio::task::spawn_blocking(move || {
        loop {
            let line = lines.recv_timeout(Duration::from_secs(60)).expect("a line that says what is lost");
            if let Some(lost) = lost(&line) {
                return (lost, line, lines);
            }
        }
    });
    let (lost, line, lines) = said.await.expect("it does not panic");
    assert!(lost > 0 && line["level"] == "WARN", "{line}");
    load.more(20).await;
    load.stop().await.flawless();
    gateway.stop();
    reader.join().expect("every line is whole");
    let rest: Vec<_> = lines.try_iter().collect();
    assert!(rest.iter().any(|line| line["message"] == "asked to stop"), "{:#?}", rest.last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_log_is_lost_when_a_process_is_asked_to_stop() {
    let cluster = cluster_without_a_gateway().await;
    let mut gateway = Piped::take_over(&cluster, "info").await;
    let load = Load::start(&[cluster.client()], "/echo", &json!("hello"), 4, Duration::ZERO);
    load.more(200).await;
    let tally = load.stop().await;
    tally.flawless();
    let (lines, reader) = gateway.read();
    gateway.stop();
    reader.join().expect("every line is whole");
    let lines: Vec<_> = lines.try_iter().collect();
    let requests = lines.iter().filter(|line| line["message"] == "request" && line["status"] == 200).count() as u64;
    // And one or more until it answered.
    assert!(requests > tally.total(), "{requests} of {}", tally.total());
    assert!(lines.iter().all(|line| lost(line).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_closed_is_no_reason_to_end() {
    let cluster = cluster_without_a_gateway().await;
    let mut gateway = Piped::take_over(&cluster, "info").await;
    drop(gateway.log.take());
    let load = Load::start(&[cluster.client()], "/echo", &json!("hello"), 4, Duration::ZERO);
    load.more(50).await;
    load.stop().await.flawless();
    gateway.stop();
}
