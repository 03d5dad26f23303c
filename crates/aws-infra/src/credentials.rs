//! The configuration of all clients: whose credentials, which region, over which connections.
//!
//! Everything standard comes from `aws-config`: environment, profiles, SSO, assumed roles, container and instance
//! credentials, endpoint overrides, sessions. Ours are only the HTTP client (rustls with ring, proxies and a CA bundle from
//! the environment), the time-outs, and that nothing is retried.

use std::{env, io, path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use provision::cloud::{CloudError, ErrorKind};

use crate::{Clients, classify::sts};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the first byte of the reply. `CreateAutoScalingGroup` and deletions are the slow ones, with seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Why no call can be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("there are no AWS credentials")]
    NoCredentials,
    #[error("the AWS credentials cannot be used: {0}")]
    Credentials(String),
    #[error("no AWS region is set")]
    NoRegion,
    #[error("AWS_CA_BUNDLE names `{}`, which cannot be used", path.display())]
    CaBundle { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("AWS does not accept the credentials")]
    Refused(#[source] CloudError),
}

impl SetupError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; or run `aws configure` or `aws sso login`"
            }
            Self::Credentials(_) => "check AWS_PROFILE and the files in ~/.aws; with SSO run `aws sso login` again",
            Self::NoRegion => "set `region` in cluster.yaml, or AWS_REGION",
            Self::CaBundle { .. } => "name a file of PEM certificates, or unset AWS_CA_BUNDLE",
            Self::Refused(error) if error.kind == ErrorKind::CredentialsExpired => {
                "get new credentials (`aws sso login`, or a new session) and run the same command again"
            }
            Self::Refused(_) => {
                "check that the keys are active and belong to the account you mean: `aws sts get-caller-identity`"
            }
        }
    }
}

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account_id: String,
    pub arn: String,
    /// Unique id, of a session with its name: `AIDA...`, `AROA...:name`.
    pub user_id: String,
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: String,
}

/// The configuration for a region (the standard one if `None`), with these credentials (the standard ones if `None`).
/// The credentials have been obtained once, but AWS has not been asked about them; see [`Clients::caller`].
///
/// # Errors
///
/// No credentials, no region, or a CA bundle that cannot be read.
pub async fn load(
    region: Option<&str>,
    explicit: Option<&spec::cluster::Credentials>,
) -> Result<SdkConfig, SetupError> {
    let http = http_client(env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from))?;
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT).build();
    let mut loader = ConfigLoader::default()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        // It takes a caller who looks the other way for a while for a network that stands still.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    if let Some(pair) = explicit {
        let secret = pair.secret_access_key.expose();
        loader = loader.credentials_provider(Credentials::new(&pair.access_key_id, secret, None, None, "cluster.yaml"));
    }
    // Without one the loader looks for it, at the places where every AWS tool does.
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(SetupError::NoRegion);
    }
    let Some(provider) = config.credentials_provider() else { return Err(SetupError::NoCredentials) };
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        Err(aws_credential_types::provider::error::CredentialsError::CredentialsNotLoaded(_)) => Err(none_found()),
        Err(error) => Err(SetupError::Credentials(crate::classify::chain(&error))),
    }
}

/// Of a profile that is not there, aws-config says no more than that nothing was found.
fn none_found() -> SetupError {
    match env::var("AWS_PROFILE") {
        Ok(profile) if !profile.is_empty() => SetupError::Credentials(format!(
            "AWS_PROFILE is `{profile}`, and there is no such profile, or it has no credentials"
        )),
        _ => SetupError::NoCredentials,
    }
}

impl Clients {
    /// Asks AWS whose credentials these are.
    ///
    /// # Errors
    ///
    /// [`SetupError::Refused`].
    pub async fn caller(&self) -> Result<Caller, SetupError> {
        let request = self.patient().sts.get_caller_identity();
        let reply = request.send().await.map_err(|error| SetupError::Refused(sts(error)))?;
        let arn = reply.arn.unwrap_or_default();
        let partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
        let (account_id, user_id) = (reply.account.unwrap_or_default(), reply.user_id.unwrap_or_default());
        Ok(Caller { account_id, arn, user_id, partition })
    }
}

/// Proxies as the environment says (`HTTPS_PROXY`, `NO_PROXY`); the system's certificates, or those of a PEM file.
fn http_client(ca_bundle: Option<PathBuf>) -> Result<SharedHttpClient, SetupError> {
    let trust = match &ca_bundle {
        None => TrustStore::default(),
        Some(path) => {
            let read = std::fs::read(path).and_then(|pem| match pem.windows(11).any(|w| w == b"-----BEGIN ") {
                true => Ok(pem),
                false => Err(io::Error::new(io::ErrorKind::InvalidData, "there is no PEM certificate in it")),
            });
            let pem = read.map_err(|error| bundle(path, error))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| bundle(&ca_bundle.unwrap_or_default(), error))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context.clone()).build()
    }))
}

fn bundle(path: &std::path::Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SetupError {
    SetupError::CaBundle { path: path.to_owned(), source: error.into() }
}
