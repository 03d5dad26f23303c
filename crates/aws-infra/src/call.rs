//! What every module of `kind/` is given, and what they share.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use provision::{
    cloud::{Change, CloudError, ClusterId, ErrorKind, Ids, Observed, State, Wanted},
    resource::{Concrete, Key, Kind},
};

use crate::{Clients, attempts::Attempts, cloud::BucketName, content::Contents, round::Round, tags::Tags};

/// One call to the cloud.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub clients: &'a Clients,
    pub cluster: &'a ClusterId,
    pub attempts: &'a Attempts,
    pub bucket: &'a BucketName,
    pub contents: &'a dyn Contents,
    pub round: &'a Round,
}

pub(crate) type Result<T> = std::result::Result<T, CloudError>;

impl Call<'_> {
    pub(crate) fn token(&self, wanted: &Wanted) -> String {
        self.attempts.token(self.cluster, wanted)
    }

    /// The id of what is being made: from an earlier attempt of this process that got no further, or by `first`.
    pub(crate) async fn begun(&self, wanted: &Wanted, first: impl Future<Output = Result<String>>) -> Result<String> {
        if let Some(id) = self.attempts.begun(self.cluster, &wanted.key) {
            return Ok(id);
        }
        let id = first.await?;
        self.attempts.begin(self.cluster, &wanted.key, &id);
        Ok(id)
    }

    /// An EC2 filter on the cluster's tag. Only makes replies smaller.
    pub(crate) fn filter(&self) -> aws_sdk_ec2::types::Filter {
        filter(&format!("tag:{}", provision::names::CLUSTER_TAG), &self.cluster.name)
    }
}

pub(crate) fn filter(name: &str, value: &str) -> aws_sdk_ec2::types::Filter {
    aws_sdk_ec2::types::Filter::builder().name(name).values(value).build()
}

/// The top-level fields that change.
pub(crate) struct Fields<'a>(BTreeSet<&'a str>);

impl<'a> Fields<'a> {
    /// Only these and tags can change; anything else should have been a replacement.
    pub(crate) fn of(kind: Kind, changes: &'a [Change], can: &[&str]) -> Result<Self> {
        let fields: BTreeSet<&str> = changes.iter().map(Change::top).collect();
        match fields.iter().find(|field| **field != "tags" && !can.contains(*field)) {
            Some(field) => Err(CloudError::new(ErrorKind::Invalid, format!("{field} of {kind} cannot change"))),
            None => Ok(Self(fields)),
        }
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.contains(field)
    }

    pub(crate) fn has_any(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.has(field))
    }
}

/// What has been found out about a resource.
pub(crate) struct Found {
    pub key: Key,
    pub kind: Kind,
    pub ids: Ids,
    pub tags: Tags,
    pub state: State,
    pub actual: Option<Concrete>,
    pub created_at: Option<DateTime>,
}

impl From<Found> for Observed {
    fn from(found: Found) -> Self {
        let Found { key, kind, ids, tags, state, actual, created_at } = found;
        // On its way out nobody compares it.
        let actual = if state == State::Deleting { None } else { actual };
        Self { key, kind, ids, tags, actual, state, created_at: created_at.and_then(|at| at.try_into().ok()) }
    }
}

/// Of what has nothing but an id.
pub(crate) fn id(id: impl Into<String>) -> Ids {
    Ids { id: id.into(), ..Ids::default() }
}

/// Of what is called by its name.
pub(crate) fn named(name: &str, arn: Option<&str>) -> Ids {
    Ids { id: name.to_owned(), arn: arn.map(str::to_owned), name: Some(name.to_owned()), dns_name: None }
}

/// The reply lacks what AWS promises to put in it.
pub(crate) fn missing(what: &str) -> CloudError {
    CloudError::new(ErrorKind::Unavailable, format!("the reply has no {what}"))
}

pub(crate) fn invalid(message: impl Into<String>) -> CloudError {
    CloudError::new(ErrorKind::Invalid, message)
}

/// The SDK's sizes are signed. What does not fit is refused by AWS.
pub(crate) fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// What AWS calls negative or does not tell is zero.
pub(crate) fn uint(value: Option<i32>) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
}

pub(crate) fn port(value: Option<i32>) -> u16 {
    value.and_then(|value| u16::try_from(value).ok()).unwrap_or_default()
}
