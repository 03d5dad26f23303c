//! `provider: local`: operator, gateway and replicas as processes of this machine.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Unexpected, Visitor},
};

use super::{Cluster, DEFAULT_NAME, Provider, Telemetry, telemetry};
use crate::{
    de::At,
    document::Document,
    problem::{Kind, Refusal},
    rules,
    yaml::Tree,
};

/// Ports of the gateway when none is written: they need no privilege.
const HTTPS: u16 = 8443;
const HTTP: u16 = 8080;

/// A cluster on this machine, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// Where the gateway listens.
    pub listen_address: IpAddr,
    /// The gateway's port; 0 means any free one.
    pub lb_port: u16,
    /// The gateway serves HTTPS, else plain HTTP. The operator always serves HTTPS.
    pub use_ssl: bool,
    /// PEM, certificates and key in one, in place of a certificate of the cluster's authority. May be relative: to the
    /// directory of the file.
    pub certificate_path: Option<PathBuf>,
    /// No authority has issued that, and clients are to know it itself.
    pub certificate_is_self_signed: bool,
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
    /// Nothing is traced without, unless the environment says so.
    pub telemetry: Option<Telemetry>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            listen_address: Ipv4Addr::LOCALHOST.into(),
            lb_port: HTTPS,
            use_ssl: true,
            certificate_path: None,
            certificate_is_self_signed: false,
            operator_listen_address: Ipv4Addr::LOCALHOST.into(),
            operator_port: 8888,
            host_names: Vec::new(),
            python: "python3".to_owned(),
            onnxruntime_library: None,
            data_dir: None,
            telemetry: None,
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
    /// Port of the gateway; 0 means any free port, `default` 443, or 80 without `use_ssl`. Without it, 8443 or 8080.
    #[schemars(extend("default" = 8443))]
    lb_port: Option<At<Port>>,
    /// Whether the gateway serves HTTPS. `false` sends keys and data in the clear: for the loopback interface, or behind a
    /// proxy of your own.
    #[schemars(extend("default" = true))]
    use_ssl: Option<At<bool>>,
    /// PEM file with the certificate, its issuers and the private key, to show clients instead of a certificate of the
    /// cluster's own authority. Relative to this file.
    certificate_path: Option<At<String>>,
    /// Whether the certificate in `certificate_path` is signed by itself. Clients have to be given it then.
    #[schemars(extend("default" = false))]
    certificate_is_self_signed: Option<At<bool>>,
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
    /// Where gateway and replicas send traces. Default: nowhere.
    telemetry: Option<At<telemetry::Written>>,
}

/// A number, or the word for the one that URLs need not name.
#[derive(Clone, Copy)]
enum Port {
    Number(i64),
    Default,
}

impl Port {
    fn number(self, use_ssl: bool) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Default if use_ssl => 443,
            Self::Default => 80,
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or `default`")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
        Ok(Port::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
        if text == "default" { Ok(Port::Default) } else { Err(E::invalid_type(Unexpected::Str(text), &self)) }
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 65535 }, { "const": "default" }] })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LocalProvider {
    Local,
}

pub(super) fn read(document: &mut Document<'_>) -> Option<Cluster> {
    let written: Written = document.read(&|path, word| super::explain("local", path, word))?;
    ports_differ(document, &written);
    certificate_is_shown(document, &written);
    let port = || rules::within::<u16>(0..=65535);
    let default = Local::default();
    let use_ssl = written.use_ssl.as_ref().is_none_or(|use_ssl| use_ssl.value);
    let without = if use_ssl { HTTPS } else { HTTP };
    let local = Local {
        listen_address: document.optional(written.listen_address, rules::ip_address).unwrap_or(default.listen_address),
        lb_port: document.optional(written.lb_port, |lb| port()(lb.number(use_ssl))).unwrap_or(without),
        use_ssl,
        certificate_path: document.optional(written.certificate_path, rules::file),
        certificate_is_self_signed: written.certificate_is_self_signed.is_some_and(|signed| signed.value),
        operator_listen_address: document
            .optional(written.operator_listen_address, rules::ip_address)
            .unwrap_or(default.operator_listen_address),
        operator_port: document.optional(written.operator_port, port()).unwrap_or(default.operator_port),
        host_names: written.host_names.map(|names| host_names(document, names.value)).unwrap_or_default(),
        python: document.optional(written.python, python).unwrap_or(default.python),
        onnxruntime_library: document.optional(written.onnxruntime_library, rules::absolute_path),
        data_dir: document.optional(written.data_dir, rules::absolute_path),
        telemetry: telemetry::read(document, written.telemetry),
    };
    let name = document.optional(written.cluster_name, rules::cluster_name);
    Some(Cluster { name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()), provider: Provider::Local(local) })
}

/// Gateway and operator cannot share a port, written or by default, except "any free one".
fn ports_differ(document: &mut Document<'_>, written: &Written) {
    let default = Local::default();
    let use_ssl = written.use_ssl.as_ref().is_none_or(|use_ssl| use_ssl.value);
    let without = if use_ssl { HTTPS } else { HTTP };
    let lb = written.lb_port.as_ref().map_or(without.into(), |port| port.value.number(use_ssl));
    let operator = written.operator_port.as_ref().map_or(default.operator_port.into(), |port| port.value);
    if lb == operator && lb != 0 {
        let refusal = Refusal::conflict(format!("`lb_port` and `operator_port` are both {lb}"))
            .help("give each its own port, or 0 for any free one");
        let later = if written.operator_port.is_some() { "operator_port" } else { "lb_port" };
        document.refuse_field(Tree::ROOT, later, refusal);
    }
}

/// What is said of a certificate has to be about one that clients see.
fn certificate_is_shown(document: &mut Document<'_>, written: &Written) {
    let given = document.has(Tree::ROOT, "certificate_path");
    if given && written.use_ssl.as_ref().is_some_and(|use_ssl| !use_ssl.value) {
        let refusal = Refusal::conflict("not together with `use_ssl: false`")
            .help("plain HTTP shows no certificate: remove one of the two");
        document.refuse_field(Tree::ROOT, "certificate_path", refusal);
    }
    if !given && written.certificate_is_self_signed.as_ref().is_some_and(|signed| signed.value) {
        let refusal = Refusal::conflict("needs `certificate_path` too")
            .help("without it, clients verify with the authority that `cortex cluster cert` prints");
        document.refuse_field(Tree::ROOT, "certificate_is_self_signed", refusal);
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
