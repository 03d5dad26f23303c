//! `cortex version`.

use serde::Serialize;

use crate::{
    args,
    environments::Environments,
    home::Home,
    operator_client::connect,
    output::say,
    report::{Exit, Failure},
};

#[derive(Serialize)]
struct Versions {
    cli: &'static str,
    /// Absent if no environment is configured or its operator does not answer.
    cluster: Option<String>,
}

pub async fn version(arguments: args::Version) -> Result<(), Failure> {
    let named = arguments.target.env.as_deref();
    let configured = named.is_some() || Environments::load(&Home::find()?)?.default.is_some();
    let cluster = if configured { cluster(named).await? } else { None };
    let versions = Versions { cli: env!("CARGO_PKG_VERSION"), cluster };
    arguments.printed.output.print(&versions, |versions| match &versions.cluster {
        Some(cluster) => format!("cli       {}\ncluster   {cluster}", versions.cli),
        None => format!("cli       {}", versions.cli),
    })
}

async fn cluster(environment: Option<&str>) -> Result<Option<String>, Failure> {
    let (_, client) = connect(environment).await?;
    match client.info().await.map_err(Failure::from) {
        Ok(info) => Ok(Some(info.version)),
        Err(failure) if failure.exit == Exit::Unreachable => {
            say!("{}", failure.message);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}
