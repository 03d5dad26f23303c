//! What a process tells of itself to those who watch it: metrics in the text format of Prometheus,
//! traces, and its log.
//!
//! - `number`: counters, gauges and histograms. Counting is one or two relaxed atomic additions: no lock, no allocation, no
//!   look-up of labels. Whoever counts holds the number itself, and series are numbers that somebody holds: when the last
//!   holder is gone, the series is.
//! - `catalogue`: every metric that there is, with its labels and what it means. `docs/reference/metrics.md` is made from it.
//! - `page`: numbers as text. Made when somebody asks.
//! - `samples`: text as numbers again, to merge the pages of several processes and to read them.
//! - `log`: log lines, written by a thread of its own, so that nobody waits for them.
//! - `process`: what the kernel knows of this process.
//! - `trace`: spans, sent to a collector by OTLP.
//!
//! Our own and not `prometheus-client`, whose histograms take a lock at each observation and whose families look labels up in
//! a locked map, and which cannot read what it writes. That the pages are what Prometheus reads is tested with the parser of
//! Prometheus' own Python client.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test"))]

pub mod catalogue;
mod log;
mod number;
mod page;
mod process;
mod samples;
mod trace;

pub use catalogue::{Family, Kind};
pub use log::{Log, LogEnd};
pub use number::{ByKind, Codes, Counter, Gauge, Held, Histogram, LATENCY, SIZES};
pub use page::{CONTENT_TYPE, Page};
pub use process::describe as describe_process;
pub use samples::{BadPage, Merged, Sample, Samples, quantile};
pub use trace::{BadSettings, Settings, Span, SpanKind, TRACEPARENT, TraceContext, Tracer};

/// A request for a replica's metrics has this header; gateways take it out of what clients send, so that nobody but the
/// cluster itself can ask.
pub const SCRAPE_HEADER: &str = "x-cortex-scrape";
/// Where metrics are, in gateways and replicas.
pub const PATH: &str = "/metrics";
