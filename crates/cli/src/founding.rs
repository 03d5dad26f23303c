//! What has to be in a cluster's State before its processes serve: the authority, and a first API key.
//!
//! Whoever comes first makes it; what is there stays, for a second `up`, or a second control node, must not change a key.

use api::{
    cluster::{AUTHORITY_KEY, ApiKeyRecord, CA_KEY, CaRecord, DEFAULT_API_KEY_ID, DEFAULT_API_KEY_KEY},
    routes::{KEYS_KEY, KeyHash, Keys},
};
use identity::{KeyKind, sha256_hex};
use state::{State, read, update};
use time::OffsetDateTime;
use transport::{Authority, AuthorityPem};

use crate::report::Failure;

/// Makes what is missing; returns the authority's certificate, PEM.
pub async fn found(state: &dyn State, cluster: &str) -> Result<String, Failure> {
    let certificate = authority(state, cluster).await?;
    first_key(state).await?;
    Ok(certificate)
}

async fn authority(state: &dyn State, cluster: &str) -> Result<String, Failure> {
    if read::<AuthorityPem>(state, AUTHORITY_KEY).await?.is_none() {
        let authority = Authority::generate(cluster, OffsetDateTime::now_utc())
            .map_err(|error| Failure::internal(error.to_string()))?;
        let pem = authority.to_pem();
        update(state, AUTHORITY_KEY, |present: Option<AuthorityPem>| present.is_none().then(|| pem.clone())).await?;
    }
    let Some((pem, _)) = read::<AuthorityPem>(state, AUTHORITY_KEY).await? else {
        return Err(Failure::internal("the cluster's certificate authority was deleted while it was made"));
    };
    let record = CaRecord { certificate: pem.certificate };
    update(state, CA_KEY, |present: Option<CaRecord>| (present.as_ref() != Some(&record)).then(|| record.clone()))
        .await?;
    Ok(record.certificate)
}

/// A key for all APIs. Once there are keys, be it none, they are the administrator's: one that was revoked stays so.
async fn first_key(state: &dyn State) -> Result<(), Failure> {
    if read::<Keys>(state, KEYS_KEY).await?.is_some() {
        return Ok(());
    }
    let (key, now) = (KeyKind::Api.generate(), OffsetDateTime::now_utc());
    let made = ApiKeyRecord { value: key.expose().to_owned(), made_at: Some(now) };
    update(state, DEFAULT_API_KEY_KEY, |present: Option<ApiKeyRecord>| present.is_none().then(|| made.clone())).await?;
    let Some((record, _)) = read::<ApiKeyRecord>(state, DEFAULT_API_KEY_KEY).await? else { return Ok(()) };
    let hash = KeyHash {
        id: DEFAULT_API_KEY_ID.to_owned(),
        sha256: sha256_hex(&record.value),
        description: "made with the cluster".to_owned(),
        created_at: record.made_at,
        ..KeyHash::default()
    };
    let keys = Keys { keys: vec![hash] };
    update(state, KEYS_KEY, |present: Option<Keys>| present.is_none().then(|| keys.clone())).await?;
    Ok(())
}
