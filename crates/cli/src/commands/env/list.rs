//! `cortex env list`.

use crate::{
    environments::Environments,
    home::Home,
    output::{Format, table},
    report::Failure,
};

pub fn list(format: Format) -> Result<(), Failure> {
    let all = Environments::load(&Home::find()?)?;
    format.print(&all, |all| {
        if all.environments.is_empty() {
            return "no environment is configured; `cortex env configure local` makes one".to_owned();
        }
        let rows = all.environments.iter().map(|(name, environment)| {
            let mark = if all.default.as_deref() == Some(name) { "*" } else { "" };
            [mark.to_owned(), name.clone(), environment.cluster.clone(), environment.operator_endpoint.clone()]
        });
        table(["", "environment", "cluster", "operator"], rows)
    })
}
