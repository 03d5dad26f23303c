//! What the processes of a cluster are wired with, by where the cluster is. The only place that names adapters.

mod local;

#[cfg(feature = "aws")]
pub mod aws;

use std::{net::SocketAddr, sync::Arc};

use ::operator::{Authenticator, engine::Engine};
use state::State;

use super::traces::Source;
use crate::{local::Layout, report::Failure};

pub struct OperatorParts {
    pub state: Arc<dyn State>,
    pub engine: Arc<dyn Engine>,
    pub authenticator: Arc<dyn Authenticator>,
    /// Of the cluster's authority, PEM.
    pub ca_certificate: String,
    /// Tells this operator from the others of the cluster, and stays when it is started again.
    pub holder: String,
    pub listen: SocketAddr,
    pub host_names: Vec<String>,
    pub endpoint: String,
}

pub struct GatewayParts {
    pub state: Arc<dyn State>,
    pub listen: SocketAddr,
    /// Whether `listen` is served with TLS.
    pub tls: bool,
    pub plain: Option<Plain>,
    /// Where the cluster says where traces go.
    pub telemetry: Source,
    pub host_names: Vec<String>,
    pub endpoint: String,
}

/// A port without TLS.
pub struct Plain {
    pub listen: SocketAddr,
    /// APIs are served there, too; else everybody is sent to the port with TLS.
    pub serves: bool,
}

pub async fn operator(layout: &Layout) -> Result<OperatorParts, Failure> {
    #[cfg(feature = "aws")]
    if let Some(node) = aws::ControlNode::load(layout)? {
        return Box::pin(aws::operator(&node)).await;
    }
    local::operator(layout).await
}

pub async fn gateway(layout: &Layout) -> Result<GatewayParts, Failure> {
    #[cfg(feature = "aws")]
    if let Some(node) = aws::ControlNode::load(layout)? {
        return Box::pin(aws::gateway(&node)).await;
    }
    local::gateway(layout).await
}

/// Where the cluster's gateway listens.
pub fn gateway_addresses(layout: &Layout) -> Result<Vec<SocketAddr>, Failure> {
    #[cfg(feature = "aws")]
    if let Some(node) = aws::ControlNode::load(layout)? {
        return Ok(node.gateway_addresses());
    }
    local::gateway_address(layout).map(|address| vec![address])
}
