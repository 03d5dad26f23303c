//! What `up` puts into the bucket.

use std::{collections::BTreeMap, path::PathBuf};

use api::cluster::{ACCESS_KEY, ApiCertificate, CERTIFICATE_KEY, CLUSTER_KEY, CertificatePem, ClusterRecord};
use async_trait::async_trait;
use aws_infra::{Content, ContentError, Contents};
use provision::{desired::Upload as Object, names};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use spec::cluster::Credentials;
use time::OffsetDateTime;

use super::{
    NodeConfig, RuntimeKeys,
    artifacts::Upload,
    endpoints::{Endpoints, Ports},
    node_config::NODE_CONFIG_KEY,
    recorded::{RECORDED_KEY, Recorded},
};

const CLUSTER_RECORD: &str = "the cluster's addresses";
const NODE_CONFIG: &str = "what control nodes are told";
const RECORDED: &str = "what the cluster was made from";
const ACCESS: &str = "who may use the operator";
const CERTIFICATE: &str = "what clients of APIs are shown";
const CERTIFICATE_PEM: &str = "your certificate with its key";
const RUNTIME_KEYS: &str = "the keys that the cluster runs with";

/// Makes the content of every object of a cluster.
pub struct ClusterContents {
    files: BTreeMap<String, PathBuf>,
    node_config: Vec<u8>,
    recorded: Vec<u8>,
    runtime_keys: Option<Vec<u8>>,
    certificate: Vec<u8>,
    access: Vec<u8>,
    /// Where it is kept, and what.
    certificate_pem: Option<(String, Option<Vec<u8>>)>,
    cluster: String,
    ports: Ports,
}

impl ClusterContents {
    pub fn new(
        node: &NodeConfig,
        recorded: &Recorded,
        files: &[&Upload],
        runtime_keys: Option<&Credentials>,
        certificate: Option<&CertificatePem>,
        ports: Ports,
    ) -> Self {
        let certificate_pem = match &recorded.certificate {
            ApiCertificate::User { object, .. } => Some((object.clone(), certificate.map(json))),
            _ => None,
        };
        let runtime_keys = runtime_keys.map(|pair| {
            json(&RuntimeKeys {
                access_key_id: pair.access_key_id.clone(),
                secret_access_key: pair.secret_access_key.expose().to_owned(),
            })
        });
        Self {
            files: files.iter().map(|file| (file.artifact.name.clone(), file.path.clone())).collect(),
            node_config: json(node),
            recorded: json(recorded),
            runtime_keys,
            certificate: json(&recorded.certificate),
            access: json(&recorded.access),
            certificate_pem,
            cluster: node.cluster.clone(),
            ports,
        }
    }

    /// Everything but the files that nodes fetch by hash.
    pub fn objects(&self, node: &NodeConfig) -> Vec<Object> {
        let object = |object_key: &str, sha256, source: &str, endpoints| Object {
            object_key: object_key.to_owned(),
            sha256,
            source: source.to_owned(),
            endpoints,
        };
        let mut objects = vec![
            object(CLUSTER_KEY, None, CLUSTER_RECORD, true),
            object(NODE_CONFIG_KEY, Some(sha256(&self.node_config)), NODE_CONFIG, false),
            object(RECORDED_KEY, Some(sha256(&self.recorded)), RECORDED, false),
            object(CERTIFICATE_KEY, Some(sha256(&self.certificate)), CERTIFICATE, false),
            object(ACCESS_KEY, Some(sha256(&self.access)), ACCESS, false),
        ];
        objects.extend(node.runtime_keys.iter().map(|key| object(key, None, RUNTIME_KEYS, false)));
        objects.extend(self.certificate_pem.iter().map(|(key, _)| object(key, None, CERTIFICATE_PEM, false)));
        objects
    }
}

/// Other keys are another object, since what is there cannot be read and compared.
pub fn runtime_keys_object(pair: &Credentials) -> String {
    format!("{}{}.json", names::RUNTIME_KEYS, pair.access_key_id)
}

#[async_trait]
impl Contents for ClusterContents {
    async fn content(&self, source: &str, inputs: &BTreeMap<String, String>) -> Result<Content, ContentError> {
        if let Some(path) = self.files.get(source) {
            return Ok(Content::File(path.clone()));
        }
        match source {
            NODE_CONFIG => Ok(Content::Bytes(self.node_config.clone())),
            RECORDED => Ok(Content::Bytes(self.recorded.clone())),
            ACCESS => Ok(Content::Bytes(self.access.clone())),
            CERTIFICATE => Ok(Content::Bytes(self.certificate.clone())),
            CLUSTER_RECORD => {
                let name = |input: &str| inputs.get(input).ok_or_else(|| ContentError(format!("no input `{input}`")));
                let endpoints = Endpoints::new(name("api")?, name("operator")?, self.ports);
                Ok(Content::Bytes(json(&self.record(&endpoints))))
            }
            CERTIFICATE_PEM => secret(self.certificate_pem.as_ref().and_then(|(_, pem)| pem.as_ref())),
            RUNTIME_KEYS => secret(self.runtime_keys.as_ref()),
            other => Err(ContentError(format!("nothing is known about `{other}`"))),
        }
    }
}

impl ClusterContents {
    fn record(&self, endpoints: &Endpoints) -> ClusterRecord {
        ClusterRecord {
            name: self.cluster.clone(),
            provider: "aws".to_owned(),
            api_endpoint: endpoints.api.clone(),
            operator_endpoint: endpoints.operator.clone(),
            host_names: endpoints.host_names.clone(),
            created_at: OffsetDateTime::now_utc(),
        }
    }
}

fn secret(content: Option<&Vec<u8>>) -> Result<Content, ContentError> {
    content.cloned().map(Content::Bytes).ok_or_else(|| ContentError("there is none".to_owned()))
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("these documents have string keys only")
}
