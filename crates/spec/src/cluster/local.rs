//! `provider: local`: operator, gateway and replicas as processes of this machine.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cluster, DEFAULT_NAME, Provider};
use crate::{
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    rules,
    yaml::Tree,
};

/// A cluster on this machine, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// Where the gateway listens.
    pub listen_address: IpAddr,
    /// The gateway's HTTPS port; 0 means any free one.
    pub lb_port: u16,
    /// Where the operator listens.
    pub operator_listen_address: IpAddr,
    /// 0 means any free one.
    pub operator_port: u16,
    /// Names and addresses of the cluster's certificate, besides `localhost`.
    pub host_names: Vec<String>,
    /// Makes the virtual environments: a command on the `PATH`, or an absolute path.
    pub python: String,
    /// Absolute; the pinned ONNX Runtime is fetched if absent.
    pub onnxruntime_library: Option<PathBuf>,
    /// Absolute; the user's data directory if absent.
    pub data_dir: Option<PathBuf>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            listen_address: Ipv4Addr::LOCALHOST.into(),
            lb_port: 8443,
            operator_listen_address: Ipv4Addr::LOCALHOST.into(),
            operator_port: 8888,
            host_names: Vec::new(),
            python: "python3".to_owned(),
            onnxruntime_library: None,
            data_dir: None,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Name of the cluster: lower-case letters, digits and single dashes.
    #[schemars(length(min = 3, max = 54), extend("default" = "cortex"))]
    cluster_name: Option<At<String>>,
    /// Where the cluster runs.
    #[expect(dead_code, reason = "decides that this type is read at all; here so that it is a known field")]
    provider: Option<At<LocalProvider>>,
    /// IP address on which the gateway serves the APIs. `0.0.0.0` makes them reachable from other machines.
    #[schemars(extend("default" = "127.0.0.1"))]
    listen_address: Option<At<String>>,
    /// HTTPS port of the gateway; 0 means any free port.
    #[schemars(range(min = 0, max = 65535), extend("default" = 8443))]
    lb_port: Option<At<i64>>,
    /// IP address on which the operator listens for the CLI.
    #[schemars(extend("default" = "127.0.0.1"))]
    operator_listen_address: Option<At<String>>,
    /// Port of the operator; 0 means any free port.
    #[schemars(range(min = 0, max = 65535), extend("default" = 8888))]
    operator_port: Option<At<i64>>,
    /// More DNS names and IP addresses for the cluster's certificate; `localhost` is always in it.
    #[schemars(extend("default" = []))]
    host_names: Option<At<Vec<At<String>>>>,
    /// Python that makes the virtual environments of predictors: a command on the PATH, or an absolute path.
    #[schemars(extend("default" = "python3"))]
    python: Option<At<String>>,
    /// Absolute path of an ONNX Runtime shared library to use instead of the pinned one, which is fetched.
    onnxruntime_library: Option<At<String>>,
    /// Absolute path of the directory for state, bundles and logs, instead of one in the user's data directory.
    data_dir: Option<At<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LocalProvider {
    Local,
}

pub(super) fn read(document: &mut Document<'_>) -> Option<Cluster> {
    let written: Written = document.read(&|path, word| super::explain("local", path, word))?;
    ports_differ(document, &written);
    let port = || rules::within::<u16>(0..=65535);
    let default = Local::default();
    let local = Local {
        listen_address: document.optional(written.listen_address, rules::ip_address).unwrap_or(default.listen_address),
        lb_port: document.optional(written.lb_port, port()).unwrap_or(default.lb_port),
        operator_listen_address: document
            .optional(written.operator_listen_address, rules::ip_address)
            .unwrap_or(default.operator_listen_address),
        operator_port: document.optional(written.operator_port, port()).unwrap_or(default.operator_port),
        host_names: written.host_names.map(|names| host_names(document, names.value)).unwrap_or_default(),
        python: document.optional(written.python, python).unwrap_or(default.python),
        onnxruntime_library: document.optional(written.onnxruntime_library, rules::absolute_path),
        data_dir: document.optional(written.data_dir, rules::absolute_path),
    };
    let name = document.optional(written.cluster_name, rules::cluster_name);
    Some(Cluster { name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()), provider: Provider::Local(local) })
}

/// Gateway and operator cannot share a port, written or by default, except "any free one".
fn ports_differ(document: &mut Document<'_>, written: &Written) {
    let default = Local::default();
    let lb = written.lb_port.as_ref().map_or(default.lb_port.into(), |port| port.value);
    let operator = written.operator_port.as_ref().map_or(default.operator_port.into(), |port| port.value);
    if lb == operator && lb != 0 {
        let refusal = Refusal::conflict(format!("`lb_port` and `operator_port` are both {lb}"))
            .help("give each its own port, or 0 for any free one");
        let later = if written.operator_port.is_some() { "operator_port" } else { "lb_port" };
        document.refuse_field(Tree::ROOT, later, refusal);
    }
}

fn host_names(document: &mut Document<'_>, written: Vec<At<String>>) -> Vec<String> {
    let mut names = Vec::new();
    for name in written {
        let node = name.node;
        names.extend(document.check(name, rules::host_name).map(|value| At { value, node }));
    }
    document.distinct(&names, |name, line| {
        Refusal::new(Kind::DuplicateValue, format!("`{name}` is already in line {line}")).help("keep one of the two")
    });
    names.into_iter().map(|name| name.value).collect()
}

fn python(text: String) -> Result<String, Refusal> {
    let command = !text.is_empty() && !text.contains('/') && !text.contains(char::is_whitespace);
    if command || text.starts_with('/') {
        return Ok(text);
    }
    Err(Refusal::invalid(format!("`{text}` is neither a command nor an absolute path"))
        .help("for example `python3.12` or `/usr/bin/python3`; arguments are not possible here"))
}
