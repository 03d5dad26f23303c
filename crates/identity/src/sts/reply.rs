//! What STS answered: an identity, a refusal of the signature, or nothing to go by.
//!
//! Only one exact document makes an identity: status 200, `text/xml`, the right root in the right namespace, each field
//! once. Error documents are read more freely, because no error lets anybody in; but they decide whether the caller is told
//! "wrong" or "try again", so a code that is not known to be about the caller's signature is not called that.
//!
//! STS's own messages are never shown or logged: that of `SignatureDoesNotMatch` quotes the request with its session
//! token.

use super::{MAX_REPLY_BYTES, StsReply, xml};

/// Namespace of API version 2011-06-15.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The three facts STS states, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub arn: String,
    pub user_id: String,
    pub account: String,
}

/// Why STS does not vouch for a signature ("Common error types", STS API reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StsRefusal {
    #[error("AWS does not know this access key, or its session token does not belong to it")]
    UnknownKey,
    #[error(
        "AWS says that the signature is wrong: the secret key does not belong to this access key, or the request was \
         changed on its way, or it was signed for another cluster"
    )]
    Signature,
    #[error("the session of these AWS credentials has expired: log in again")]
    Expired,
    #[error("AWS STS refused the signature")]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error(transparent)]
    Refused(StsRefusal),
    /// Too many requests, most likely of the caller's own account.
    #[error("AWS STS is throttling")]
    Throttled,
    #[error("AWS STS failed (HTTP {0})")]
    Failed(u16),
    /// Not an answer of STS: a proxy's page, a redirect, a broken document.
    #[error("the answer of AWS STS makes no sense: {0}")]
    Nonsense(&'static str),
}

/// Reads an answer.
pub fn read_reply(reply: &StsReply) -> Result<Identity, ReplyError> {
    if reply.body.len() > MAX_REPLY_BYTES {
        return Err(ReplyError::Nonsense("it is too long"));
    }
    match reply.status {
        200 => identity(reply),
        429 => Err(ReplyError::Throttled),
        400..=499 => Err(refusal(reply)),
        500..=599 => Err(match error_code(&reply.body) {
            Some(code) if is_throttling(code) => ReplyError::Throttled,
            _ => ReplyError::Failed(reply.status),
        }),
        300..=399 => Err(ReplyError::Nonsense("it is a redirect")),
        _ => Err(ReplyError::Nonsense("its status is not one that STS uses")),
    }
}

fn identity(reply: &StsReply) -> Result<Identity, ReplyError> {
    let media_type = reply.content_type.as_deref().and_then(|value| value.split(';').next()).map(str::trim_ascii);
    if media_type != Some("text/xml") {
        return Err(ReplyError::Nonsense("its content type is not text/xml"));
    }
    let root = xml::parse(&reply.body).ok_or(ReplyError::Nonsense("it is not the XML that STS writes"))?;
    let nonsense = ReplyError::Nonsense("it is not a GetCallerIdentityResponse");
    if root.name != "GetCallerIdentityResponse" || root.namespace != Some(NAMESPACE) {
        return Err(nonsense);
    }
    let [result, metadata] = root.only(["GetCallerIdentityResult", "ResponseMetadata"]).ok_or(nonsense)?;
    let [arn, user_id, account] = result.texts(["Arn", "UserId", "Account"]).ok_or(nonsense)?;
    metadata.texts(["RequestId"]).ok_or(nonsense)?;
    Ok(Identity { arn: arn.to_owned(), user_id: user_id.to_owned(), account: account.to_owned() })
}

fn refusal(reply: &StsReply) -> ReplyError {
    let Some(code) = error_code(&reply.body) else { return ReplyError::Nonsense("it is an error without a code") };
    match code {
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" => {
            ReplyError::Refused(StsRefusal::UnknownKey)
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" => ReplyError::Refused(StsRefusal::Signature),
        "ExpiredToken" | "ExpiredTokenException" => ReplyError::Refused(StsRefusal::Expired),
        code if is_throttling(code) => ReplyError::Throttled,
        "InternalFailure" | "InternalError" | "ServiceUnavailable" | "RequestTimeout" => {
            ReplyError::Failed(reply.status)
        }
        _ => ReplyError::Refused(StsRefusal::Other),
    }
}

fn is_throttling(code: &str) -> bool {
    matches!(code, "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException")
}

/// The code of an error document: AWS's (`ErrorResponse/Error/Code`) and those that wrap it once more.
fn error_code(body: &[u8]) -> Option<&str> {
    let root = xml::parse(body)?;
    if root.name != "ErrorResponse" {
        return None;
    }
    match root.all("Code").as_slice() {
        [code] => Some(code.text),
        _ => None,
    }
}
