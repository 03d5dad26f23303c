//! What an instance does when it boots: fetch what it needs by hash, verify it, and hand over.
//!
//! - A **control node** becomes a systemd service that runs `cortex node`, and so comes back after a reboot by itself.
//! - A **worker** gets binary and ONNX Runtime in place for its containers, and tells the ECS agent of its image, which starts
//!   after this script, which cluster to join and which address the gateway finds it at.
//!
//! No secret is in it: everybody who may describe the template may read it. `curl` signs the requests, for it is on every
//! Amazon Linux 2023 image, while the AWS CLI is not. What differs between nodes is in the assignments on top.

use super::{Build, Impossible, Node, storage::bucket_name};
use crate::{
    names,
    resource::{Key, Resource},
};

/// "Instance user data", EC2 user guide; before base64.
const MAX_BYTES: usize = 16 * 1024;

const FETCH: &str = r#"
metadata=http://169.254.169.254/latest

token() { curl -sf --max-time 5 -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token"; }
instance() { curl -sf --max-time 5 -H "x-aws-ec2-metadata-token: $1" "$metadata/$2"; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }

# fetch SHA256 NAME: bin/SHA256/NAME of the bucket, to /opt/cortex/SHA256/NAME
fetch() {
  local token role credentials file=/opt/cortex/$1/$2
  [ -e "$file" ] && return
  mkdir -p "/opt/cortex/$1"
  token=$(token) || return
  role=$(instance "$token" meta-data/iam/security-credentials/) || return
  credentials=$(instance "$token" "meta-data/iam/security-credentials/$role") || return
  curl -sf --proto =https --tlsv1.2 --max-time 300 -o "$file.part" \
    --aws-sigv4 "aws:amz:$CORTEX_REGION:s3" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K - \
    "https://$CORTEX_S3_HOST/bin/$1/$2" <<END || return
user = "$(field AccessKeyId <<<"$credentials"):$(field SecretAccessKey <<<"$credentials")"
header = "x-amz-security-token: $(field Token <<<"$credentials")"
END
  echo "$1  $file.part" | sha256sum --check --status || return
  chmod 755 "$file.part" && mv "$file.part" "$file"
}

until fetch "$CORTEX_NODE_SHA256" cortex; do sleep 2; done
"#;

/// The service keeps a user of its own; `mixed` lets `cortex node` stop what it has started.
const CONTROL: &str = r#"
mkdir -p /etc/cortex
cat >/etc/cortex/node.env <<END
CORTEX_CLUSTER=$CORTEX_CLUSTER
CORTEX_REGION=$CORTEX_REGION
CORTEX_BUCKET=$CORTEX_BUCKET
END
cat >/etc/systemd/system/cortex.service <<END
[Unit]
Description=cortex control node: operator and gateway
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
EnvironmentFile=/etc/cortex/node.env
ExecStart=/opt/cortex/$CORTEX_NODE_SHA256/cortex node --directory /var/lib/cortex
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60
DynamicUser=yes
StateDirectory=cortex
StateDirectoryMode=0700
LimitNOFILE=1048576
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now cortex.service
"#;

/// "Amazon ECS container agent configuration", ECS developer guide. Tasks get their own roles' credentials and not the
/// node's.
const WORKER: &str = r#"
until fetch "$CORTEX_ONNXRUNTIME_SHA256" libonnxruntime.so; do sleep 2; done
# Where containers look, whichever worker they are on.
mkdir -p /opt/cortex/bin
ln -sfn "../$CORTEX_NODE_SHA256/cortex" /opt/cortex/bin/cortex
ln -sfn "../$CORTEX_ONNXRUNTIME_SHA256/libonnxruntime.so" /opt/cortex/bin/libonnxruntime.so
until token=$(token) && address=$(instance "$token" meta-data/local-ipv4); do sleep 2; done
mkdir -p /etc/ecs
cat >/etc/ecs/ecs.config <<END
ECS_CLUSTER=$CORTEX_ECS_CLUSTER
ECS_INSTANCE_ATTRIBUTES={"cortex.address":"$address"}
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=10m
ECS_CONTAINER_STOP_TIMEOUT=2m
END
"#;

pub(super) fn script(build: &Build<'_>, template: &Key) -> String {
    let facts = build.facts;
    let bucket = bucket_name(build);
    let suffix = if facts.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let region = &build.aws.region;
    let mut variables = vec![
        ("CORTEX_CLUSTER", build.cluster.name.clone()),
        ("CORTEX_REGION", region.clone()),
        ("CORTEX_BUCKET", bucket.clone()),
        ("CORTEX_S3_HOST", format!("{bucket}.s3.{region}.{suffix}")),
        ("CORTEX_NODE_SHA256", facts.node_binary.sha256.clone()),
    ];
    let worker = template.rest().contains('/');
    if worker {
        variables.push(("CORTEX_ONNXRUNTIME_SHA256", facts.onnxruntime.sha256.clone()));
        variables.push(("CORTEX_ECS_CLUSTER", names::ecs_cluster(build.cluster)));
    }
    // None of the values has a character that means something to the shell: `spec` and the names see to it.
    let assignments: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    format!("#!/bin/bash\nset -u\n{assignments}{FETCH}{}", if worker { WORKER } else { CONTROL })
}

/// Of a launch template whose user data EC2 would refuse.
pub(super) fn too_long(node: &Node) -> Option<Impossible> {
    match &node.resource {
        Resource::LaunchTemplate(template) if template.user_data.len() > MAX_BYTES => {
            Some(Impossible::UserDataTooLong {
                template: node.key.clone(),
                bytes: template.user_data.len(),
                max: MAX_BYTES,
            })
        }
        _ => None,
    }
}
