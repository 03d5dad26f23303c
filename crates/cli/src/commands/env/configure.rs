//! `cortex env configure`.

use std::fs;

use crate::{
    args,
    environments::{CredentialSource, Environment, Environments},
    home::{Home, io_failure},
    local::{self, Layout, Settings},
    operator_client::connect,
    output::say,
    report::{Exit, Failure},
};

pub async fn configure(arguments: args::EnvConfigure) -> Result<(), Failure> {
    if arguments.name.is_empty() || arguments.name.len() > 63 {
        let message = "the name of an environment has 1 to 63 characters";
        return Err(Failure::new(Exit::InvalidConfig, "env.bad_name", message));
    }
    let home = Home::find()?;
    let environment = match &arguments {
        args::EnvConfigure {
            operator_endpoint: Some(endpoint), ca_file: Some(ca), token_file: Some(token), ..
        } => {
            let token = std::path::absolute(token).map_err(|error| io_failure("find", token, &error))?;
            Environment {
                cluster: endpoint.clone(),
                operator_endpoint: endpoint.clone(),
                ca_certificate: fs::read_to_string(ca).map_err(|error| io_failure("read", ca, &error))?,
                credential: CredentialSource::TokenFile(token),
            }
        }
        // The name that the old product and our documents use for clusters on AWS.
        args::EnvConfigure { name, cluster: None, .. } if name == "aws" => {
            return Err(Failure::not_supported("clusters on AWS are not supported yet")
                .hint("for a cluster on this machine: `cortex env configure local`"));
        }
        args::EnvConfigure { cluster, .. } => of_this_machine(&home, cluster.as_deref())?,
    };
    let mut environments = Environments::load(&home)?;
    environments.put(&arguments.name, environment.clone());
    environments.save(&home)?;
    let (_, client) = connect(Some(&arguments.name))?;
    if let Err(error) = client.info().await {
        say!("warning: {error}");
        say!("the environment was configured all the same");
    }
    let is_default = environments.default.as_deref() == Some(&arguments.name);
    let result = serde_json::json!({
        "name": arguments.name, "cluster": environment.cluster,
        "operator_endpoint": environment.operator_endpoint, "default": is_default,
    });
    arguments.printed.output.print(&result, |_| {
        let default = if is_default { ", the default" } else { "" };
        format!(
            "environment {}{default}: cluster {}, operator {}",
            arguments.name, environment.cluster, environment.operator_endpoint
        )
    })
}

fn of_this_machine(home: &Home, name: Option<&str>) -> Result<Environment, Failure> {
    let cluster = local::find(home, name)?;
    let layout = Layout::new(&cluster.directory);
    let settings = Settings::load(&layout)?.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "cluster.incomplete",
            format!("the cluster `{}` was never made whole", cluster.name),
        )
        .hint("run `cortex cluster up` again")
    })?;
    let ca = layout.ca_file();
    Ok(Environment {
        cluster: cluster.name,
        operator_endpoint: settings.operator_endpoint(),
        ca_certificate: fs::read_to_string(&ca).map_err(|error| io_failure("read", &ca, &error))?,
        credential: CredentialSource::TokenFile(layout.token_file()),
    })
}
