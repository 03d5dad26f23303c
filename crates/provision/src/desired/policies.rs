//! Policy documents. Every ARN in them follows from names, so no policy waits for what it speaks of.
//!
//! Actions and the conditions they take: "Actions, resources, and condition keys", Service Authorization Reference.

use serde_json::{Value, json};

use super::{Build, storage::bucket_name};
use crate::{
    names::{self, RUNTIME_KEYS},
    resource::Policy,
};

/// Of the bucket: TLS only, and secrets and State for nobody but the control nodes. An `Allow` elsewhere does not help against it.
pub(super) fn bucket(build: &Build<'_>) -> Policy {
    let bucket = bucket_arn(build);
    let readers = match &build.facts.runtime_identity {
        Some(identity) => json!([role_arn(build, "control"), identity]),
        None => json!([role_arn(build, "control")]),
    };
    let all = json!([bucket, format!("{bucket}/*")]);
    let written = [
        "private/authority.json",
        "private/api-keys/*",
        "private/session.json",
        "ca.json",
        "keys.json",
        "key-usage.json",
        "routes.json",
        "apis/*",
        "bundles/*",
        "nonce/*",
        "audit/*",
        "lease/reconcile",
    ];
    policy(&[
        json!({
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": all,
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }),
        json!({
            "Sid": "OnlyTls12",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": all,
            "Condition": { "NumericLessThan": { "s3:TlsVersion": "1.2" } },
        }),
        json!({
            "Sid": "OnlyControlReadsSecrets",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": format!("{bucket}/private/*"),
            "Condition": { "ArnNotEquals": { "aws:PrincipalArn": readers } },
        }),
        // What the cluster believes of itself is written by nobody else, whatever rights they have in the account. `up` writes
        // what it puts there before the first node boots, and `down` deletes everything.
        json!({
            "Sid": "OnlyControlWritesState",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": written.map(|objects| format!("{bucket}/{objects}")),
            "Condition": { "ArnNotEquals": { "aws:PrincipalArn": readers } },
        }),
    ])
}

pub(super) fn instance_trust(build: &Build<'_>) -> Policy {
    let service = match build.facts.partition.as_str() {
        "aws-cn" => "ec2.amazonaws.com.cn",
        _ => "ec2.amazonaws.com",
    };
    policy(&[json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" })])
}

/// "Confused deputy prevention", ECS developer guide.
pub(super) fn task_trust(build: &Build<'_>) -> Policy {
    policy(&[json!({
        "Effect": "Allow",
        "Principal": { "Service": "ecs-tasks.amazonaws.com" },
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": { "aws:SourceAccount": build.facts.account_id },
            "ArnLike": { "aws:SourceArn": arn(build, "ecs", "*") },
        },
    })])
}

/// The operator and the gateway.
pub(super) fn control(build: &Build<'_>) -> Policy {
    let bucket = bucket_arn(build);
    let cluster = names::ecs_cluster(build.cluster);
    let ecs = |what: &str| arn(build, "ecs", &format!("{what}/{cluster}/*"));
    let cluster_arn = arn(build, "ecs", &format!("cluster/{cluster}"));
    let here = json!({ "ArnEquals": { "ecs:cluster": cluster_arn } });
    let families = arn(build, "ecs", &format!("task-definition/{}-*:*", names::ecs_cluster(build.cluster)));
    policy(&[
        allow(&["s3:ListBucket"], json!(bucket)),
        allow(
            &["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            json!(format!("{bucket}/*")),
        ),
        allow(
            &["ecs:CreateService", "ecs:UpdateService", "ecs:DeleteService", "ecs:DescribeServices"],
            json!([ecs("service")]),
        ),
        allow(&["ecs:DescribeTasks"], json!([ecs("task")])),
        allow(&["ecs:DescribeContainerInstances"], json!([ecs("container-instance")])),
        allow(&["ecs:DescribeClusters"], json!([cluster_arn])),
        // These know no resource of their own, or one that cannot be told beforehand.
        allow_if(&["ecs:ListServices", "ecs:ListTasks"], json!("*"), here),
        allow(&["ecs:RegisterTaskDefinition", "ecs:DeleteTaskDefinitions"], json!([families])),
        allow(
            &[
                "ecs:DeregisterTaskDefinition",
                "ecs:DescribeTaskDefinition",
                "ecs:ListTaskDefinitionFamilies",
                "ecs:ListTaskDefinitions",
            ],
            json!("*"),
        ),
        allow(&["ecs:TagResource"], json!([ecs("service"), families])),
        allow_if(
            &["iam:PassRole"],
            json!([role_arn(build, "task")]),
            json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } }),
        ),
        allow(&["logs:FilterLogEvents"], log_group(build)),
    ])
}

/// Control nodes of a cluster that runs with keys of its own: as far as these keys.
pub(super) fn boot(build: &Build<'_>) -> Policy {
    let bucket = bucket_arn(build);
    let read = ["bin/*", "config/*", &format!("{RUNTIME_KEYS}*")].map(|objects| format!("{bucket}/{objects}"));
    policy(&[allow(&["s3:GetObject"], json!(read))])
}

/// Worker nodes: the ECS agent ("Amazon ECS container instance IAM role", ECS developer guide), images from the
/// account's registry, logs of containers, and what a node boots from.
pub(super) fn worker(build: &Build<'_>) -> Policy {
    let cluster = names::ecs_cluster(build.cluster);
    let cluster_arn = arn(build, "ecs", &format!("cluster/{cluster}"));
    let instances = arn(build, "ecs", &format!("container-instance/{cluster}/*"));
    let here = json!({ "ArnEquals": { "ecs:cluster": cluster_arn } });
    policy(&[
        allow(&["ecs:RegisterContainerInstance", "ecs:DeregisterContainerInstance"], json!([cluster_arn])),
        allow(&["ecs:DiscoverPollEndpoint"], json!("*")),
        allow_if(
            &["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
            json!([instances]),
            here,
        ),
        allow(
            &["ecs:SubmitAttachmentStateChanges", "ecs:SubmitContainerStateChange", "ecs:SubmitTaskStateChange"],
            json!([cluster_arn]),
        ),
        allow(&["ecs:TagResource"], json!([instances])),
        allow(&["ecr:GetAuthorizationToken"], json!("*")),
        allow(
            &["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            json!([arn(build, "ecr", "repository/*")]),
        ),
        allow(&["logs:CreateLogStream", "logs:PutLogEvents"], log_group(build)),
        read_bundles(build),
    ])
}

/// What replicas run with, besides the policies of the user's.
pub(super) fn task(build: &Build<'_>) -> Policy {
    // Where traces go is part of it, and nothing secret.
    let told = format!("{}/config/node.json", bucket_arn(build));
    policy(&[read_bundles(build), allow(&["s3:GetObject"], json!(told))])
}

fn read_bundles(build: &Build<'_>) -> Value {
    let bucket = bucket_arn(build);
    allow(&["s3:GetObject"], json!([format!("{bucket}/bin/*"), format!("{bucket}/bundles/*")]))
}

fn log_group(build: &Build<'_>) -> Value {
    let group = arn(build, "logs", &format!("log-group:{}", names::log_group(build.cluster)));
    json!([group, format!("{group}:*")])
}

fn policy(statements: &[Value]) -> Policy {
    Policy(json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn allow(actions: &[&str], resource: Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}

fn allow_if(actions: &[&str], resource: Value, condition: Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition })
}

fn arn(build: &Build<'_>, service: &str, resource: &str) -> String {
    let (partition, account) = (&build.facts.partition, &build.facts.account_id);
    format!("arn:{partition}:{service}:{}:{account}:{resource}", build.aws.region)
}

fn bucket_arn(build: &Build<'_>) -> String {
    format!("arn:{}:s3:::{}", build.facts.partition, bucket_name(build))
}

fn role_arn(build: &Build<'_>, name: &str) -> String {
    names::role_arn(&build.facts.partition, build.cluster, name)
}
