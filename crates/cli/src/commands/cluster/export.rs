//! `cortex cluster export`: what is deployed, as it was uploaded.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use operator::{Deployment, deployments, engine::process::unpack_bundle};
use serde::Serialize;
use state::{LocalState, State};

use super::{Which, which};
use crate::{
    args,
    home::{Home, io_failure},
    local::Layout,
    output::table,
    report::{Exit, Failure},
};

#[derive(Serialize)]
struct Report {
    directory: PathBuf,
    apis: Vec<Exported>,
}

#[derive(Serialize)]
struct Exported {
    name: String,
    generation: u64,
    /// With all of its files, and `cortex.yaml` as it was deployed.
    project: PathBuf,
}

pub async fn export(arguments: args::ClusterExport) -> Result<(), Failure> {
    let (cluster, state) = match which(&Home::find()?, &arguments.which)? {
        Which::Local(cluster) => {
            let state = LocalState::open(&Layout::new(&cluster.directory).state()).await?;
            (cluster.name, Arc::new(state) as Arc<dyn State>)
        }
        Which::Aws(there) => (there.name.clone(), there.state().await?),
    };
    let mut all = deployments(Arc::clone(&state)).await?;
    if let Some(api) = &arguments.api {
        all.retain(|deployment| deployment.specification.api.name == *api);
        if all.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                "cli.no_such_api",
                format!("there is no API `{api}` in {cluster}"),
            )
            .hint("`cortex get` shows what is deployed"));
        }
    }
    let to = arguments.to.unwrap_or_else(|| format!("export-{cluster}").into());
    fs::create_dir(&to).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Conflict, "cli.exists", format!("{} exists already: nothing was written", to.display()))
                .hint("name another directory with --to")
        }
        _ => io_failure("make", &to, &error),
    })?;
    let mut apis = Vec::new();
    for deployment in &all {
        apis.push(write(&*state, deployment, &to).await?);
    }
    // Where bundles are unpacked; empty by now.
    let _ = fs::remove_dir(to.join("projects"));
    arguments.printed.output.print(&Report { directory: to, apis }, pretty)
}

fn pretty(report: &Report) -> String {
    if report.apis.is_empty() {
        return format!("nothing is deployed; {} is empty", report.directory.display());
    }
    let row = |api: &Exported| [api.name.clone(), api.generation.to_string(), api.project.display().to_string()];
    table(["api", "generation", "project"], report.apis.iter().map(row))
}

async fn write(state: &dyn State, deployment: &Deployment, to: &Path) -> Result<Exported, Failure> {
    let api = &deployment.specification.api;
    let directory = to.join(&api.name);
    let unpacked = unpack_bundle(to, state, &deployment.specification.bundle).await.map_err(|error| {
        Failure::new(Exit::General, "cli.export", format!("the project of `{}`: {error}", api.name))
    })?;
    fs::rename(&unpacked, &directory).map_err(|error| io_failure("rename", &unpacked, &error))?;
    // A bundle has everything but the configuration that it was deployed by.
    let file = directory.join("cortex.yaml");
    fs::write(&file, spec::realtime::to_yaml(std::slice::from_ref(api)))
        .map_err(|error| io_failure("write", &file, &error))?;
    Ok(Exported { name: api.name.clone(), generation: deployment.head.generation, project: directory })
}
