//! The gateway beside nginx and HAProxy, which do the same: TLS, a check of the key, and the request on to a server over
//! connections that are kept. One processor for the proxy, another for the load and the server behind.
//!
//! The gateway runs in a program of its own (`crates/gateway/examples/gate.rs`), since it needs no AWS to be measured.

mod engines;
mod proxies;
mod table;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use self::proxies::{Ground, Proxy};
use super::{
    Options, debian, page,
    server::{Server, pinned},
    wrk::{Load, Rate, median},
};
use crate::run;

/// Processors, as `taskset` lists them.
const PROXY: &str = "0";
const LOAD: &str = "1";
const CONNECTIONS: u32 = 32;
/// Short, and many of them: the speed of a machine that is shared changes within seconds.
const LENGTH: Duration = Duration::from_secs(1);
const ROUNDS: usize = 25;
/// Requests over which memory has to stay as it is.
const MANY: f64 = 1_000_000.0;
const BODY: &str = r#"{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}"#;

/// Of each at full speed.
type Rates = Vec<(Proxy, Rate)>;

/// What was measured of one proxy.
struct Measured {
    proxy: Proxy,
    full: Rate,
    /// At half of what nginx can do; in microseconds.
    half: Value,
}

pub(super) fn run(options: &Options) -> Result<()> {
    debian::provide(&[
        ("nginx", "nginx"),
        ("haproxy", "haproxy"),
        ("wrk", "wrk"),
        ("curl", "curl"),
        ("openssl", "openssl"),
        ("taskset", "util-linux"),
    ])?;
    run::stage("gateway", &mut run::cargo(&["build", "--release", "-p", "gateway", "--examples"]))?;
    let scratch = run::target()?.join("bench").join("gateway");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let rounds = if options.rounds > 1 { options.rounds } else { ROUNDS };

    if options.engines {
        return beside_other_engines(&scratch, rounds, options.write);
    }
    let ground = Ground::prepare(&scratch, PROXY, LOAD)?;
    let measured = beside_each_other(&ground, rounds)?;
    let direct = ground.steady(None, half_of_nginx(&measured))?;
    let memory = memory(&ground)?;
    let sizes = sizes(&ground)?;
    let table = table::of_all(&measured, &direct, &memory, &sizes);
    println!("{table}");
    if options.write {
        page::write("gateway", &table)?;
    }
    println!("{}", line(&measured, &memory));
    Ok(())
}

fn beside_other_engines(scratch: &Path, rounds: usize, write: bool) -> Result<()> {
    engines::provide()?;
    let ground = Ground::prepare(scratch, PROXY, LOAD)?;
    let (_servers, rates) = in_turns(&ground, &Proxy::ENGINES, rounds)?;
    let table = engines::table(&rates);
    println!("{table}");
    if write {
        page::write("engines", &table)?;
    }
    let nginx = rates[0].1.per_second;
    let ratio = |(proxy, rate): &(Proxy, Rate)| (proxy.name().to_owned(), json!(rate.per_second / nginx));
    let ratios: serde_json::Map<_, _> = rates.iter().map(ratio).collect();
    println!("{}", json!({ "bench": "gateway engines", "rps_vs_nginx": ratios }));
    Ok(())
}

/// Each at full speed in turns, so that what else the machine does meets all alike. They go on running.
fn in_turns(ground: &Ground, proxies: &[Proxy], rounds: usize) -> Result<(Vec<Server>, Rates)> {
    let mut servers = Vec::new();
    for proxy in proxies {
        servers.push(ground.start(*proxy, 1, 1)?);
        ground.check(*proxy)?;
    }
    let mut rates = vec![Vec::new(); proxies.len()];
    for _ in 0..rounds {
        for ((proxy, server), rates) in proxies.iter().zip(&servers).zip(&mut rates) {
            rates.push(load(ground).at(&proxy.url(), server, &ground.scratch)?);
        }
    }
    let medians = proxies.iter().copied().zip(rates.iter().map(|rates| median(rates))).collect();
    Ok((servers, medians))
}

