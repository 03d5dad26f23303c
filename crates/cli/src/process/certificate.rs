//! The certificate that the user has brought, followed while the gateway serves: what `cluster up` puts into the bucket is
//! shown to every connection that begins some seconds later; no connection is cut.

use std::{sync::Arc, time::Duration};

use api::cluster::{ApiCertificate, CERTIFICATE_KEY, CertificatePem};
use state::{State, read};
use transport::{OwnCertificate, ServerTls};

/// A certificate changes a few times a year, and on AWS each look is a request that costs.
const LOOK: Duration = Duration::from_secs(20);

pub struct Follower {
    state: Arc<dyn State>,
    tls: ServerTls,
    /// State key of what is shown.
    shown: Option<String>,
    /// The last failure, told once.
    failure: Option<String>,
}

impl Follower {
    pub fn new(state: Arc<dyn State>, tls: ServerTls) -> Self {
        Self { state, tls, shown: None, failure: None }
    }

    /// For ever.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look().await;
        }
    }

    /// Takes what is there now. What fails is tried again the next time, and what was shown is shown on.
    pub async fn look(&mut self) {
        let failure = self.take().await.err();
        if let Some(failure) = failure.as_ref().filter(|failure| self.failure.as_ref() != Some(*failure)) {
            tracing::error!("the certificate for APIs cannot be taken: {failure}");
        }
        self.failure = failure;
    }

    async fn take(&mut self) -> Result<(), String> {
        let record = read::<ApiCertificate>(&*self.state, CERTIFICATE_KEY).await.map_err(|error| error.to_string())?;
        let wanted = match record {
            Some((ApiCertificate::User { object, .. }, _)) => Some(object),
            _ => None,
        };
        if wanted == self.shown {
            return Ok(());
        }
        let own = match &wanted {
            Some(object) => Some(self.own(object).await?),
            None => None,
        };
        let names = own.as_ref().map_or_else(String::new, |own| own.names().join(", "));
        self.tls.present(own).map_err(|error| error.to_string())?;
        tracing::info!(names, "another certificate is shown from now on");
        self.shown = wanted;
        Ok(())
    }

    async fn own(&self, object: &str) -> Result<OwnCertificate, String> {
        let pem = read::<CertificatePem>(&*self.state, object).await.map_err(|error| error.to_string())?;
        let (pem, _) = pem.ok_or_else(|| format!("there is no {object}"))?;
        OwnCertificate::read(&pem.chain, &pem.key).map_err(|error| error.to_string())
    }
}
