//! Prints the cluster of a `cluster.yaml` as Terraform JSON, with made-up answers for what only AWS can tell. For
//! `cargo xtask scan`: what a scanner judges does not depend on them.

use std::{env, fs, process::ExitCode};

use provision::{
    desired::{Artifact, Facts, Kept, Upload, desired, image_parameters},
    export::terraform_json,
};
use spec::cluster::{Aws, Provider};

fn main() -> ExitCode {
    match env::args().nth(1).map_or_else(|| Err("usage: terraform CLUSTER.YAML".to_owned()), |path| export(&path)) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn export(path: &str) -> Result<String, String> {
    let yaml = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let cluster = spec::cluster::parse(path, &yaml).map_err(|invalid| format!("{invalid:?}"))?;
    let Provider::Aws(aws) = cluster.provider else { return Err(format!("{path}: the provider is not aws")) };
    let graph = desired(&cluster.name, &aws, &facts(&aws))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    Ok(format!("{:#}", terraform_json(&graph)))
}

fn facts(aws: &Aws) -> Facts {
    let artifact = |name: &str| Artifact { name: name.to_owned(), sha256: "0".repeat(64) };
    let configuration = Upload {
        object_key: "config/cluster.json".to_owned(),
        sha256: Some("0".repeat(64)),
        source: "configuration".to_owned(),
        endpoints: true,
    };
    Facts {
        account_id: "123456789012".to_owned(),
        partition: "aws".to_owned(),
        availability_zones: ["a", "b", "c"].map(|zone| format!("{}{zone}", aws.region)).into(),
        images: image_parameters(aws)
            .into_keys()
            .map(|template| (template, "ami-0123456789abcdef0".to_owned()))
            .collect(),
        node_binary: artifact("cortex"),
        onnxruntime: artifact("libonnxruntime.so"),
        uploads: vec![configuration],
        brought_network: None,
        existing_security_group: None,
        runtime_identity: None,
        kept: Kept::default(),
    }
}