/// At full speed, then each at a steady pace.
fn beside_each_other(ground: &Ground, rounds: usize) -> Result<Vec<Measured>> {
    let (_servers, full) = in_turns(ground, &Proxy::ALL, rounds)?;
    let half = full.iter().find(|(proxy, _)| *proxy == Proxy::Nginx).map_or(0.0, |(_, rate)| rate.per_second / 2.0);
    let mut measured = Vec::new();
    for (proxy, full) in full {
        measured.push(Measured { proxy, full, half: ground.steady(Some(proxy), half)? });
    }
    Ok(measured)
}

fn load(ground: &Ground) -> Load<'_> {
    Load {
        processors: LOAD,
        connections: CONNECTIONS,
        length: LENGTH,
        body: BODY,
        headers: vec![("content-type", "application/json".to_owned()), ("x-api-key", ground.key.clone())],
    }
}

fn of(measured: &[Measured], proxy: Proxy) -> &Measured {
    measured.iter().find(|measured| measured.proxy == proxy).expect("all are measured")
}

fn half_of_nginx(measured: &[Measured]) -> f64 {
    of(measured, Proxy::Nginx).full.per_second / 2.0
}

/// Resident MiB after the first hundred thousand requests and after a million more.
struct Memory {
    requests: f64,
    before: f64,
    after: f64,
}

fn memory(ground: &Ground) -> Result<Memory> {
    let server = ground.start(Proxy::Cortex, 1, 1)?;
    let mut done = 0.0;
    let mut until = |count: f64| -> Result<f64> {
        let mut more = 0.0;
        while more < count {
            let load = Load { length: Duration::from_secs(10), ..load(ground) };
            more += load.at(&Proxy::Cortex.url(), &server, &ground.scratch)?.requests;
        }
        done = more;
        Ok(server.resident())
    };
    let before = until(MANY / 10.0)?;
    let after = until(MANY)?;
    Ok(Memory { requests: done, before, after })
}

/// One row of the route table's sizes.
struct Size {
    apis: u32,
    replicas: u32,
    rate: Rate,
    resident: f64,
}

fn sizes(ground: &Ground) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    for (apis, replicas) in [(1, 1), (1_000, 1), (1, 5_000), (1_000, 5_000)] {
        let server = ground.start(Proxy::Cortex, apis, replicas)?;
        // The first requests open connections.
        load(ground).at(&Proxy::Cortex.url(), &server, &ground.scratch)?;
        let rates = (0..9).map(|_| load(ground).at(&Proxy::Cortex.url(), &server, &ground.scratch));
        let rate = median(&rates.collect::<Result<Vec<_>>>()?);
        sizes.push(Size { apis, replicas, rate, resident: server.resident() });
    }
    Ok(sizes)
}

fn line(measured: &[Measured], memory: &Memory) -> Value {
    let (nginx, haproxy) = (of(measured, Proxy::Nginx), of(measured, Proxy::Haproxy));
    let ours = of(measured, Proxy::Cortex);
    let round = |number: f64| (number * 1000.0).round() / 1000.0;
    json!({
        "bench": "gateway",
        "rps_vs_nginx": round(ours.full.per_second / nginx.full.per_second),
        "rps_vs_haproxy": round(ours.full.per_second / haproxy.full.per_second),
        "cpu_vs_nginx": round(ours.full.cpu / nginx.full.cpu),
        "p99_vs_nginx": round(p99(&ours.half) / p99(&nginx.half)),
        "rss_growth_mb": round(memory.after - memory.before),
    })
}

/// Of a steady load; microseconds.
fn p99(half: &Value) -> f64 {
    half["p99"].as_f64().unwrap_or_default()
}

/// Runs the steady load.
fn steady(example: &Path, arguments: &[&str]) -> Result<Value> {
    let out = run::stdout_of(pinned(LOAD, example).args(arguments))?;
    serde_json::from_str(out.trim()).context("the load prints JSON")
}
