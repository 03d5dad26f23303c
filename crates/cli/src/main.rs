//! `cortex`: the command line and, in the same binary, every process of a cluster.
//!
//! `args` says what may be typed, `commands` does it, one file per command; `process` is the long-running side of the
//! binary; `local` is a cluster on this machine. Only here and in `process` are adapters chosen.

mod args;
#[cfg(feature = "aws")]
mod aws;
mod certificate;
mod commands;
mod door;
mod environments;
mod founding;
mod health;
mod home;
mod local;
mod moment;
mod operator_client;
mod output;
mod process;
mod project;
mod report;
mod tunnel;

use std::process::ExitCode;

use clap::Parser as _;

/// A request makes and drops many small things, and glibc's allocator takes an eighth of the gateway's time for it (ADR 12).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Of the two providers that rustls knows, the one this workspace compiles.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    let arguments = args::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::print(&report::Failure::internal(format!("the runtime cannot start: {error}")), false);
            return ExitCode::FAILURE;
        }
    };
    let json = arguments.wants_json();
    let outcome = runtime.block_on(Box::pin(commands::run(arguments)));
    // A blocked read of standard input must not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::print(&failure, json);
            failure.exit_code()
        }
    }
}
