//! `wrk`, which sends as fast as it is answered.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::server::{Server, pinned};
use crate::run;

/// What a request is, apart from where it goes.
pub(super) struct Load<'a> {
    /// Processors that wrk may use, as `taskset` lists them.
    pub(super) processors: &'a str,
    pub(super) connections: u32,
    pub(super) length: Duration,
    pub(super) body: &'a str,
    pub(super) headers: Vec<(&'a str, String)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Processor time of the server per request, in microseconds.
    pub(super) cpu: f64,
}

/// Its numbers as JSON: the report for people rounds and changes units.
const DONE: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\n{"requests":%d,"us":%d,"p50":%f,"p99":%f,"bad":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"#;

impl Load<'_> {
    /// Sends it to the URL, which `server` serves. Fails if any answer is not a good one.
    pub(super) fn at(&self, url: &str, server: &Server, scratch: &Path) -> Result<Rate> {
        let script = scratch.join("load.lua");
        fs::write(&script, self.script()).context("cannot write wrk's script")?;
        let (connections, seconds) = (format!("-c{}", self.connections), format!("-d{}s", self.length.as_secs_f64()));
        let before = server.cpu();
        let out = run::stdout_of(
            pinned(self.processors, "wrk")
                .args(["-t1", &connections, &seconds, "--timeout", "30s", "-s"])
                .arg(&script)
                .arg(url),
        )?;
        let used = server.cpu() - before;
        let line = out.lines().find(|line| line.starts_with('{')).context("wrk printed no numbers")?;
        let numbers: Value = serde_json::from_str(line).context("wrk's numbers are JSON")?;
        let number = |name: &str| numbers[name].as_f64().unwrap_or_default();
        if number("bad") > 0.0 || number("requests") < 1.0 {
            bail!("{url}: {} of {} requests went wrong", number("bad"), number("requests"));
        }
        Ok(Rate {
            requests: number("requests"),
            per_second: number("requests") / (number("us") / 1e6),
            p50: number("p50") / 1e3,
            p99: number("p99") / 1e3,
            cpu: used.as_secs_f64() * 1e6 / number("requests"),
        })
    }

    fn script(&self) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("wrk.headers[{name:?}] = {value:?}\n")).collect();
        format!("wrk.method = \"POST\"\nwrk.body = {:?}\n{headers}{DONE}", self.body)
    }
}

/// The middle one by each measure.
pub(super) fn median(rates: &[Rate]) -> Rate {
    let middle = |of: fn(&Rate) -> f64| {
        let mut all: Vec<f64> = rates.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Rate {
        requests: middle(|rate| rate.requests),
        per_second: middle(|rate| rate.per_second),
        p50: middle(|rate| rate.p50),
        p99: middle(|rate| rate.p99),
        cpu: middle(|rate| rate.cpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_taken_of_each_number() {
        let rate = |n: f64| Rate { requests: n, per_second: 10.0 - n, p50: n, p99: 2.0 * n, cpu: n };
        let middle = median(&[rate(3.0), rate(1.0), rate(2.0)]);
        assert_eq!((middle.requests, middle.per_second, middle.p99), (2.0, 8.0, 4.0));
    }
}
