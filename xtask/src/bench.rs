//! `cargo xtask bench`: measurements that are printed as a table and end with one line of JSON.
//!
//! Never a test: what is compared is compared within one run on one machine, and nothing fails because it was slow.

mod control_plane;
mod debian;
mod gateway;
mod operator;
mod page;
mod provision;
mod replica;
mod server;
mod tools;
mod wrk;

use anyhow::Result;

pub(crate) const WHICH: &str = "provision, operator, gateway and replica";

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Which {
    Provision,
    Operator,
    Gateway,
    Replica,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) which: Which,
    /// Of the delays as AWS has them.
    pub(crate) scale: f64,
    pub(crate) rounds: usize,
    /// Of the gateway: beside other engines instead of other proxies.
    pub(crate) engines: bool,
    /// Put the table into the docs.
    pub(crate) write: bool,
}

pub(crate) fn options(arguments: &[String]) -> Result<Options, String> {
    let mut arguments = arguments.iter().map(String::as_str);
    let which = match arguments.next() {
        Some("provision") => Which::Provision,
        Some("operator") => Which::Operator,
        Some("gateway") => Which::Gateway,
        Some("replica") => Which::Replica,
        Some(other) => return Err(format!("there is no benchmark `{other}`; there is {WHICH}")),
        None => return Err(format!("which benchmark? there is {WHICH}")),
    };
    let mut options = Options { which, scale: 1.0, rounds: 1, engines: false, write: false };
    while let Some(argument) = arguments.next() {
        if which == Which::Operator && argument != "--write" {
            return Err(format!("bench operator takes --write and nothing else, not `{argument}`"));
        }
        if matches!(which, Which::Gateway | Which::Replica) && argument == "--scale" {
            return Err("this benchmark takes --rounds and --write, not `--scale`".to_owned());
        }
        let mut number = || -> Result<f64, String> {
            let text = arguments.next().ok_or_else(|| format!("{argument} takes a number"))?;
            text.parse().ok().filter(|number| *number > 0.0).ok_or_else(|| format!("{argument} takes a number above 0"))
        };
        match argument {
            "--scale" => options.scale = number()?,
            "--rounds" => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "above 0, and it saturates"
                )]
                let rounds = number()?.ceil() as usize;
                options.rounds = rounds;
            }
            "--engines" if which == Which::Gateway => options.engines = true,
            "--write" => options.write = true,
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    Ok(options)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match options.which {
        Which::Provision => provision::run(options),
        Which::Operator => operator::run(options),
        Which::Gateway => gateway::run(options),
        Which::Replica => replica::run(options),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Which, options};

    fn parsed(line: &str) -> Result<Options, String> {
        options(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_numbers_above_nothing() {
        let expected = Options { which: Which::Provision, scale: 0.2, rounds: 3, engines: false, write: true };
        assert_eq!(parsed("provision --scale 0.2 --rounds 3 --write"), Ok(expected));
        let operator = Options { which: Which::Operator, scale: 1.0, rounds: 1, engines: false, write: true };
        assert_eq!(parsed("operator --write"), Ok(operator));
        assert!(parsed("gateway --engines").is_ok_and(|options| options.engines));
        assert_eq!(
            parsed("provision"),
            Ok(Options { which: Which::Provision, scale: 1.0, rounds: 1, engines: false, write: false })
        );
        for wrong in [
            "",
            "proxy",
            "gateway --scale 1",
            "provision --scale",
            "provision --scale 0",
            "provision --rounds x",
            "provision -v",
            "replica --engines",
            "operator --scale 1",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
