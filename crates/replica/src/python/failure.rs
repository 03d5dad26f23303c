//! Why a worker process did not get ready.

use std::{fmt, time::Duration};

use super::frame::Stage;
use crate::error::minutes;

/// The text is for the person who wrote the predictor. The traceback is in the log.
#[derive(Debug)]
pub struct StartFailure(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    /// The predictor's own code raised, or is not as it must be.
    Refused {
        path: String,
        stage: Stage,
        message: String,
    },
    /// The process ended without a word.
    Died {
        path: String,
        how: String,
    },
    TooSlow {
        path: String,
        limit: Duration,
    },
    Spawn(String),
    Protocol(String),
}

impl std::error::Error for StartFailure {}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Refused { path, stage, message } => {
                match stage {
                    // The worker's own findings are whole sentences; exceptions are not.
                    Stage::Import if message.starts_with(path) => f.write_str(message)?,
                    Stage::Import => write!(f, "{path} cannot be imported: {message}")?,
                    Stage::Class => f.write_str(message)?,
                    Stage::Init => write!(f, "the predictor's __init__ raised {message}")?,
                }
                if message.contains("No module named") {
                    f.write_str("; if it is a package, add it to requirements.txt")?;
                }
                Ok(())
            }
            Kind::Died { path, how } => {
                write!(f, "the worker process ended ({how}) while it loaded {path}")?;
                if how.contains("SIGKILL") {
                    f.write_str("; if it ran out of memory, raise `compute.mem`")?;
                }
                Ok(())
            }
            Kind::TooSlow { path, limit } => {
                write!(f, "the predictor's __init__ in {path} took longer than {}", minutes(*limit))
            }
            Kind::Spawn(reason) => write!(f, "a worker process cannot be started: {reason}"),
            Kind::Protocol(reason) => write!(f, "the worker process does not keep to the protocol: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do() {
        let path = || "predictor.py".to_owned();
        let text = |kind| StartFailure(kind).to_string();
        let message = "ModuleNotFoundError: No module named 'x'".to_owned();
        assert_eq!(
            text(Kind::Refused { path: path(), stage: Stage::Import, message }),
            "predictor.py cannot be imported: ModuleNotFoundError: No module named 'x'; if it is a package, add it to requirements.txt"
        );
        assert_eq!(
            text(Kind::Died { path: path(), how: "signal: 9 (SIGKILL)".to_owned() }),
            "the worker process ended (signal: 9 (SIGKILL)) while it loaded predictor.py; if it ran out of memory, raise `compute.mem`"
        );
        assert_eq!(
            text(Kind::TooSlow { path: path(), limit: Duration::from_secs(90) }),
            "the predictor's __init__ in predictor.py took longer than 1 min 30 s"
        );
    }
}
