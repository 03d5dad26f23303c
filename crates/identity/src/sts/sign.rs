//! The caller's side: a signature over one operator request.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use time::OffsetDateTime;

use super::{
    ClusterId, Nonce, OperatorRequest, Region, STS_BODY, Token,
    request::{Binding, format_date, parse_date},
    token::TokenError,
};
use crate::Secret;

/// A caller's keys, as the AWS SDKs know them. The secret key never leaves the process that signs.
#[derive(Debug, Clone)]
pub struct AwsCredentials {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Of temporary credentials.
    pub session_token: Option<Secret>,
}

/// What goes with the request.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Value of `Authorization`.
    pub authorization: Secret,
    /// Value of [`CONTENT_SHA256`](super::CONTENT_SHA256).
    pub content_sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The keys are not what AWS hands out, so no verifier would pass them on.
    #[error("these are not AWS credentials: {0}")]
    Credentials(TokenError),
    #[error("the request could not be signed: {0}")]
    Signature(String),
}

/// Signs requests to the operator of one cluster.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Whose STS is signed for: the cluster's own region.
    pub region: Region,
    pub cluster: ClusterId,
}

impl Signer {
    /// Signs one request. `nonce` must be new and random, `at` the present time.
    pub fn sign(
        &self,
        credentials: &AwsCredentials,
        request: &OperatorRequest<'_>,
        nonce: &Nonce,
        at: OffsetDateTime,
    ) -> Result<Signed, SignError> {
        let date = format_date(at);
        // The signature knows whole seconds only.
        let Some(at) = parse_date(&date) else { return Err(SignError::Signature(format!("the clock says {at}"))) };
        let binding = Binding {
            region: self.region,
            date: &date,
            session_token: credentials.session_token.as_ref().map(Secret::expose),
            cluster: &self.cluster,
            nonce,
            request: &request.digest(),
        };
        let token = Token {
            access_key_id: credentials.access_key_id.clone(),
            signed_at: at,
            session_token: credentials.session_token.clone(),
            region: self.region,
            nonce: nonce.clone(),
            signature: signature(credentials, &binding, at)?,
        };
        let authorization = token.to_header().map_err(SignError::Credentials)?;
        Ok(Signed { authorization, content_sha256: request.content_sha256.to_owned() })
    }
}

/// SigV4 over the STS request. Host, date and session token are put into the canonical request by the library.
fn signature(credentials: &AwsCredentials, binding: &Binding<'_>, at: OffsetDateTime) -> Result<Secret, SignError> {
    let failed = |error: &dyn std::fmt::Display| SignError::Signature(error.to_string());
    let identity = Credentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "cortex",
    )
    .into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(binding.region.name())
        .name("sts")
        .time(SystemTime::from(at))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let uri = format!("https://{}/", binding.region.sts_host());
    let headers = binding.own_headers();
    let body = SignableBody::Bytes(STS_BODY.as_bytes());
    let request = SignableRequest::new("POST", &uri, headers.into_iter(), body).map_err(|error| failed(&error))?;
    let output = sign(request, &params).map_err(|error| failed(&error))?;
    Ok(Secret::new(output.signature()))
}
