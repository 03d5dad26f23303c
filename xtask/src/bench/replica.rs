//! A replica beside the Python servers that people use for the same: one model, one predictor, one worker process each, the
//! same request and the same processor; load from another.
//!
//! The replica runs in a program of its own (`crates/replica/examples/serve.rs`), since it needs no AWS to be measured.

mod peers;

use std::{fs, time::Duration};

use anyhow::Result;
use serde_json::{Value, json};

use self::peers::{Ground, Peer};
use super::{
    Options, debian, page,
    wrk::{Load, Rate, median},
};
use crate::run;

/// Processors, as `taskset` lists them.
const SERVER: &str = "0";
const LOAD: &str = "1";
const CONNECTIONS: u32 = 16;
const LENGTH: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const BODY: &str = r#"{"x": [[5.1, 3.5, 1.4, 0.2]]}"#;

struct Measured {
    peer: Peer,
    rate: Rate,
    resident: f64,
}

pub(super) fn run(options: &Options) -> Result<()> {
    debian::provide(&[("curl", "curl"), ("wrk", "wrk"), ("taskset", "util-linux")])?;
    run::stage("replica", &mut run::cargo(&["build", "--release", "-p", "replica", "--examples"]))?;
    let scratch = run::target()?.join("bench").join("replica");
    fs::create_dir_all(&scratch)?;
    let rounds = if options.rounds > 1 { options.rounds } else { ROUNDS };

    let ground = Ground::prepare(&scratch, SERVER)?;
    let mut measured: Vec<(Peer, Vec<Rate>, f64)> = Peer::ALL.map(|peer| (peer, Vec::new(), 0.0)).into();
    for _ in 0..rounds {
        // One at a time: some of them are at work even when nobody asks them anything.
        for (peer, rates, resident) in &mut measured {
            let server = ground.start(*peer)?;
            ground.check(*peer)?;
            let load = |length| Load {
                processors: LOAD,
                connections: CONNECTIONS,
                length,
                body: BODY,
                headers: vec![("content-type", "application/json".to_owned())],
            };
            load(Duration::from_secs(1)).at(&peer.url(), &server, &scratch)?;
            rates.push(load(LENGTH).at(&peer.url(), &server, &scratch)?);
            *resident = server.resident();
        }
    }
    let measured: Vec<Measured> =
        measured.into_iter().map(|(peer, rates, resident)| Measured { peer, rate: median(&rates), resident }).collect();
    let table = table(&measured, &ground);
    println!("{table}");
    if options.write {
        page::write("replica", &table)?;
    }
    println!("{}", line(&measured));
    Ok(())
}

/// The fastest of those that are not ours.
fn best(measured: &[Measured]) -> f64 {
    measured.iter().filter(|of| !of.peer.is_ours()).map(|of| of.rate.per_second).fold(0.0, f64::max)
}

fn table(measured: &[Measured], ground: &Ground) -> String {
    let best = best(measured);
    let mut lines = vec![
        format!(
            "{}; release profile; the server with its one worker process on one processor, load (`wrk`, {CONNECTIONS} \
             connections) on the other. Medians of rounds in turns.",
            page::machine()
        ),
        String::new(),
        "| server | requests/s | to the best other | p50 ms | p99 ms | processor time per request, us | MiB |"
            .to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    lines.extend(measured.iter().map(|Measured { peer, rate, resident }| {
        format!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {resident:.0} |",
            ground.name(*peer),
            rate.per_second,
            rate.per_second / best,
            rate.p50,
            rate.p99,
            rate.cpu
        )
    }));
    lines.join("\n")
}

fn line(measured: &[Measured]) -> Value {
    let best = best(measured);
    let to_best = |peer: Peer| {
        let ours = measured.iter().find(|of| of.peer == peer).map_or(0.0, |of| of.rate.per_second);
        (ours / best * 100.0).round() / 100.0
    };
    json!({
        "bench": "replica",
        "python_vs_best_peer": to_best(Peer::CortexPython),
        "onnx_vs_best_peer": to_best(Peer::CortexOnnx),
    })
}
