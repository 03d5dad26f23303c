//! The log of a long-running process: JSON lines on standard error, which nobody waits for; panics, too.

use std::{fs::File, io, os::fd::AsFd as _, panic};

use telemetry::{Log, LogEnd};
use tracing_subscriber::{EnvFilter, fmt::time::UtcTime};

use crate::report::Failure;

/// `CORTEX_LOG` filters, as in `info,gateway=debug`. What is returned writes the last lines when it is dropped.
pub fn begin() -> Result<LogEnd, Failure> {
    let failed = |error: io::Error| Failure::internal(format!("there can be no log: {error}"));
    // Without the lock of `io::stderr`, which a write that does not end would hold.
    let out = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let (log, end) = Log::start(File::from(out)).map_err(failed)?;
    let filter = EnvFilter::try_from_env("CORTEX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_timer(UtcTime::rfc_3339())
        .with_env_filter(filter)
        // It would tell of what it cannot format on standard error, and wait for that.
        .log_internal_errors(false)
        .with_writer(move || log.clone())
        .init();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let backtrace = std::backtrace::Backtrace::capture();
        let message = panic.payload_as_str().unwrap_or("a panic");
        tracing::error!(target: "panic", place, thread, backtrace = backtrace.to_string(), "{message}");
    }));
    Ok(end)
}
