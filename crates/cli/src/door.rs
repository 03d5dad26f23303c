//! The door that clients of APIs use, as this program goes through it: verified wherever there is TLS.
//!
//! The cluster's authority vouches for the endpoint's own name, also where everybody else is shown a certificate of the
//! user's. Only a certificate of ACM is shown to all, since the load balancer ends TLS: then the connection goes to the
//! load balancer, and what it shows has to be that of the certificate's name, by the public authorities. The name is the
//! operator's word, whom the cluster's authority vouches for. A cluster on one machine may serve without TLS (`use_ssl:
//! false`); that, too, is the operator's word.

use std::{error::Error as StdError, io, time::Duration};

use api::{
    cluster::ApiCertificate,
    wire::{GatewayHealth, Info},
};

use crate::{
    environments::Environment,
    report::{Exit, Failure},
    tunnel::{self, ConnectTo},
};

const CONNECT: Duration = Duration::from_secs(10);

pub struct Door {
    pub http: reqwest::Client,
    /// As the operator has it.
    endpoint: String,
    /// The same with a name that the certificate has.
    named: String,
    acm: bool,
}

impl Door {
    pub async fn of(environment: &Environment, info: &Info) -> Result<Self, Failure> {
        let failed = |error: &dyn StdError| Failure::internal(error.to_string());
        let endpoint = info.api_endpoint.trim_end_matches('/').to_owned();
        // The operator's word, like the certificate: whoever set `use_ssl: false` has chosen so.
        let plain = endpoint.starts_with("http://");
        let mut builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT).https_only(!plain);
        let (named, rules, acm) = match &info.api_certificate {
            ApiCertificate::Cluster | ApiCertificate::User { .. } => {
                let tls = transport::client_config(&environment.ca_certificate).map_err(|error| failed(&error))?;
                builder = builder.tls_backend_preconfigured(tls);
                (endpoint.clone(), environment.connect_to.clone(), false)
            }
            ApiCertificate::Acm { names } => {
                let (host, port) = host_and_port(&endpoint)?;
                let name = name(names, &info.cluster_name).ok_or_else(nameless)?;
                let rule = ConnectTo::new(&name, port, tunnel::address(&environment.connect_to, &host, port));
                (format!("https://{name}:{port}"), vec![rule], true)
            }
        };
        if let Some(proxy) = tunnel::proxy(&rules).await? {
            builder = builder.proxy(reqwest::Proxy::https(proxy).map_err(|error| failed(&error))?);
        }
        Ok(Self { http: builder.build().map_err(|error| failed(&error))?, endpoint, named, acm })
    }

    /// Of an address below the endpoint.
    pub fn url(&self, address: &str) -> String {
        address.strip_prefix(&self.endpoint).map_or_else(|| address.to_owned(), |path| format!("{}{path}", self.named))
    }

    /// Anybody may ask how the gateway is.
    pub async fn health(&self) -> Result<GatewayHealth, reqwest::Error> {
        self.http.get(format!("{}/healthz", self.named)).send().await?.error_for_status()?.json().await
    }

    /// No answer came from `address`.
    pub fn unreachable(&self, address: &str, error: &reqwest::Error) -> Failure {
        let mut cause: &(dyn StdError + 'static) = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let message = format!("{address} cannot be reached: {cause}");
        let failure = Failure::new(Exit::Unreachable, "gateway.unreachable", message);
        match self.acm && is_about_a_certificate(cause) {
            true => failure.hint(format!(
                "the load balancer has the certificate of `ssl_certificate_arn`, which has to be for {} and of an \
                 authority that this machine knows; one of your own authority has to be in the system's store, or in \
                 a file that SSL_CERT_FILE names",
                self.named
            )),
            false => failure.hint("`cortex cluster info` tells whether the gateway runs"),
        }
    }
}

/// TLS errors come as I/O errors, which hide them from `source`.
fn is_about_a_certificate(cause: &(dyn StdError + 'static)) -> bool {
    let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let tls = wrapped.map_or_else(|| cause.downcast_ref(), |wrapped| wrapped.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// A name that the certificate is for; of `*.example.com`, that of the cluster below it.
fn name(names: &[String], cluster: &str) -> Option<String> {
    let plain = names.iter().find(|name| !name.starts_with("*.")).cloned();
    plain.or_else(|| names.first().map(|name| name.replacen('*', cluster, 1)))
}

fn nameless() -> Failure {
    Failure::new(Exit::General, "gateway.no_name", "the cluster does not know what its certificate in ACM is for")
        .hint("`cortex cluster up` asks ACM again")
}

fn host_and_port(endpoint: &str) -> Result<(String, u16), Failure> {
    let uri: Option<http::Uri> = endpoint.parse().ok();
    let found = uri.as_ref().and_then(|uri| Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(443))));
    found.ok_or_else(|| Failure::internal(format!("`{endpoint}` is no address of APIs")))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn the_first_name_without_a_wildcard_or_one_below_it() {
        let of = |names: &[&str]| name(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), "demo");
        assert_eq!(of(&["*.example.com", "api.example.com"]).as_deref(), Some("api.example.com"));
        assert_eq!(of(&["*.example.com"]).as_deref(), Some("demo.example.com"));
        assert_eq!(of(&[]), None);
    }
}
