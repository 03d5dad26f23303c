//! `cortex completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{args::Arguments, output::data, report::Failure};

pub fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cortex", &mut script);
    data(&String::from_utf8_lossy(&script))
}
