//! A control node of a cluster on AWS: State in the bucket, replicas on ECS, callers proved by STS.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ::operator::{AwsAuthenticator, Budgets, HttpsSts, StateAccess, StsEndpoint};
use api::cluster::{CA_KEY, CLUSTER_KEY, CaRecord, ClusterRecord};
use aws_infra::load;
use aws_node::{EcsEngine, ecs};
use identity::sts::{ClusterId, OwnRoles, Partition, Region, Trust};
use provision::ports;
use serde::{Deserialize, Serialize};
use state::{State, read};

use super::{GatewayParts, OperatorParts, Plain, Source};
use crate::{
    aws::{NODE_CONFIG_KEY, NodeConfig, cluster_state, node_state, setup},
    founding::found,
    home::{io_failure, make_private_directory, write_private},
    local::Layout,
    report::{Exit, Failure},
};

/// How often ECS is looked at.
const POLL: Duration = Duration::from_secs(2);

/// What this machine knows of itself: kept in its directory, so that it starts again without the bucket's help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlNode {
    /// Random, made once.
    id: String,
    listen: IpAddr,
    config: NodeConfig,
}

impl ControlNode {
    pub fn load(layout: &Layout) -> Result<Option<Self>, Failure> {
        let path = layout.node_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Failure::internal(format!("{} is damaged: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_failure("read", &path, &error)),
        }
    }

    pub fn gateway_addresses(&self) -> Vec<SocketAddr> {
        [ports::NODE_GATEWAY, ports::NODE_GATEWAY_PLAIN].map(|port| self.address(port)).into()
    }

    fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.listen, port)
    }
}

/// Makes a control node of this directory, or brings it up to date with the bucket. A node that was one already starts
/// without the bucket, too.
pub async fn prepare(layout: &Layout, region: &str, bucket: &str, listen: IpAddr) -> Result<(), Failure> {
    for directory in [layout.directory.clone(), layout.run(), layout.scratch(), layout.gateway_cache()] {
        make_private_directory(&directory)?;
    }
    let before = ControlNode::load(layout)?;
    match fresh(region, bucket).await {
        Ok(config) => {
            let id = before.map_or_else(|| format!("control-{:016x}", rand::random::<u64>()), |before| before.id);
            let node = ControlNode { id, listen, config };
            let json = serde_json::to_vec_pretty(&node).map_err(|error| Failure::internal(error.to_string()))?;
            write_private(&layout.node_file(), &json)
        }
        Err(failure) if before.is_some() => {
            tracing::warn!("{}; going on with what is known", failure.message);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// What the bucket says, where all that has to be there before anything is served is made.
async fn fresh(region: &str, bucket: &str) -> Result<NodeConfig, Failure> {
    let instance = load(Some(region), None).await.map_err(setup)?;
    let state = cluster_state(&instance, bucket, None);
    let Some((config, _)) = read::<NodeConfig>(&state, NODE_CONFIG_KEY).await? else {
        return Err(Failure::new(Exit::NotReady, "cluster.incomplete", format!("{bucket} has no {NODE_CONFIG_KEY}"))
            .hint("`cortex cluster up` puts it there"));
    };
    let (_, state) = node_state(&config).await?;
    found(&*state, &config.cluster).await?;
    Ok(config)
}

pub async fn operator(node: &ControlNode) -> Result<OperatorParts, Failure> {
    let config = &node.config;
    let (sdk, state) = node_state(config).await?;
    let record = cluster_record(&*state).await?;
    let Some((ca, _)) = read::<CaRecord>(&*state, CA_KEY).await? else {
        return Err(Failure::internal("the cluster has no certificate authority"));
    };
    let sts = HttpsSts::new(sts_endpoint()?).map_err(|error| Failure::internal(error.to_string()))?;
    let trust = trust(config, &ca.certificate)?;
    let authenticator = AwsAuthenticator::new(trust, Arc::new(sts), Arc::clone(&state), Budgets::default())
        .ruled_by(Arc::new(StateAccess::new(Arc::clone(&state))));
    let engine = EcsEngine::new(
        &sdk,
        ecs::Settings {
            cluster_name: config.cluster.clone(),
            ecs_cluster: config.ecs_cluster.clone(),
            region: config.region.clone(),
            bucket: config.bucket.clone(),
            log_group: config.log_group.clone(),
            task_role_arn: config.task_role_arn.clone(),
            image: config.image.clone(),
            poll: POLL,
        },
    );
    Ok(OperatorParts {
        state,
        engine: Arc::new(engine),
        authenticator: Arc::new(authenticator),
        ca_certificate: ca.certificate,
        holder: node.id.clone(),
        listen: node.address(ports::NODE_OPERATOR),
        host_names: record.host_names,
        endpoint: record.operator_endpoint,
    })
}

pub async fn gateway(node: &ControlNode) -> Result<GatewayParts, Failure> {
    let (_, state) = node_state(&node.config).await?;
    let record = cluster_record(&*state).await?;
    Ok(GatewayParts {
        telemetry: Source::State(Arc::clone(&state)),
        state,
        listen: node.address(ports::NODE_GATEWAY),
        tls: true,
        plain: Some(Plain { listen: node.address(ports::NODE_GATEWAY_PLAIN), serves: node.config.api_http }),
        host_names: record.host_names,
        endpoint: record.api_endpoint,
    })
}

async fn cluster_record(state: &dyn State) -> Result<ClusterRecord, Failure> {
    let record = read::<ClusterRecord>(state, CLUSTER_KEY).await?;
    record.map(|(record, _)| record).ok_or_else(|| Failure::internal(format!("the bucket has no {CLUSTER_KEY}")))
}

/// Another STS than the public one only if this process's own settings say so, as the SDKs read them.
fn sts_endpoint() -> Result<Option<StsEndpoint>, Failure> {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"].iter().find_map(set) else { return Ok(None) };
    StsEndpoint::parse(&url)
        .map(Some)
        .map_err(|error| Failure::new(Exit::InvalidConfig, "aws.settings", error.to_string()))
}

fn trust(config: &NodeConfig, ca: &str) -> Result<Trust, Failure> {
    let unknown = |what: &str| Failure::internal(format!("`{what}` is not known to AWS"));
    let key = transport::public_key_sha256(ca).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Trust {
        partition: Partition::named(&config.partition).ok_or_else(|| unknown(&config.partition))?,
        account: config.account_id.clone(),
        cluster: ClusterId::parse(&key).ok_or_else(|| Failure::internal("the authority has no usable key"))?,
        regions: vec![Region::named(&config.region).ok_or_else(|| unknown(&config.region))?],
        own_roles: OwnRoles { prefixes: Vec::new(), arns: config.own_roles.clone() },
    })
}
