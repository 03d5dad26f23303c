//! What is asked about API keys.

use super::{Client, ClientError, Content};
use crate::{
    api_keys::{ApiKeyList, ApiKeyValue, CreateApiKey, RevokedApiKey, RotateApiKey},
    endpoint::Endpoint,
};

impl Client {
    pub async fn api_keys(&self) -> Result<ApiKeyList, ClientError> {
        self.json(Endpoint::ListApiKeys, &[], Content::none()).await
    }

    pub async fn create_api_key(&self, wanted: &CreateApiKey) -> Result<ApiKeyValue, ClientError> {
        self.json(Endpoint::CreateApiKey, &[], Content::json(wanted)?).await
    }

    pub async fn named_api_key(&self, name: &str) -> Result<ApiKeyValue, ClientError> {
        self.json(Endpoint::GetNamedApiKey, &[name], Content::none()).await
    }

    pub async fn rotate_api_key(&self, name: &str, how: &RotateApiKey) -> Result<ApiKeyValue, ClientError> {
        self.json(Endpoint::RotateApiKey, &[name], Content::json(how)?).await
    }

    pub async fn revoke_api_key(&self, name: &str) -> Result<RevokedApiKey, ClientError> {
        self.json(Endpoint::RevokeApiKey, &[name], Content::none()).await
    }
}
