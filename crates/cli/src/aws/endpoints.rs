//! Where clients go.

use provision::ports;
use spec::cluster::{Aws, Sharing};

/// Of the load balancers.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub api: u16,
    pub operator: u16,
}

impl Ports {
    pub fn of(aws: &Aws) -> Self {
        let operator = match aws.load_balancers.sharing {
            Sharing::Shared => ports::OPERATOR_SHARED,
            Sharing::Dedicated => ports::OPERATOR_DEDICATED,
        };
        Self { api: ports::API, operator }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub api: String,
    pub operator: String,
    /// For the servers' certificates.
    pub host_names: Vec<String>,
}

impl Endpoints {
    /// `api` and `operator` are the load balancers' DNS names, which have capitals in them that nobody types.
    pub fn new(api: &str, operator: &str, ports: Ports) -> Self {
        let (api, operator) = (api.to_ascii_lowercase(), operator.to_ascii_lowercase());
        let mut host_names = vec![api.clone(), operator.clone(), "localhost".to_owned()];
        host_names.dedup();
        Self { api: url(&api, ports.api), operator: url(&operator, ports.operator), host_names }
    }
}

fn url(host: &str, port: u16) -> String {
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_load_balancer_or_two() {
        let ports = Ports { api: 443, operator: 8443 };
        let shared = Endpoints::new("Cx-Demo.elb.amazonaws.com", "Cx-Demo.elb.amazonaws.com", ports);
        assert_eq!(shared.api, "https://cx-demo.elb.amazonaws.com");
        assert_eq!(shared.operator, "https://cx-demo.elb.amazonaws.com:8443");
        assert_eq!(shared.host_names, ["cx-demo.elb.amazonaws.com", "localhost"]);
        let two = Endpoints::new("a.elb", "b.elb", Ports { api: 443, operator: 443 });
        assert_eq!((two.operator.as_str(), two.host_names.len()), ("https://b.elb", 3));
    }
}
