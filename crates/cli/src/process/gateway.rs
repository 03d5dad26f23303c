//! `cortex gateway`: the data plane of a cluster.

use std::{net::SocketAddr, path::Path, sync::Arc};

use ::gateway::{Gateway, Options};
use api::replica::Phase;
use telemetry::Tracer;
use tokio::net::TcpListener;
use transport::{Limits, Listener, Server};

use super::{
    as_role,
    certificate::Follower,
    listen,
    place::{self, GatewayParts},
    redirect, server_tls,
    sockets::inherited,
    stop_requested,
    traces::traced,
};
use crate::{
    local::{Claim, Layout, Role},
    report::Failure,
};

pub async fn gateway(directory: &Path) -> Result<(), Failure> {
    as_role(directory, Role::Gateway, serve).await
}

async fn serve(layout: &Layout, claim: &Claim) -> Result<(), Failure> {
    let parts = place::gateway(layout).await?;
    let source = parts.telemetry.clone();
    traced("cortex-gateway", source, async |tracer| serve_traced(parts, layout, claim, tracer).await).await
}

async fn serve_traced(parts: GatewayParts, layout: &Layout, claim: &Claim, tracer: Tracer) -> Result<(), Failure> {
    let stop = stop_requested()?;
    let tls = server_tls(&*parts.state, &parts.host_names).await?;
    let mut certificate = Follower::new(Arc::clone(&parts.state), tls.clone());
    certificate.look().await;
    let listener = take_or_listen(parts.listen).await?;
    let plain = match &parts.plain {
        Some(plain) => Some((take_or_listen(plain.listen).await?, plain.serves)),
        None => None,
    };
    let options = Options { tracer, ..Options::new(parts.state, layout.gateway_cache()) };
    let gateway = Gateway::start(options).await;
    claim.say(Phase::Ready, &format!("serving at {}", parts.endpoint))?;
    tracing::info!(address = %parts.listen, "serving");
    let server = Server { listener, tls: parts.tls.then(|| tls.clone()), limits: Limits::default() };
    let (stopped, asked) = tokio::sync::watch::channel(false);
    let wait = || {
        let mut asked = asked.clone();
        async move {
            let _ = asked.wait_for(|asked| *asked).await;
        }
    };
    let without_tls = async {
        let Some((listener, serves)) = plain else { return };
        let server = Server { listener, tls: None, limits: Limits::default() };
        if serves {
            gateway.serve(server, wait()).await;
        } else {
            redirect::serve(server, wait()).await;
        }
    };
    let told = async {
        let listener = match Listener::bind(&layout.gateway_metrics()).await {
            Ok(listener) => listener,
            Err(error) => return tracing::warn!(%error, "the operator cannot ask for this gateway's metrics"),
        };
        gateway.serve_metrics(Server { listener, tls: None, limits: Limits::default() }, wait()).await;
    };
    let serving = async {
        tokio::join!(gateway.serve(server, wait()), without_tls, told, async {
            stop.await;
            stopped.send_replace(true);
            // The successor serves while the last requests here end.
            if let Err(failure) = claim.pass_on() {
                tracing::warn!("{}: the next gateway has to wait for the end of this one", failure.message);
            }
        });
    };
    tokio::select! {
        () = serving => {}
        () = tls.keep_renewed() => {}
        () = certificate.follow() => {}
    }
    Ok(())
}

/// The socket that the node holds for this gateway, or one of its own.
async fn take_or_listen(address: SocketAddr) -> Result<Listener, Failure> {
    let Some(socket) = inherited(address) else { return listen(address).await };
    let listener = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
    listener.map(Listener::Tcp).map_err(|error| Failure::internal(format!("the node's socket at {address}: {error}")))
}
