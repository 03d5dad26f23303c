//! One `up` or `down` of a cluster at a time: a lease in its bucket.

use std::{process, sync::Arc, time::Duration};

use provision::cloud::ClusterId;
use state::{Lease, State, StateError};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::task::JoinHandle;

use crate::{
    output::say,
    report::{Exit, Failure},
};

/// How long the lease of a process that died keeps others waiting.
const TTL: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_secs(1);

/// Held, and renewed in the background, until released or dropped.
pub struct Lock {
    state: Arc<dyn State>,
    holder: String,
    renewing: JoinHandle<()>,
}

/// Takes the lease. Somebody else's is waited for as long as it takes to tell whether that one is still there.
pub async fn take(state: Arc<dyn State>, cluster: &ClusterId, what: &str) -> Result<Lock, Failure> {
    let holder = holder(what);
    let mut lease = lease(&state, &holder);
    let mut announced = None;
    loop {
        if lease.hold().await? {
            let renewing = tokio::spawn(renew(lease));
            return Ok(Lock { state, holder, renewing });
        }
        let Some(other) = self::lease(&state, &holder).holder().await? else { continue };
        match &announced {
            // It lives: nobody but a living holder changes the document.
            Some(version) if *version != self::version(&*state).await? => return Err(refused(cluster, &other)),
            Some(_) => {}
            None => {
                say!("{other} is at work on this cluster; waiting to see whether it still is");
                announced = Some(version(&*state).await?);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

fn refused(cluster: &ClusterId, other: &str) -> Failure {
    Failure::new(
        Exit::Conflict,
        "cluster.busy",
        format!("the cluster {cluster} is being changed by {other}; nothing was done"),
    )
    .hint("wait until that is done, or end it with Ctrl-C there")
}

async fn version(state: &dyn State) -> Result<Option<state::Version>, StateError> {
    Ok(state.get("lease/cluster").await?.map(|document| document.version))
}

fn lease(state: &Arc<dyn State>, holder: &str) -> Lease {
    Lease::new(Arc::clone(state), "cluster", holder, TTL)
}

/// For people, and unique: who, where, what, since when.
fn holder(what: &str) -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or_else(|_| OffsetDateTime::now_utc());
    let since = now.format(&Rfc3339).unwrap_or_default();
    format!("`cortex cluster {what}` of {user} at {host} (process {}, since {since})", process::id())
}

async fn renew(mut lease: Lease) {
    loop {
        tokio::time::sleep(TTL / 4).await;
        match lease.hold().await {
            Ok(true) => {}
            // `down` takes the bucket, and the lease with it, at the end.
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "the lease was not renewed"),
        }
    }
}

impl Lock {
    pub async fn release(self) {
        self.renewing.abort();
        if let Err(error) = lease(&self.state, &self.holder).release().await {
            say!("the cluster's lease was not released, and runs out in {} seconds: {error}", TTL.as_secs());
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}
