//! The way to STS, given from outside.

use async_trait::async_trait;

use super::StsRequest;

/// The longest answer that is read. A real one has about 400 bytes.
pub const MAX_REPLY_BYTES: usize = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StsReply {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// No whole answer within the limits. Says nothing of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    #[error("AWS STS did not answer in time")]
    TooSlow,
    #[error("the answer of AWS STS is longer than {MAX_REPLY_BYTES} bytes")]
    TooLarge,
    #[error("AWS STS cannot be reached: {0}")]
    Unreachable(String),
}

/// Sends a rebuilt request. An implementation
/// - dials the request's own host, or an address from its own configuration, over TLS with public roots;
/// - sends exactly the given headers, `host` included, and what HTTP itself needs;
/// - follows no redirect, asks once, gives up after a few seconds, and stops reading at [`MAX_REPLY_BYTES`].
#[async_trait]
pub trait StsTransport: Send + Sync + 'static {
    async fn send(&self, request: &StsRequest) -> Result<StsReply, TransportError>;
}
