//! `cortex gateway`: the data plane of a local cluster.

use std::{path::Path, sync::Arc};

use ::gateway::{Gateway, Options};
use api::replica::Phase;
use state::LocalState;
use transport::{Limits, Server};

use super::{as_role, listen, server_tls, settings, stop_requested};
use crate::{
    local::{Claim, Layout, Role},
    report::Failure,
};

pub async fn gateway(directory: &Path) -> Result<(), Failure> {
    as_role(directory, Role::Gateway, serve).await
}

async fn serve(layout: &Layout, claim: &Claim) -> Result<(), Failure> {
    let settings = settings(layout)?;
    let stop = stop_requested()?;
    let state = Arc::new(LocalState::open(&layout.state()).await?);
    let tls = server_tls(&*state, &settings.host_names).await?;
    let listener = listen(settings.gateway).await?;
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
