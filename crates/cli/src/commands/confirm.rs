//! A question before something that cannot be taken back, or costs money.

use std::io::{self, IsTerminal as _, Write as _};

use crate::report::{Exit, Failure};

/// Asks until the answer is yes or no. Without a terminal nobody can answer.
pub fn confirm(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Cancelled, "cli.confirmation_needed", format!("{what}: nobody can be asked"))
            .hint("--yes answers beforehand"));
    }
    loop {
        eprint!("{what}\ncontinue? (y/n) ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer).map_err(|error| Failure::internal(error.to_string()))?;
        match answer.trim() {
            "y" | "Y" | "yes" => return Ok(()),
            "n" | "N" | "no" => break,
            _ if read == 0 => break,
            _ => {}
        }
    }
    Err(Failure::new(Exit::Cancelled, "cli.cancelled", "nothing was done"))
}
