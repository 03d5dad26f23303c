//! Whose account, by which credentials.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_infra::{Caller, Clients, SetupError, load};
use provision::cloud::{CloudError, ClusterId, ErrorKind};
use spec::cluster::Credentials;

use crate::report::{Exit, Failure};

/// An account that can be worked in.
pub struct Account {
    pub config: SdkConfig,
    pub clients: Clients,
    pub caller: Caller,
    pub region: String,
}

impl Account {
    pub fn cluster(&self, name: &str) -> ClusterId {
        ClusterId { name: name.to_owned(), region: self.region.clone(), account_id: self.caller.account_id.clone() }
    }
}

/// By the standard AWS settings, or by these keys; AWS has been asked whose they are.
pub async fn connect(region: Option<&str>, keys: Option<&Credentials>) -> Result<Account, Failure> {
    let config = load(region, keys).await.map_err(setup)?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let clients = Clients::new(&config);
    let caller = clients.caller().await.map_err(setup)?;
    Ok(Account { config, clients, caller, region })
}

pub fn setup(error: SetupError) -> Failure {
    let (exit, kind) = match &error {
        SetupError::NoCredentials | SetupError::Credentials(_) => (Exit::Refused, "aws.no_credentials"),
        SetupError::NoRegion | SetupError::CaBundle { .. } => (Exit::InvalidConfig, "aws.settings"),
        SetupError::Refused(cloud) if matches!(cloud.kind, ErrorKind::Unavailable | ErrorKind::Throttled) => {
            let message = format!("AWS cannot be reached: {cloud}");
            return Failure::new(Exit::Unreachable, "aws.unreachable", message)
                .hint("check the network, proxies, and AWS_ENDPOINT_URL if it is set");
        }
        SetupError::Refused(_) => (Exit::Refused, "aws.refused"),
    };
    let hint = error.hint();
    let mut message = error.to_string();
    if let SetupError::Refused(cloud) = &error {
        message = format!("{message}: {cloud}");
    }
    Failure::new(exit, kind, message).hint(hint)
}

/// A call that failed for good.
pub fn cloud(error: &CloudError) -> Failure {
    match &error.kind {
        ErrorKind::Denied { action } => {
            let message = format!("these credentials may not do {}: {error}", explained(action));
            Failure::new(Exit::Refused, "aws.denied", message).hint(PERMISSIONS)
        }
        ErrorKind::CredentialsExpired => Failure::new(Exit::Refused, "aws.credentials_expired", error.to_string())
            .hint("get new credentials (`aws sso login`, or a new session) and run the same command again"),
        ErrorKind::Unavailable | ErrorKind::Throttled => {
            Failure::new(Exit::Unreachable, "aws.unreachable", format!("AWS does not answer: {error}"))
                .hint("nothing is lost: run the same command again")
        }
        _ => Failure::new(Exit::General, "aws.failed", error.to_string()),
    }
}

const PERMISSIONS: &str = "ask the account's administrator for the permission (docs/iam has the policies that a cluster \
                           takes), or use other credentials";

/// `ec2:CreateVpc (needed to make vpc)`
fn explained(action: &str) -> String {
    let need = provision::permissions::need(action).map(|need| format!(" (needed {need})"));
    format!("{action}{}", need.unwrap_or_default())
}

/// Of the steps that failed for good, if any of them was denied. `again` is how to go on.
pub fn denied<'a>(errors: impl Iterator<Item = &'a CloudError>, again: &str) -> Option<Failure> {
    let denied = errors.filter_map(|error| match &error.kind {
        ErrorKind::Denied { action } => Some(explained(action)),
        _ => None,
    });
    let denied: BTreeSet<String> = denied.collect();
    if denied.is_empty() {
        return None;
    }
    let denied: Vec<String> = denied.into_iter().collect();
    let message = format!("these credentials may not do {}; see above", denied.join(", "));
    Some(Failure::new(Exit::Refused, "aws.denied", message).hint(format!("{PERMISSIONS}; {again}")))
}

/// Of the standard AWS settings.
pub async fn default_region() -> Result<String, Failure> {
    let config = load(None, None).await.map_err(setup)?;
    Ok(config.region().map(ToString::to_string).unwrap_or_default())
}
