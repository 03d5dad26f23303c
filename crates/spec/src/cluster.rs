//! `cluster.yaml`: one cluster, on this machine or in an AWS account.
//!
//! The two providers share a name and nothing else, so each has its own as-written and checked type, and a field of the
//! other one is refused by name. Without a `provider` it is `aws`, as it always was.

mod aws;
mod legacy;
mod local;
mod telemetry;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use aws::{
    AccessRule, Aws, Certificate, ControlPlane, Credentials, LoadBalancer, LoadBalancers, Nat, Network, NodeGroup,
    Role, Scheme, SecurityGroup, Sharing, Spot, Subnet, Visibility, Volume, VolumeType, Vpc,
};
pub use local::Local;
pub use telemetry::{Sampler, Telemetry};

use crate::{
    document::Document,
    problem::{Invalid, Kind, Refusal},
    rules, schema,
    yaml::{Tree, Value as Node},
};

/// A cluster, checked and with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub name: String,
    pub provider: Provider,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Everything on this machine.
    Local(Local),
    /// In the user's AWS account.
    Aws(Box<Aws>),
}

impl Provider {
    /// As written in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Aws(_) => "aws",
        }
    }
}

const DEFAULT_NAME: &str = "cortex";

/// Reads a `cluster.yaml`. `source_name` only serves messages.
///
/// # Errors
///
/// Every problem of the text.
pub fn parse(source_name: &str, text: &str) -> Result<Cluster, Invalid> {
    let mut document = Document::parse("clusterconfig", source_name, text)?;
    let cluster = match provider(&mut document) {
        Some(Which::Local) => local::read(&mut document),
        Some(Which::Aws) => aws::read(&mut document),
        None => None,
    };
    document.finish(cluster)
}

/// The schema of `cluster.yaml`, for editors.
pub fn json_schema() -> Value {
    let local = schema::titled(schema::of::<local::Written>(), "provider: local", "A cluster on this machine.");
    let aws = schema::titled(schema::of::<aws::Written>(), "provider: aws", "A cluster in an AWS account.");
    let either = json!({
        "type": "object",
        "if": { "properties": { "provider": { "const": "local" } }, "required": ["provider"] },
        "then": local,
        "else": aws,
    });
    schema::file(either, "cluster.yaml", "A cortex cluster; see docs/reference/cluster-yaml.md.")
}

#[derive(Clone, Copy)]
enum Which {
    Local,
    Aws,
}

/// Decides by which rules the rest is read. Without a provider we know, nothing can be said about the rest.
fn provider(document: &mut Document<'_>) -> Option<Which> {
    let Some(entry) = document.tree().entry(Tree::ROOT, "provider") else { return Some(Which::Aws) };
    let node = entry.value;
    let name = match &document.tree().node(node).value {
        Node::Null => return Some(Which::Aws),
        Node::Text(name) => name.clone(),
        _ => String::new(),
    };
    match name.as_str() {
        "local" => Some(Which::Local),
        "aws" => Some(Which::Aws),
        _ => {
            let refusal = Refusal::invalid("the provider is `local` or `aws`");
            let near = rules::nearest(&name, ["local", "aws"].into_iter());
            document.refuse(
                node,
                match near {
                    Some(near) => refusal.help(format!("did you mean `{near}`?")),
                    None => refusal.help("`local` runs everything on this machine, `aws` in your AWS account"),
                },
            );
            None
        }
    }
}

/// Why a field is not one of this provider's, if it is more than a slip of the pen.
fn explain(here: &'static str, path: &str, word: Option<&str>) -> Option<Refusal> {
    if word.is_none() && !path.contains('.') {
        let (other, names) = match here {
            "local" => ("aws", schema::property_names::<aws::Written>()),
            _ => ("local", schema::property_names::<local::Written>()),
        };
        if names.iter().any(|name| name == path) {
            let message = format!("this field is for `provider: {other}`, and this cluster's provider is {here}");
            return Some(Refusal::new(Kind::OtherProvider, message).help(match here {
                "local" => "remove it".to_owned(),
                _ => format!("remove it, or set `provider: {other}` (`aws` is the default)"),
            }));
        }
    }
    legacy::explain(path, word)
}
