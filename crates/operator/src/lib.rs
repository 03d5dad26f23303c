//! The control plane: takes what people want over HTTP, keeps it in the State, and makes it so.

mod app;
pub mod engine;
mod http;
mod reconcile;

use std::{future::Future, path::PathBuf, sync::Arc};

use state::State;
use tower_service::Service as _;
use transport::Server;

pub use app::{AppError, Deployment, Head, Specification, deployments};
pub use http::{
    AuthError, Authenticated, Authenticator, AwsAuthenticator, Budget, Budgets, HttpsSts, InvalidStsEndpoint,
    LocalToken, StateNonces, StsEndpoint, StsSetupError,
};

use app::App;
use engine::Engine;
use http::Context;
use reconcile::{Reconciler, Troubles};

/// What an operator is made of.
pub struct Operator {
    pub state: Arc<dyn State>,
    pub engine: Arc<dyn Engine>,
    pub authenticator: Arc<dyn Authenticator>,
    /// The cluster's authority certificate, PEM.
    pub ca_certificate: String,
    /// For uploads in progress.
    pub scratch: PathBuf,
    /// Tells this operator from others of the same cluster in the lease.
    pub holder: String,
}

impl Operator {
    /// Answers requests and reconciles until `stop` is ready. Replicas go on running.
    pub async fn run(self, server: Server, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let troubles = Troubles::default();
        let cluster = app::cluster_record(&*self.state).await?;
        let wanted = self.state.watch("apis/").await?;
        let mut reconciler =
            Reconciler::new(Arc::clone(&self.state), Arc::clone(&self.engine), &self.holder, troubles.clone());
        let app = App {
            store: app::Store::new(self.state),
            engine: self.engine,
            cluster,
            ca_certificate: self.ca_certificate,
            troubles,
            scratch: self.scratch,
        };
        let router = http::router(Arc::new(Context { app, authenticator: self.authenticator }));
        let serve = server.run(
            move |mut request, peer| {
                // Where the authenticator finds it.
                request.extensions_mut().insert(peer);
                let mut router = router.clone();
                async move {
                    match router.call(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    }
                }
            },
            stop,
        );
        tokio::select! {
            () = serve => {}
            () = reconciler.run(wanted) => {}
        }
        reconciler.resign().await;
        Ok(())
    }
}
