//! The node runner as a test of the product uses it, with small stand-ins for the product.
//!
//! What nodes do is tested in `emulator/tests/test_nodes.py`, from all sides.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use testkit::{
    emulator::{self, Delays, Emulator, Mode},
    eventually,
    nodes::{Node, Nodes},
    process,
    project::repository,
};

/// Makes a control node behind a load balancer, or a worker of a cluster with one service; prints the instance.
fn set_up(emulator: &Emulator, what: &str) -> String {
    let mut python = Command::new(emulator::python());
    python.arg(repository("crates/testkit/tests/nodes/set_up.py")).arg(what);
    let output = python.envs(emulator.environment()).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = output.expect("the environment has a Python");
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The whole reply to `GET /`; empty if the connection is closed at once.
fn get(address: &str) -> String {
    let mut reply = String::new();
    let Ok(mut stream) = TcpStream::connect(address) else { return reply };
    let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let _ = sent.and_then(|()| stream.read_to_string(&mut reply));
    reply
}

/// The part after the name and the port: where a listener's forwarder is.
fn forwarder(connect_to: &str) -> &str {
    connect_to.splitn(3, ':').nth(2).expect("name:port:address")
}

#[tokio::test]
async fn a_control_node_is_reached_through_its_load_balancer() {
    let emulator = Emulator::start(Mode::Strict, &Delays::none());
    let nodes = Nodes::start(&emulator);
    let instance = set_up(&emulator, "control");
    let listeners = eventually("its load balancer answers", async || {
        let listeners = nodes.connect_to();
        let reply = listeners.first().map(|listener| get(forwarder(listener))).unwrap_or_default();
        if reply.contains("hello of 127.") {
            Ok(listeners)
        } else {
            Err(format!("{reply} {}", nodes.boot_log(&instance)))
        }
    })
    .await;
    assert!(listeners[0].contains(".elb.us-east-1.amazonaws.com:443:127.0.0.1:"), "{listeners:?}");

    let [node] = <[Node; 1]>::try_from(nodes.control()).expect("there is one");
    assert_eq!((node.instance.as_str(), node.state.as_str()), (instance.as_str(), "up"));
    assert!(nodes.workers().is_empty());
    let pid = node.units[0].pid.expect("it runs");
    assert!(nodes.logs().keys().any(|path| path.ends_with("boot.log")), "{:?}", nodes.logs());

    process::kill(pid);
    eventually("it was started again", async || {
        let unit = nodes.control()[0].units[0].clone();
        if unit.starts == 2 && unit.pid.is_some() { Ok(()) } else { Err(format!("{unit:?}")) }
    })
    .await;

    let mine = format!("HOME={}", nodes.directory().display());
    assert!(!process::of_environment(&mine).is_empty());
    let runner = nodes.pid();
    drop(nodes);
    assert!(!process::is_alive(runner));
    assert_eq!(process::of_environment(&mine), Vec::<u32>::new());
}

#[tokio::test]
async fn nothing_is_left_when_the_runner_is_killed() {
    let emulator = Emulator::start(Mode::Strict, &Delays::none());
    let nodes = Nodes::start(&emulator);
    set_up(&emulator, "control");
    eventually("it runs", async || {
        let running = nodes.control().iter().any(|node| node.units[0].pid.is_some());
        running.then_some(()).ok_or_else(|| format!("{:?} {:?}", nodes.status(), nodes.logs()))
    })
    .await;
    process::kill(nodes.pid());
    let mine = format!("HOME={}", nodes.directory().display());
    drop(nodes);
    assert_eq!(process::of_environment(&mine), Vec::<u32>::new());
}

#[tokio::test]
async fn a_worker_runs_tasks() {
    let emulator = Emulator::start(Mode::Strict, &Delays::none());
    let nodes = Nodes::start(&emulator);
    let instance = set_up(&emulator, "worker");
    let node = eventually("its task is healthy", async || {
        let workers = nodes.workers();
        let healthy = |node: &&Node| node.tasks.iter().any(|task| task.health.as_deref() == Some("HEALTHY"));
        workers.iter().find(healthy).cloned().ok_or_else(|| format!("{workers:?}"))
    })
    .await;
    assert_eq!(node.instance, instance);
    let task = &node.tasks[0];
    assert_eq!((task.state.as_str(), task.ports.len()), ("RUNNING", 1));
    assert!(get(&format!("{}:{}", node.address, task.ports[0])).contains("200 OK"));
    assert!(nodes.logs().iter().any(|(path, text)| path.ends_with("log") && text.contains("task says hello")));
    let pid = task.pid.expect("it runs");
    drop(nodes);
    assert!(!process::is_alive(pid));
}
