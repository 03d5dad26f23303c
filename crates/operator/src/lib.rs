//! The control plane: takes what people want over HTTP, keeps it in the State, and makes it so.

mod app;
mod audit;
mod days;
pub mod engine;
mod http;
mod metrics;
mod reconcile;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use state::State;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;
use transport::{Address, Server};

pub use app::{AppError, Deployment, Head, Specification, deployments};
pub use http::{
    AuthError, Authenticated, Authenticator, AwsAuthenticator, Budget, Budgets, HttpsSts, InvalidStsEndpoint,
    LocalToken, StateAccess, StateNonces, StsEndpoint, StsSetupError,
};

use app::App;
use audit::Audit;
use engine::Engine;
use http::{Context, Sessions};
use metrics::Metrics;
use reconcile::{Reconciler, Troubles};

/// For the last audit events, when the operator stops.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Where the gateway of the same machine tells its metrics, if there is one.
    pub gateway_metrics: Option<Address>,
}

impl Operator {
    /// Answers requests and reconciles until `stop` is ready. Replicas go on running.
    pub async fn run(self, server: Server, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let troubles = Troubles::default();
        let cluster = app::cluster_record(&*self.state).await?;
        let wanted = self.state.watch("apis/").await?;
        let metrics = Arc::new(Metrics::default());
        let mut reconciler = Reconciler::new(
            Arc::clone(&self.state),
            Arc::clone(&self.engine),
            &self.holder,
            troubles.clone(),
            Arc::clone(&metrics),
        );
        let sessions = Sessions::open(&*self.state).await?;
        let audit = Arc::new(Audit::new(Arc::clone(&self.state)));
        let app = App {
            store: app::Store::new(self.state),
            engine: self.engine,
            cluster,
            ca_certificate: self.ca_certificate,
            troubles,
            scratch: self.scratch,
            metrics,
            gateway: self.gateway_metrics,
        };
        let audited = CancellationToken::new();
        let writer = tokio::spawn(Arc::clone(&audit).run(audited.clone()));
        let router = http::router(Arc::new(Context {
            app,
            authenticator: self.authenticator,
            sessions,
            audit: Arc::clone(&audit),
        }));
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
        audited.cancel();
        if tokio::time::timeout(PATIENCE, writer).await.is_err() {
            tracing::warn!("the last audit events could not be written in time; they are in this log");
        }
        reconciler.resign().await;
        Ok(())
    }
}
