//! What was measured, for people.

use serde_json::Value;

use super::{Measured, Memory, Size, of, p99, proxies::Proxy};
use crate::bench::page;

pub(super) fn of_all(measured: &[Measured], direct: &Value, memory: &Memory, sizes: &[Size]) -> String {
    let nginx = of(measured, Proxy::Nginx);
    let added = |half: &Value, name: &str| {
        let micros = |of: &Value| of[name].as_f64().unwrap_or_default();
        micros(half) - micros(direct)
    };
    let mut lines = vec![
        format!(
            "{}; release profile; the proxy on one processor, load (`wrk`, 32 connections) and server behind on another. \
             Medians of rounds in turns.",
            page::machine()
        ),
        String::new(),
        "| TLS, key, forward | requests/s | to nginx | p99 ms | processor time per request, us | added at half of nginx's load: p50, p99 us |"
            .to_owned(),
        "|---|---:|---:|---:|---:|---:|".to_owned(),
    ];
    lines.extend(measured.iter().map(|measured| {
        let Measured { proxy, full, half } = measured;
        format!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0}, {:.0} |",
            proxy.title(),
            full.per_second,
            full.per_second / nginx.full.per_second,
            full.p99,
            full.cpu,
            added(half, "p50"),
            added(half, "p99"),
        )
    }));
    lines.extend([
        String::new(),
        format!(
            "At half of nginx's load the server behind alone answers in {} us (p99). Memory of the gateway: {:.1} MiB after 100,000 \
             requests, {:.1} MiB after {:.0} more.",
            p99(direct),
            memory.before,
            memory.after,
            memory.requests
        ),
        String::new(),
        "| APIs | replicas of the one that is asked | requests/s | processor time per request, us | MiB |".to_owned(),
        "|---:|---:|---:|---:|---:|".to_owned(),
    ]);
    lines.extend(sizes.iter().map(|Size { apis, replicas, rate, resident }| {
        format!("| {apis} | {replicas} | {:.0} | {:.1} | {resident:.0} |", rate.per_second, rate.cpu)
    }));
    lines.extend([String::new(), "All replicas are one server: simulated.".to_owned()]);
    lines.join("\n")
}
