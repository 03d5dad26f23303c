//! Proof of identity by the caller's own AWS credentials: [`identity::sts`] over this client's requests.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use identity::sts::{AwsCredentials, CONTENT_SHA256, Nonce, OperatorRequest, Signer};
use time::OffsetDateTime;

use super::{Authenticate, Outgoing};

/// Where the caller's AWS credentials come from. Asked for every request, since temporary ones end; whoever implements
/// this keeps them for as long as they are good.
#[async_trait]
pub trait AwsKeys: Send + Sync {
    /// The error says what is missing and what to do about it.
    async fn keys(&self) -> Result<AwsCredentials, String>;
}

/// Signs every request anew, for one cluster.
pub struct StsProof {
    signer: Signer,
    keys: Arc<dyn AwsKeys>,
}

impl StsProof {
    pub fn new(signer: Signer, keys: Arc<dyn AwsKeys>) -> Self {
        Self { signer, keys }
    }
}

#[async_trait]
impl Authenticate for StsProof {
    async fn headers(&self, request: &Outgoing<'_>) -> Result<HeaderMap, String> {
        let keys = self.keys.keys().await?;
        let request = OperatorRequest {
            method: request.method.as_str(),
            path: request.path,
            query: request.query,
            content_type: request.content_type,
            content_sha256: request.content_sha256,
        };
        let signed = self
            .signer
            .sign(&keys, &request, &Nonce::new(rand::random()), OffsetDateTime::now_utc())
            .map_err(|error| error.to_string())?;
        let mut authorization = header(signed.authorization.expose())?;
        authorization.set_sensitive(true);
        let content = header(&signed.content_sha256)?;
        Ok(HeaderMap::from_iter([(AUTHORIZATION, authorization), (HeaderName::from_static(CONTENT_SHA256), content)]))
    }

    /// The operator asks STS about each.
    fn is_costly(&self) -> bool {
        true
    }
}

fn header(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}
