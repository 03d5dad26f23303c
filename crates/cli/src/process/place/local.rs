//! A cluster on this machine: State in SQLite, replicas as processes, one token.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::operator::{
    LocalToken,
    engine::process::{Options, ProcessEngine},
};
use identity::sha256_hex;
use state::{LocalState, State};

use super::{GatewayParts, OperatorParts};
use crate::{
    local::{Layout, Settings},
    process::{read_text, traces::Source},
    report::Failure,
};

/// How much longer than one request a replica may take for its last ones: gateways learn of it by and by.
const DRAIN_MARGIN: Duration = Duration::from_secs(10);

pub async fn operator(layout: &Layout) -> Result<OperatorParts, Failure> {
    let settings = settings(layout)?;
    let state: Arc<dyn State> = Arc::new(LocalState::open(&layout.state()).await?);
    let options = Options {
        data: layout.directory.clone(),
        cache: settings.cache.clone(),
        binary: std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?,
        python: settings.python.clone(),
        onnxruntime: settings.onnxruntime.clone(),
        drain_margin: DRAIN_MARGIN,
        telemetry: Some(layout.telemetry_file()),
    };
    let engine = ProcessEngine::open(options, Arc::clone(&state)).map_err(|e| Failure::internal(e.to_string()))?;
    let token = read_text(&layout.token_file())?;
    Ok(OperatorParts {
        state,
        engine: Arc::new(engine),
        authenticator: Arc::new(LocalToken::new(sha256_hex(token.trim()))),
        ca_certificate: read_text(&layout.ca_file())?,
        // The claim lets one operator at a time into the directory, so its successor need not wait for the lease.
        holder: "local".to_owned(),
        listen: settings.operator,
        endpoint: settings.operator_endpoint(),
        host_names: settings.host_names,
    })
}

pub async fn gateway(layout: &Layout) -> Result<GatewayParts, Failure> {
    let settings = settings(layout)?;
    Ok(GatewayParts {
        state: Arc::new(LocalState::open(&layout.state()).await?),
        listen: settings.gateway,
        tls: settings.use_ssl,
        plain: None,
        telemetry: Source::File(layout.telemetry_file()),
        endpoint: settings.api_endpoint(),
        host_names: settings.host_names,
    })
}

pub fn gateway_address(layout: &Layout) -> Result<SocketAddr, Failure> {
    Ok(settings(layout)?.gateway)
}

/// The settings of the cluster in a directory.
fn settings(layout: &Layout) -> Result<Settings, Failure> {
    Settings::load(layout)?.ok_or_else(|| {
        Failure::internal(format!("{} holds no cluster", layout.directory.display()))
            .hint("`cortex cluster up` makes one")
    })
}
