//! `cortex cluster`.

pub mod cert;
pub mod down;
pub mod export;
pub mod health;
pub mod info;
pub mod plan;
pub mod up;

use std::{fs, path::Path, sync::Arc};

use spec::cluster::{Aws, Cluster, Provider};
use state::State;

#[cfg(feature = "aws")]
use crate::aws;
use crate::{
    args::{ClusterDown, WhichCluster},
    health::Health,
    home::{Home, io_failure},
    local::{self, Registered},
    output::Format,
    report::{Exit, Failure},
};

fn read_config(file: &Path) -> Result<Cluster, Failure> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "cluster.no_file", format!("there is no file {}", file.display()))
                .hint("name the configuration with -c; cluster.yaml.example shows every field")
        }
        _ => io_failure("read", file, &error),
    })?;
    Ok(spec::cluster::parse(&file.display().to_string(), &text)?)
}

/// There is nothing to follow where a cluster is made by starting three processes.
fn no_trace(trace: Option<&Path>) -> Result<(), Failure> {
    match trace {
        None => Ok(()),
        Some(_) => Err(Failure::not_supported("--trace is for clusters on AWS only; nothing was done")),
    }
}

/// The cluster that a command is about.
enum Which {
    Local(Registered),
    Aws(There),
}

/// A cluster on AWS.
struct There {
    name: String,
    region: String,
    /// From its file, if there is one.
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "nothing can be done with it"))]
    settings: Option<Box<Aws>>,
}

fn which(home: &Home, which: &WhichCluster) -> Result<Which, Failure> {
    let name = match (&which.name, &which.region, &which.config) {
        (Some(name), Some(region), _) => {
            return Ok(Which::Aws(There { name: name.clone(), region: region.clone(), settings: None }));
        }
        (Some(name), None, _) => Some(name.clone()),
        (None, _, Some(file)) => match read_config(file)? {
            Cluster { name, provider: Provider::Aws(aws) } => {
                return Ok(Which::Aws(There { name, region: aws.region.clone(), settings: Some(aws) }));
            }
            local => Some(local.name),
        },
        (None, _, None) => None,
    };
    let found = local::find(home, name.as_deref());
    found.map(Which::Local).map_err(|failure| match failure.kind.as_str() {
        "cluster.not_found" => {
            failure.hint("a cluster on AWS is named by --name and --region, or by its file with --config")
        }
        _ => failure,
    })
}

#[cfg(feature = "aws")]
impl There {
    async fn account(&self) -> Result<aws::Account, Failure> {
        let keys = self.settings.as_ref().and_then(|settings| settings.create_credentials.as_ref());
        aws::connect(Some(&self.region), keys).await
    }

    fn bucket(&self) -> aws::BucketName {
        match &self.settings {
            None => aws::BucketName::Unknown,
            Some(settings) => settings.bucket.clone().map_or(aws::BucketName::Standard, aws::BucketName::Given),
        }
    }

    async fn down(&self, arguments: &ClusterDown) -> Result<(), Failure> {
        let options = aws::Down {
            yes: arguments.yes,
            keep: arguments.keep_aws_resources,
            trace: arguments.trace.clone(),
            output: arguments.printed.output,
        };
        aws::down(&self.name, &self.account().await?, self.bucket(), &options).await
    }

    async fn info(&self, drift: bool, output: Format) -> Result<(), Failure> {
        aws::info(&self.name, &self.account().await?, self.bucket(), drift, output).await
    }

    async fn health(&self) -> Result<Health, Failure> {
        aws::health(&self.name, &self.account().await?, self.bucket()).await
    }

    /// Where everything is that was deployed.
    async fn state(&self) -> Result<Arc<dyn State>, Failure> {
        aws::state_of(&self.name, &self.account().await?, self.bucket()).await
    }

    async fn cert(&self) -> Result<String, Failure> {
        aws::cert(&self.name, &self.account().await?, self.bucket()).await
    }
}

#[cfg(not(feature = "aws"))]
impl There {
    async fn down(&self, _: &ClusterDown) -> Result<(), Failure> {
        Err(self.cannot())
    }

    async fn info(&self, _: bool, _: Format) -> Result<(), Failure> {
        Err(self.cannot())
    }

    async fn health(&self) -> Result<Health, Failure> {
        Err(self.cannot())
    }

    async fn state(&self) -> Result<Arc<dyn State>, Failure> {
        Err(self.cannot())
    }

    async fn cert(&self) -> Result<String, Failure> {
        Err(self.cannot())
    }

    fn cannot(&self) -> Failure {
        let Self { name, region, .. } = self;
        Failure::without_aws().about(&format!("the cluster {name} in {region}"))
    }
}
