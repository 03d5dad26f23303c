//! The caller's own AWS credentials, for signing requests to an operator.

use api::AwsKeys;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_infra::load;
use identity::{Secret, sts::AwsCredentials};

use super::account;
use crate::report::Failure;

/// From the standard AWS settings; renewed as they end.
pub struct CallerKeys {
    config: SdkConfig,
}

impl CallerKeys {
    pub async fn load(region: &str) -> Result<Self, Failure> {
        Ok(Self { config: load(Some(region), None).await.map_err(account::setup)? })
    }
}

#[async_trait]
impl AwsKeys for CallerKeys {
    async fn keys(&self) -> Result<AwsCredentials, String> {
        let provider = self.config.credentials_provider().ok_or("there are no AWS credentials")?;
        let keys = provider.provide_credentials().await.map_err(|error| error.to_string())?;
        Ok(AwsCredentials {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: Secret::new(keys.secret_access_key()),
            session_token: keys.session_token().map(Secret::new),
        })
    }
}
