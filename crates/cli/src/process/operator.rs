//! `cortex operator`: the control plane of a local cluster.

use std::{path::Path, sync::Arc, time::Duration};

use ::operator::{
    LocalToken, Operator,
    engine::process::{Options, ProcessEngine},
};
use api::replica::Phase;
use identity::sha256_hex;
use state::{LocalState, State};
use transport::{Limits, Server};

use super::{as_role, listen, read_text, server_tls, settings, stop_requested};
use crate::{
    local::{Claim, Layout, Role},
    report::Failure,
};

/// How long a replica may take for its last requests.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a stopping operator waits for its callers: a followed log never ends by itself.
const HANG_UP: Duration = Duration::from_secs(1);

pub async fn operator(directory: &Path) -> Result<(), Failure> {
    as_role(directory, Role::Operator, serve).await
}

async fn serve(layout: &Layout, claim: &Claim) -> Result<(), Failure> {
    let settings = settings(layout)?;
    let stop = stop_requested()?;
    let state: Arc<dyn State> = Arc::new(LocalState::open(&layout.state()).await?);
    let tls = server_tls(&*state, &settings.host_names).await?;
    let listener = listen(settings.operator).await?;
    let options = Options {
        data: layout.directory.clone(),
        cache: settings.cache.clone(),
        binary: std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?,
        python: settings.python.clone(),
        onnxruntime: settings.onnxruntime.clone(),
        drain_timeout: DRAIN,
    };
    let engine = ProcessEngine::open(options, Arc::clone(&state)).map_err(|e| Failure::internal(e.to_string()))?;
    let token = read_text(&layout.token_file())?;
    let operator = Operator {
        state,
        engine: Arc::new(engine),
        authenticator: Arc::new(LocalToken::new(sha256_hex(token.trim()))),
        ca_certificate: read_text(&layout.ca_file())?,
        scratch: layout.scratch(),
        // The claim lets one operator at a time into the directory, so its successor need not wait for the lease.
        holder: "local".to_owned(),
    };
    claim.say(Phase::Ready, &format!("serving at {}", settings.operator_endpoint()))?;
    tracing::info!(address = %settings.operator, "serving");
    let limits = Limits { drain: HANG_UP, ..Limits::default() };
    let server = Server { listener, tls: Some(tls.clone()), limits };
    tokio::select! {
        outcome = operator.run(server, stop) => outcome.map_err(|error| Failure::internal(error.to_string())),
        () = tls.keep_renewed() => Ok(()),
    }
}
