//! `cortex cluster plan`.

use spec::cluster::Provider;

use super::read_config;
use crate::{args, report::Failure};

pub async fn plan(arguments: args::ClusterPlan) -> Result<(), Failure> {
    let cluster = read_config(&arguments.config)?;
    match &cluster.provider {
        Provider::Local(_) => Err(Failure::not_supported("only clusters on AWS have a plan")
            .hint("`cortex cluster up` of a cluster on this machine makes a directory and three processes")),
        #[cfg(feature = "aws")]
        Provider::Aws(aws) => {
            let files = files(&arguments.config, &arguments.files);
            match arguments.export {
                None => Box::pin(crate::aws::plan(&cluster.name, aws, &files, arguments.printed.output)).await,
                Some(args::Export::TerraformJson) => {
                    Box::pin(crate::aws::terraform_json(&cluster.name, aws, &files)).await
                }
            }
        }
        #[cfg(not(feature = "aws"))]
        Provider::Aws(_) => Err(Failure::without_aws()),
    }
}

#[cfg(feature = "aws")]
pub fn files(config: &std::path::Path, files: &args::NodeFiles) -> crate::aws::Files {
    crate::aws::Files {
        directory: config.parent().map(std::path::Path::to_owned).unwrap_or_default(),
        node_binary: files.node_binary.clone(),
        onnxruntime: files.onnxruntime.clone(),
    }
}
