//! State in a bucket: a document is an object, its version is the ETag.
//!
//! S3 is strongly consistent, and compares and swaps one object (`If-None-Match: *`, `If-Match`), which is all that
//! [`State`] asks for. What is left to do here:
//!
//! - **Lost replies.** The SDK repeats a request whose reply did not come, so a write may meet its own outcome and be told
//!   that the condition does not hold. Every object says in its metadata which writes made it what it is; see [`writes`].
//! - **Watching.** S3 cannot be waited for; one poller per prefix lists it; see [`pollers`].
//! - **Two kinds in one bucket.** Keys of blobs begin with `bin/` or `bundles/`, those of documents with anything else.
//!
//! It assumes a bucket that belongs to the cluster. Bodies may be secrets, so the SDK only gets them wrapped: its log, even at
//! its finest level, cannot show them.

mod blobs;
mod documents;
mod failure;
mod listing;
mod pollers;
mod writes;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::{Builder, StalledStreamProtectionConfig},
};
use bytes::Bytes;
use state::{Document, Entry, Expect, State, StateError, Version, Watch, WriteId};

use self::{failure::Place, pollers::Pollers};
use crate::calls;

/// A part of a blob may take this long on a slow line. One on which nothing moves is given up earlier.
const PART_TIMEOUT: Duration = Duration::from_secs(600);
const STALLED: Duration = Duration::from_secs(20);

/// Which part of which bucket, and how it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub bucket: String,
    /// Comes before all keys, with a slash in between. Empty: the keys are the objects' names.
    pub prefix: String,
    /// Whose bucket it must be: nobody else can then put one of that name in its place.
    pub account_id: Option<String>,
    /// How often a watched document is looked at; of watched prefixes a list is made every fifth time.
    pub poll: Duration,
}

impl Settings {
    /// All of the bucket, looked at every two seconds.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), prefix: String::new(), account_id: None, poll: Duration::from_secs(2) }
    }
}

/// A State in a bucket. Clones share connections and pollers.
#[derive(Clone)]
pub struct S3State {
    inner: Arc<Inner>,
}

struct Inner {
    documents: Client,
    blobs: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
    account_id: Option<String>,
    poll: Duration,
    pollers: Pollers,
}

impl S3State {
    /// `config` says whose credentials, which region and what endpoint; retries and timeouts are ours. Asks S3 nothing.
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let Settings { bucket, prefix, account_id, poll } = settings;
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            plain => format!("{plain}/"),
        };
        let blobs = calls::connect_timeout().read_timeout(PART_TIMEOUT);
        let inner = Inner {
            documents: client(config, calls::timeouts()),
            blobs: client(config, blobs.build()),
            bucket,
            prefix,
            account_id,
            poll,
            pollers: Pollers::default(),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    fn place(&self, key: &str) -> Place {
        Place { bucket: self.bucket.clone(), object: format!("{}{key}", self.prefix) }
    }
}

#[async_trait]
impl State for S3State {
    async fn get(&self, key: &str) -> Result<Option<Document>, StateError> {
        documents::get(&self.inner, key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, expect: &Expect, id: &WriteId) -> Result<Version, StateError> {
        let version = documents::put(&self.inner, key, bytes, expect, id).await?;
        self.inner.pollers.changed(key);
        Ok(version)
    }

    async fn delete(&self, key: &str, expect: &Expect) -> Result<(), StateError> {
        documents::delete(&self.inner, key, expect).await?;
        self.inner.pollers.changed(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        listing::documents(&self.inner, prefix).await
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StateError> {
        let revision = pollers::subscribe(&self.inner, prefix);
        Watch::new(Arc::new(self.clone()), prefix, revision).await
    }

    async fn put_blob(&self, key: &str, file: &Path) -> Result<(), StateError> {
        blobs::put(&self.inner, key, file).await
    }

    async fn has_blob(&self, key: &str) -> Result<bool, StateError> {
        blobs::has(&self.inner, key).await
    }

    async fn get_blob(&self, key: &str, to: &Path) -> Result<bool, StateError> {
        blobs::get(&self.inner, key, to).await
    }

    async fn delete_blob(&self, key: &str) -> Result<(), StateError> {
        blobs::delete(&self.inner, key).await
    }

    async fn list_blobs(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        listing::blobs(&self.inner, prefix).await
    }
}

fn client(config: &SdkConfig, timeouts: TimeoutConfig) -> Client {
    let stalled = StalledStreamProtectionConfig::enabled().grace_period(STALLED).build();
    let builder = Builder::from(config)
        .retry_config(calls::retries())
        .timeout_config(timeouts)
        .stalled_stream_protection(stalled)
        .force_path_style(config.endpoint_url().is_some_and(is_loopback));
    Client::from_conf(builder.build())
}

/// Nobody resolves `bucket.localhost`. The SDK itself uses paths where the host is an address.
fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    uri.host().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        address.map_or(host == "localhost" || host.ends_with(".localhost"), |address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_an_emulator_on_this_machine_gets_paths() {
        for emulator in ["http://localhost:5000", "http://127.0.0.1:5000", "https://[::1]:5000/", "http://s3.localhost"]
        {
            assert!(is_loopback(emulator), "{emulator}");
        }
        for other in ["https://s3.us-east-1.amazonaws.com", "http://10.0.0.1:9000", "https://localhost.example", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
