//! Whether the caller may do what the plan needs, by IAM's own simulation.

use provision::cloud::CloudError;

use super::{Finding, Subject};
use crate::Clients;

pub(super) async fn check(_clients: &Clients, _subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    Ok(Vec::new())
}
