//! `cortex operator`: the control plane of a cluster.

use std::{path::Path, time::Duration};

use ::operator::Operator;
use api::replica::Phase;
use transport::{Limits, Server};

use super::{as_role, listen, place, server_tls, stop_requested};
use crate::{
    local::{Claim, Layout, Role},
    report::Failure,
};

/// How long a stopping operator waits for its callers: a followed log never ends by itself.
const HANG_UP: Duration = Duration::from_secs(1);

pub async fn operator(directory: &Path) -> Result<(), Failure> {
    as_role(directory, Role::Operator, serve).await
}

async fn serve(layout: &Layout, claim: &Claim) -> Result<(), Failure> {
    let parts = place::operator(layout).await?;
    let stop = stop_requested()?;
    let tls = server_tls(&*parts.state, &parts.host_names).await?;
    let listener = listen(parts.listen).await?;
    let operator = Operator {
        state: parts.state,
        engine: parts.engine,
        authenticator: parts.authenticator,
        ca_certificate: parts.ca_certificate,
        scratch: layout.scratch(),
        holder: parts.holder,
        gateway_metrics: Some(layout.gateway_metrics()),
    };
    claim.say(Phase::Ready, &format!("serving at {}", parts.endpoint))?;
    tracing::info!(address = %parts.listen, "serving");
    let stop = async {
        stop.await;
        // Else the node takes its end for a failure, and waits before it starts the next one.
        if let Err(failure) = claim.say(Phase::Draining, "stopping") {
            tracing::warn!("{}", failure.message);
        }
    };
    let limits = Limits { farewell: Duration::ZERO, drain: HANG_UP, ..Limits::default() };
    let server = Server { listener, tls: Some(tls.clone()), limits };
    tokio::select! {
        outcome = operator.run(server, stop) => outcome.map_err(|error| Failure::internal(error.to_string())),
        () = tls.keep_renewed() => Ok(()),
    }
}
