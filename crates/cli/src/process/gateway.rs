//! `cortex gateway`: the data plane of a local cluster.

use std::{path::Path, sync::Arc};

use api::replica::Phase;
use ::gateway::{Gateway, Options};
use state::LocalState;
use transport::{Address, Limits, Listener, Server};

use super::{begin, server_tls, settings, stop_requested};
use crate::{
    local::{Claim, Layout, Role},
    report::{Exit, Failure},
};

pub async fn gateway(directory: &Path) -> Result<(), Failure> {
    begin();
    let layout = Layout::new(directory);
    let claim = Claim::take(&layout, Role::Gateway).await?;
    let outcome = Box::pin(serve(&layout, &claim)).await;
    if let Err(failure) = &outcome {
        tracing::error!("{}", failure.message);
        claim.say(Phase::Failed, &failure.message)?;
    }
    outcome
}

async fn serve(layout: &Layout, claim: &Claim) -> Result<(), Failure> {
    let settings = settings(layout)?;
    let stop = stop_requested()?;
    let state = Arc::new(LocalState::open(&layout.state()).await?);
    let tls = server_tls(&*state, &settings.host_names).await?;
    let address = Address::Tcp(settings.gateway.to_string());
    let listener = Listener::bind(&address).await.map_err(|error| {
        Failure::new(Exit::Conflict, "cluster.port_unavailable", format!("cannot listen at {address}: {error}"))
    })?;
    let gateway = Gateway::start(Options::new(state, layout.gateway_cache())).await;
    claim.say(Phase::Ready, &format!("serving at {}", settings.api_endpoint()))?;
    tracing::info!(address = %settings.gateway, "serving");
    let server = Server { listener, tls: Some(tls.clone()), limits: Limits::default() };
    tokio::select! {
        () = gateway.serve(server, stop) => {}
        () = tls.keep_renewed() => {}
    }
    Ok(())
}
