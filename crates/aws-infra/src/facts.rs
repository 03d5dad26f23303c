//! What only AWS can tell about a cluster that is to be: [`provision::desired::Facts`], but for what the caller brings.

mod network;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use provision::{
    cloud::{CloudError, ClusterId},
    desired::{Artifact, BroughtNetwork, Facts, Kept, Upload, image_parameters},
    resource::Key,
};
use spec::cluster::{Aws, Credentials, SecurityGroup, Subnet, Vpc};

use crate::{Caller, Clients, SetupError, classify::ssm, credentials::load};

/// "GetParameters", Systems Manager API reference.
const PARAMETERS_PER_CALL: usize = 10;

/// What AWS has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    pub caller: Caller,
    pub availability_zones: Vec<String>,
    pub images: BTreeMap<Key, String>,
    pub brought_network: Option<BroughtNetwork>,
    pub existing_security_group: Option<String>,
    pub runtime_identity: Option<String>,
    pub kept: Kept,
}

impl AccountFacts {
    /// With what the CLI brings.
    pub fn into_facts(self, node_binary: Artifact, onnxruntime: Artifact, uploads: Vec<Upload>) -> Facts {
        Facts {
            account_id: self.caller.account_id,
            partition: self.caller.partition,
            availability_zones: self.availability_zones,
            images: self.images,
            node_binary,
            onnxruntime,
            uploads,
            brought_network: self.brought_network,
            existing_security_group: self.existing_security_group,
            runtime_identity: self.runtime_identity,
            kept: self.kept,
        }
    }
}

/// Why a cluster cannot be made as `cluster.yaml` says.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("subnet `{0}` does not exist in this region")]
    NoSuchSubnet(String),
    #[error("subnet `{subnet}` is in {actual}, not in {written}")]
    WrongZone { subnet: String, written: String, actual: String },
    #[error("the subnets are in different VPCs: {}", .0.iter().map(String::as_str).collect::<Vec<_>>().join(", "))]
    SeveralVpcs(BTreeSet<String>),
    #[error("security group `{id}` {why}")]
    SecurityGroup { id: String, why: String },
    #[error("there is no instance type {0} in this region")]
    NoSuchInstanceType(String),
    #[error("the credentials that the cluster is to run with cannot be used")]
    RuntimeIdentity(#[source] SetupError),
    #[error("the credentials that the cluster is to run with belong to account {0}, and the cluster to {1}")]
    RuntimeAccount(String, String),
}

/// Asks AWS. `kept` is what an earlier `up` has settled ([`provision::desired::kept`]); nothing of it is asked again.
///
/// # Errors
///
/// Something that `cluster.yaml` names does not exist, or does not fit; or AWS did not answer.
pub async fn gather(
    clients: &Clients,
    caller: Caller,
    name: &str,
    aws: &Aws,
    kept: Kept,
) -> Result<AccountFacts, FactsError> {
    let clients = &clients.patient();
    let cluster =
        ClusterId { name: name.to_owned(), region: aws.region.clone(), account_id: caller.account_id.clone() };
    let (availability_zones, brought_network) = match &aws.network.vpc {
        Vpc::Own { availability_zones: written, .. } => match settled(written, &kept, &instance_types(aws)) {
            true => (kept.availability_zones.iter().cloned().collect(), None),
            false => (zones::usable(clients, &instance_types(aws)).await?, None),
        },
        Vpc::Brought { subnets, load_balancer_subnets } => {
            let all: Vec<&Subnet> = subnets.iter().chain(load_balancer_subnets).collect();
            (Vec::new(), Some(network::brought(clients, &all).await?))
        }
    };
    let vpc = brought_network.as_ref().map(|network| network.vpc_id.as_str());
    let existing_security_group = match &aws.security_group {
        None => None,
        Some(SecurityGroup::Id(id)) => Some(network::group_by_id(clients, id, vpc).await?),
        // Only with subnets of the user's can there be one that is not ours.
        Some(SecurityGroup::Name(group)) => match vpc {
            Some(vpc) => network::group_by_name(clients, &cluster, group, vpc).await?,
            None => None,
        },
    };
    let images = images(clients, aws, &kept).await?;
    let runtime_identity = match &aws.runtime_credentials {
        None => None,
        Some(pair) => Some(runtime_identity(aws, pair, &caller.account_id).await?),
    };
    Ok(AccountFacts {
        caller,
        availability_zones,
        images,
        brought_network,
        existing_security_group,
        runtime_identity,
        kept,
    })
}

/// Whether a cluster that is there answers the question itself.
fn settled(written: &[String], kept: &Kept, types: &BTreeSet<&str>) -> bool {
    kept.availability_zones.len() >= 2
        && written.iter().all(|zone| kept.availability_zones.contains(zone))
        && types.iter().all(|name| kept.instance_types.contains(*name))
}

fn instance_types(aws: &Aws) -> BTreeSet<&str> {
    let groups = aws.node_groups.iter();
    let own = groups.clone().map(|group| group.instance_type.as_str());
    let spot = groups.filter_map(|group| group.spot.as_ref()).flat_map(|spot| &spot.instance_distribution);
    own.chain(spot.map(String::as_str)).chain([aws.control_plane.instance_type.as_str()]).collect()
}

/// For every launch template that has none yet. What there is no parameter for is left out, and missed later.
async fn images(clients: &Clients, aws: &Aws, kept: &Kept) -> Result<BTreeMap<Key, String>, FactsError> {
    let mut wanted = image_parameters(aws);
    wanted.retain(|template, _| !kept.images.contains_key(template));
    let names: BTreeSet<&str> = wanted.values().copied().collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for batch in names.chunks(PARAMETERS_PER_CALL) {
        let reply = clients.ssm.get_parameters().set_names(Some(batch.to_vec())).send().await.map_err(ssm)?;
        let found = reply.parameters.unwrap_or_default().into_iter();
        values.extend(found.filter_map(|parameter| Some((parameter.name?, parameter.value?))));
    }
    Ok(wanted.into_iter().filter_map(|(template, name)| Some((template, values.get(name)?.clone()))).collect())
}

/// The ARN of what `pair` belongs to, if it is of this account.
///
/// # Errors
///
/// The keys are not accepted, or of another account.
pub async fn runtime_identity(aws: &Aws, pair: &Credentials, account_id: &str) -> Result<String, FactsError> {
    let config = load(Some(&aws.region), Some(pair)).await.map_err(FactsError::RuntimeIdentity)?;
    let caller = Clients::new(&config).caller().await.map_err(FactsError::RuntimeIdentity)?;
    if caller.account_id == account_id {
        Ok(caller.arn)
    } else {
        Err(FactsError::RuntimeAccount(caller.account_id, account_id.to_owned()))
    }
}
