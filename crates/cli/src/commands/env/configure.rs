//! `cortex env configure`.

use std::{fs, path::Path};

use crate::{
    args,
    commands::confirm,
    environments::{CredentialSource, Environment, Environments},
    home::{Home, io_failure},
    local::{self, Layout},
    operator_client::client,
    output::say,
    report::{Exit, Failure},
    tunnel,
};

pub async fn configure(arguments: args::EnvConfigure) -> Result<(), Failure> {
    if arguments.name.is_empty() || arguments.name.len() > 63 {
        let message = "the name of an environment has 1 to 63 characters";
        return Err(Failure::new(Exit::InvalidConfig, "env.bad_name", message));
    }
    let home = Home::find()?;
    let mut environment = match (&arguments.operator_endpoint, &arguments.name) {
        (Some(endpoint), _) => elsewhere(endpoint, &arguments).await?,
        // The name that the old product and our documents use for clusters on AWS.
        (None, name) if name == "aws" && arguments.cluster.is_none() => return Err(no_endpoint()),
        (None, _) => of_this_machine(&home, arguments.cluster.as_deref())?,
    };
    // What cannot be reached now may be so later, so that is no reason not to configure it. Nor is being refused.
    match client(&arguments.name, &environment).await?.info().await {
        Ok(info) => environment.cluster = info.cluster_name,
        Err(error) => {
            say!("warning: {error}");
            say!("the environment was configured all the same");
        }
    }
    let mut environments = Environments::load(&home)?;
    environments.put(&arguments.name, environment.clone());
    environments.save(&home)?;
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

fn no_endpoint() -> Failure {
    Failure::new(Exit::InvalidConfig, "env.no_endpoint", "where the cluster's operator is has to be said")
        .hint("`cortex cluster info -c cluster.yaml` prints the whole command")
}

/// A cluster that is known by its operator's address: on AWS, or another machine's with its admin token.
async fn elsewhere(endpoint: &str, arguments: &args::EnvConfigure) -> Result<Environment, Failure> {
    let (host, port) = host_and_port(endpoint)?;
    let (ca_certificate, credential) = match (&arguments.token_file, &arguments.ca_file) {
        (Some(token), Some(ca)) => {
            let token = std::path::absolute(token).map_err(|error| io_failure("find", token, &error))?;
            (read_ca(ca)?, CredentialSource::TokenFile(token))
        }
        (_, Some(ca)) => (read_ca(ca)?, aws_credential(arguments).await?),
        (_, None) => {
            let credential = aws_credential(arguments).await?;
            let address = tunnel::address(&arguments.connect_to, &host, port);
            (authority(endpoint, &host, &address, arguments.ca_fingerprint.as_deref()).await?, credential)
        }
    };
    Ok(Environment {
        cluster: endpoint.to_owned(),
        operator_endpoint: endpoint.trim_end_matches('/').to_owned(),
        ca_certificate,
        credential,
        connect_to: arguments.connect_to.clone(),
    })
}

fn read_ca(path: &Path) -> Result<String, Failure> {
    let pem = fs::read_to_string(path).map_err(|error| io_failure("read", path, &error))?;
    transport::fingerprint(&pem).map_err(|error| {
        Failure::new(Exit::InvalidConfig, "env.bad_ca", format!("{}: {error}", path.display()))
            .hint("`cortex cluster cert` prints the cluster's certificate authority")
    })?;
    Ok(pem)
}

fn host_and_port(endpoint: &str) -> Result<(String, u16), Failure> {
    let refuse = || {
        Failure::new(Exit::InvalidConfig, "env.bad_endpoint", format!("`{endpoint}` is not https://HOST[:PORT]"))
            .hint("`cortex cluster info` prints the operator's endpoint")
    };
    let uri: http::Uri = endpoint.parse().map_err(|_| refuse())?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match uri.host() {
        Some(host) if uri.scheme_str() == Some("https") && plain => {
            Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
        }
        _ => Err(refuse()),
    }
}

/// The authority that the operator shows, if it is the right one: by its fingerprint, or because the user says so.
async fn authority(endpoint: &str, host: &str, address: &str, wanted: Option<&str>) -> Result<String, Failure> {
    let shown = transport::presented(address, host).await.map_err(|error| {
        Failure::new(Exit::Unreachable, "operator.unreachable", format!("{endpoint} cannot be reached: {error}")).hint(
            "is this machine's address in operator_load_balancer_cidr_white_list? or name the file with --ca-file",
        )
    })?;
    let fingerprint = |pem: &String| transport::fingerprint(pem).unwrap_or_default();
    if let Some(wanted) = wanted {
        let plain = wanted.replace(':', "").to_ascii_lowercase();
        return transport::with_fingerprint(&shown, &plain).ok_or_else(|| {
            let found: Vec<String> = shown.iter().map(fingerprint).collect();
            Failure::new(
                Exit::Refused,
                "env.wrong_fingerprint",
                format!("{endpoint} shows another certificate authority than the one with SHA-256 {wanted}"),
            )
            .hint(format!(
                "it shows {}; compare with `cortex cluster info`: if they differ, somebody is in between",
                found.last().map_or("none", String::as_str)
            ))
        });
    }
    // The root comes last.
    let Some(root) = shown.last() else {
        return Err(Failure::new(Exit::Refused, "env.no_certificate", format!("{endpoint} shows no certificate")));
    };
    confirm(&format!(
        "{endpoint} shows a certificate authority with SHA-256\n  {}\nwhich has to be the one that `cortex cluster up` \
         and `cortex cluster info` print",
        fingerprint(root)
    ))
    .map_err(|failure| match failure.kind.as_str() {
        "cli.confirmation_needed" => {
            failure.hint("give its fingerprint with --ca-fingerprint, or its file with --ca-file")
        }
        _ => failure,
    })?;
    Ok(root.clone())
}

#[cfg(feature = "aws")]
async fn aws_credential(arguments: &args::EnvConfigure) -> Result<CredentialSource, Failure> {
    let region = match &arguments.region {
        Some(region) => region.clone(),
        None => crate::aws::default_region().await?,
    };
    Ok(CredentialSource::Aws { region })
}

#[cfg(not(feature = "aws"))]
async fn aws_credential(_: &args::EnvConfigure) -> Result<CredentialSource, Failure> {
    Err(Failure::without_aws())
}

fn of_this_machine(home: &Home, name: Option<&str>) -> Result<Environment, Failure> {
    let cluster = local::find(home, name)?;
    let layout = Layout::new(&cluster.directory);
    let settings = cluster.settings()?;
    let ca = layout.ca_file();
    Ok(Environment {
        cluster: cluster.name,
        operator_endpoint: settings.operator_endpoint(),
        ca_certificate: fs::read_to_string(&ca).map_err(|error| io_failure("read", &ca, &error))?,
        credential: CredentialSource::TokenFile(layout.token_file()),
        connect_to: Vec::new(),
    })
}
