//! What went wrong, for people and for scripts: a message, a hint, a stable kind, an exit code by kind.

use std::{fmt::Write as _, io::IsTerminal as _, process::ExitCode};

use api::ClientError;
use http::StatusCode;
use miette::{GraphicalReportHandler, GraphicalTheme};
use spec::Invalid;

/// Exit codes; 2 is clap's for a command line that makes no sense. Documented in `docs/reference/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    General = 1,
    InvalidConfig = 3,
    Refused = 4,
    NotFound = 5,
    Unreachable = 6,
    Conflict = 7,
    /// The command did its part, but what it started does not work.
    NotReady = 8,
    NotSupported = 9,
    Cancelled = 10,
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Stable and dotted.
    pub kind: String,
    pub message: String,
    pub hint: Option<String>,
    /// Problems of a configuration file, to be shown in its text.
    invalid: Option<Box<Invalid>>,
}

impl Failure {
    pub fn new(exit: Exit, kind: &str, message: impl Into<String>) -> Self {
        Self { exit, kind: kind.to_owned(), message: message.into(), hint: None, invalid: None }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::General, "cli.internal", message)
    }

    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(Exit::NotSupported, "cli.not_supported", message)
    }

    /// Of a build without the feature `aws`.
    #[cfg(not(feature = "aws"))]
    pub fn without_aws() -> Self {
        Self::not_supported("this `cortex` was built without support for AWS: nothing was done")
            .hint("build it with the feature `aws`, which is on by default")
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first what it is about.
    pub fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let count = invalid.problems().len();
        let plural = if count == 1 { "problem" } else { "problems" };
        let message = format!("{} has {count} {plural}; nothing was changed", invalid.source_name());
        Self {
            exit: Exit::InvalidConfig,
            kind: "cli.invalid_config".to_owned(),
            message,
            hint: None,
            invalid: Some(Box::new(invalid)),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { status, body } => {
                let exit = match status {
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
                    StatusCode::NOT_FOUND => Exit::NotFound,
                    StatusCode::CONFLICT => Exit::Conflict,
                    _ => Exit::General,
                };
                Self::new(exit, &format!("operator.{}", body.kind), body.message)
            }
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, "operator.unreachable", error.to_string())
                .hint(
                    "is the cluster up? `cortex cluster info` tells, `cortex cluster up` starts it; is the environment \
                     current? `cortex env list` shows it, `cortex env configure` renews it",
                ),
            other => Self::new(Exit::General, "operator.failed", other.to_string()),
        }
    }
}

impl From<state::StateError> for Failure {
    fn from(error: state::StateError) -> Self {
        let failure = Self::new(Exit::General, "state.failed", error.to_string());
        // So the State in a bucket says it, with the permission that it takes.
        if failure.message.contains("AccessDenied: the credentials need ") {
            return failure.hint("docs/iam has the policies that a cluster takes");
        }
        failure
    }
}

/// Prints a failure to standard error, as one line of JSON if the command was asked for JSON.
pub fn print(failure: &Failure, json: bool) {
    if json {
        let problems = failure.invalid.iter().flat_map(|invalid| invalid.problems()).map(|problem| {
            serde_json::json!({
                "kind": problem.kind, "path": problem.path, "line": problem.line, "column": problem.column,
                "message": problem.message, "help": problem.help,
            })
        });
        let error = serde_json::json!({ "error": {
            "kind": failure.kind, "message": failure.message, "hint": failure.hint,
            "problems": problems.collect::<Vec<_>>(),
        }});
        eprintln!("{error}");
        return;
    }
    let mut text = String::new();
    if let Some(invalid) = &failure.invalid {
        let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let theme = if coloured { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        text += &invalid.render(&GraphicalReportHandler::new_themed(theme));
        text.push('\n');
    }
    let _ = writeln!(text, "error: {}", failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    eprint!("{text}");
}
