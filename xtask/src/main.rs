//! `cargo xtask`: everything that is done to this repository, in Rust instead of shell scripts.
//!
//! One file per task. This file only reads the arguments and turns the outcome into an exit code.

mod bench;
mod ci;
mod deps;
mod emulator;
mod generate;
mod python;
mod quickstart;
mod run;
mod scan;
mod shapes;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  quickstart [--keep]            build, then cluster up, deploy, predict, cluster down on this machine;
                                 --keep leaves the cluster running
  quickstart --aws-emulator      the same on an emulated AWS, with real nodes, operator, gateway and replicas; builds
                                 the AWS SDK, which takes a while and 8 GB of memory
  test [--full] [-- ARGS]        all tests; --full runs the expensive ones whole; ARGS go to the test runner
                                 (cargo-nextest if it is installed, else cargo test)
  ci                             what has to pass before a change lands: format, deps, clippy, generate --check, test
  deps                           check who depends on whom
  bench gateway [--engines] [--rounds N] [--write]
                                 the gateway beside nginx and HAProxy, or beside other engines
  bench replica [--rounds N] [--write]
                                 the replica beside FastAPI, LitServe, BentoML, Ray Serve and MLServer
  bench operator [--write]       what malformed and forged tokens cost the operator, and a good caller beside them
  bench provision [--scale X] [--rounds N] [--write]
                                 `cluster up` against its critical path, Ansible and boto3, on the emulator with the delays
                                 of AWS, or X times these; --write puts the table into docs/benchmarks.md
  scan                           what checkov and prowler say about clusters; fails on what docs/security/exceptions.md
                                 does not explain
  generate [--check]             write the generated pages of docs/, or only say which are stale
";

#[derive(Debug, PartialEq)]
enum Task {
    Bench(bench::Options),
    Quickstart { keep: bool },
    QuickstartOnAws,
    Test(test::Options),
    Ci,
    Deps,
    Scan,
    Generate { check: bool },
    Help,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = match parse(&arguments) {
        Ok(task) => task,
        Err(problem) => {
            eprint!("error: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    perform(&task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn perform(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Quickstart { keep } => quickstart::run(*keep)?,
        Task::QuickstartOnAws => quickstart::run_on_aws()?,
        Task::Test(options) => return test::run(options),
        Task::Ci => return ci::run(),
        Task::Deps => deps::run()?,
        Task::Bench(options) => bench::run(options)?,
        Task::Scan => scan::run()?,
        Task::Generate { check } => generate::run(*check)?,
        Task::Help => print!("{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(arguments: &[String]) -> Result<Task, String> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err("which task?".to_owned());
    };
    if rest.first().is_some_and(|argument| argument == "--help") {
        return Ok(Task::Help);
    }
    match name.as_str() {
        "quickstart" if rest == ["--aws-emulator"] => Ok(Task::QuickstartOnAws),
        "quickstart" => Ok(Task::Quickstart { keep: only_flag(rest, "--keep")? }),
        "test" => Ok(Task::Test(test_options(rest)?)),
        "ci" => no_arguments(rest).map(|()| Task::Ci),
        "deps" => no_arguments(rest).map(|()| Task::Deps),
        "bench" => bench::options(rest).map(Task::Bench),
        "scan" => no_arguments(rest).map(|()| Task::Scan),
        "generate" => Ok(Task::Generate { check: only_flag(rest, "--check")? }),
        "help" | "--help" | "-h" => Ok(Task::Help),
        other => Err(format!("there is no task `{other}`")),
    }
}

fn test_options(arguments: &[String]) -> Result<test::Options, String> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let full = only_flag(&arguments[..end], "--full")
        .map_err(|problem| format!("{problem}; what is for the test runner comes after `--`"))?;
    Ok(test::Options { full, runner_arguments: arguments.iter().skip(end + 1).cloned().collect() })
}

fn only_flag(arguments: &[String], flag: &str) -> Result<bool, String> {
    match arguments.iter().find(|argument| *argument != flag) {
        Some(other) => Err(format!("unknown argument `{other}`")),
        None => Ok(!arguments.is_empty()),
    }
}

fn no_arguments(arguments: &[String]) -> Result<(), String> {
    arguments.first().map_or(Ok(()), |other| Err(format!("unknown argument `{other}`")))
}

#[cfg(test)]
mod tests {
    use super::{Task, parse, test::Options};

    fn parsed(line: &str) -> Result<Task, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_select_variants() {
        assert_eq!(parsed("quickstart"), Ok(Task::Quickstart { keep: false }));
        assert_eq!(parsed("quickstart --keep"), Ok(Task::Quickstart { keep: true }));
        assert_eq!(parsed("quickstart --aws-emulator"), Ok(Task::QuickstartOnAws));
        assert_eq!(parsed("generate --check"), Ok(Task::Generate { check: true }));
    }

    #[test]
    fn help_is_not_an_error() {
        assert_eq!(parsed("--help"), Ok(Task::Help));
        assert_eq!(parsed("generate --help"), Ok(Task::Help));
    }

    #[test]
    fn what_follows_two_dashes_is_the_runners() {
        let options = Options { full: true, runner_arguments: vec!["-p".into(), "spec".into(), "--full".into()] };
        assert_eq!(parsed("test --full -- -p spec --full"), Ok(Task::Test(options)));
        assert_eq!(parsed("test --"), Ok(Task::Test(Options { full: false, runner_arguments: vec![] })));
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(parsed("").is_err());
        assert_eq!(parsed("tset"), Err("there is no task `tset`".to_owned()));
        assert_eq!(parsed("ci --fast"), Err("unknown argument `--fast`".to_owned()));
        assert!(parsed("test -p spec").is_err_and(|problem| problem.contains("after `--`")));
    }
}
