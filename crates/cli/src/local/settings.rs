//! What a local cluster's processes are told, decided by `cluster up` and kept in `settings.json`.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use spec::cluster::Local;

use super::Layout;
use crate::{
    home::{Home, io_failure, write_private},
    report::{Exit, Failure},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub gateway: SocketAddr,
    pub operator: SocketAddr,
    /// The gateway serves HTTPS.
    #[serde(default = "yes")]
    pub use_ssl: bool,
    /// DNS names and IP addresses in the servers' certificates.
    pub host_names: Vec<String>,
    pub python: PathBuf,
    pub onnxruntime: Option<PathBuf>,
    pub cache: PathBuf,
}

impl Settings {
    /// Follows the configuration; a port left open is chosen once and then kept.
    pub fn decide(home: &Home, name: &str, local: &Local, before: Option<&Self>) -> Result<Self, Failure> {
        let port = |wanted: u16, before: Option<SocketAddr>, address: IpAddr| match (wanted, before) {
            (0, Some(before)) => Ok(before.port()),
            (0, None) => free_port(address),
            (port, _) => Ok(port),
        };
        let gateway = port(local.lb_port, before.map(|settings| settings.gateway), local.listen_address)?;
        let operator =
            port(local.operator_port, before.map(|settings| settings.operator), local.operator_listen_address)?;
        let mut host_names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        for address in [local.listen_address, local.operator_listen_address] {
            if !address.is_unspecified() {
                host_names.push(address.to_string());
            }
        }
        host_names.extend(local.host_names.iter().cloned());
        let mut seen = std::collections::BTreeSet::new();
        host_names.retain(|name| seen.insert(name.clone()));
        Ok(Self {
            name: name.to_owned(),
            gateway: SocketAddr::new(local.listen_address, gateway),
            operator: SocketAddr::new(local.operator_listen_address, operator),
            use_ssl: local.use_ssl,
            host_names,
            python: local.python.clone().into(),
            onnxruntime: local.onnxruntime_library.clone(),
            cache: home.cache(),
        })
    }

    pub fn load(layout: &Layout) -> Result<Option<Self>, Failure> {
        let path = layout.settings_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Failure::internal(format!("{} is damaged: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_failure("read", &path, &error)),
        }
    }

    pub fn save(&self, layout: &Layout) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| Failure::internal(error.to_string()))?;
        write_private(&layout.settings_file(), &json)
    }

    pub fn api_endpoint(&self) -> String {
        let url = url(self.gateway);
        if self.use_ssl { url } else { url.replacen("https:", "http:", 1) }
    }

    pub fn operator_endpoint(&self) -> String {
        url(self.operator)
    }

    /// Whether both addresses can be bound now.
    pub fn check_ports(&self) -> Result<(), Failure> {
        for (address, field) in [(self.gateway, "lb_port"), (self.operator, "operator_port")] {
            if let Err(error) = TcpListener::bind(address) {
                let failure = Failure::new(
                    Exit::Conflict,
                    "cluster.port_unavailable",
                    format!("the address {address} cannot be used: {error}"),
                );
                return Err(match error.kind() {
                    io::ErrorKind::AddrInUse => failure.hint(format!(
                        "another program listens there: stop it, or set `{field}` to another port (0 takes any free one)"
                    )),
                    io::ErrorKind::PermissionDenied => failure.hint(format!(
                        "ports below 1024 need a privilege: set `{field}` to 1024 or more, or allow it \
                         (`sysctl net.ipv4.ip_unprivileged_port_start`)"
                    )),
                    _ => failure.hint("is it an address of this machine?"),
                });
            }
        }
        Ok(())
    }
}

/// Of a cluster from before there was a choice.
fn yes() -> bool {
    true
}

fn free_port(address: IpAddr) -> Result<u16, Failure> {
    let free = TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|error| {
        Failure::new(Exit::Conflict, "cluster.port_unavailable", format!("no port can be bound at {address}: {error}"))
    })
}

/// What a client on this machine types.
fn url(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_loopback() || ip.is_unspecified() {
        format!("https://localhost:{}", address.port())
    } else {
        format!("https://{address}")
    }
}
