//! What an instance does when it boots: fetch the node binary by its hash, verify it, become it.
//!
//! No secret is in it: everybody who may describe the template may read it. `curl` signs the request, for it is on every
//! Amazon Linux 2023 image, while the AWS CLI is not. What differs between nodes is in the assignments on top and reaches
//! `cortex node` by its environment.

use super::{Build, Impossible, Node, storage::bucket_name};
use crate::resource::{Key, Resource};

/// "Instance user data", EC2 user guide; before base64.
const MAX_BYTES: usize = 16 * 1024;

const FETCH: &str = r#"
directory=/opt/cortex/$CORTEX_NODE_SHA256
binary=$directory/cortex
metadata=http://169.254.169.254/latest
mkdir -p "$directory"

instance() { curl -sf --max-time 5 -H "x-aws-ec2-metadata-token: $1" "$metadata/$2"; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }

fetch() {
  token=$(curl -sf --max-time 5 -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token") || return
  role=$(instance "$token" meta-data/iam/security-credentials/) || return
  credentials=$(instance "$token" "meta-data/iam/security-credentials/$role") || return
  curl -sf --proto =https --tlsv1.2 --max-time 300 -o "$binary.part" \
    --aws-sigv4 "aws:amz:$CORTEX_REGION:s3" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K - \
    "https://$CORTEX_S3_HOST/bin/$CORTEX_NODE_SHA256/cortex" <<END || return
user = "$(field AccessKeyId <<<"$credentials"):$(field SecretAccessKey <<<"$credentials")"
header = "x-amz-security-token: $(field Token <<<"$credentials")"
END
  echo "$CORTEX_NODE_SHA256  $binary.part" | sha256sum --check --status
}

until [ -x "$binary" ]; do
  if fetch; then chmod 755 "$binary.part" && mv "$binary.part" "$binary"; else sleep 2; fi
done
exec "$binary" node
"#;

pub(super) fn script(build: &Build<'_>, template: &Key) -> String {
    let facts = build.facts;
    let bucket = bucket_name(build);
    let suffix = if facts.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let region = &build.aws.region;
    let (role, group) = match template.rest().split_once('/') {
        Some((_, group)) => ("worker", group),
        None => ("control", ""),
    };
    let variables = [
        ("CORTEX_NODE_ROLE", role.to_owned()),
        ("CORTEX_NODE_GROUP", group.to_owned()),
        ("CORTEX_CLUSTER", build.cluster.name.clone()),
        ("CORTEX_REGION", region.clone()),
        ("CORTEX_BUCKET", bucket.clone()),
        ("CORTEX_S3_HOST", format!("{bucket}.s3.{region}.{suffix}")),
        ("CORTEX_NODE_SHA256", facts.node_binary.sha256.clone()),
    ];
    // None of the values has a character that means something to the shell: `spec` and the names see to it.
    let assignments: String = variables.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    format!("#!/bin/bash\nset -u\n{assignments}{FETCH}")
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
