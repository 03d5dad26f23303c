//! Whether the names are free that the plan is about to give.
//!
//! Most names have a hash of account, region and cluster in them. These are the ones that could be somebody else's.

use provision::{
    cloud::{CloudError, ErrorKind},
    plan::Entry,
    resource::{Kind, Resource},
};

use super::{Finding, Subject, unknown};
use crate::{
    Clients,
    classify::{auto_scaling, ec2, ecs, logs, s3},
};

/// What has the name already.
enum Taken {
    Free,
    Here,
    /// A bucket of another account, or closed to these credentials.
    Elsewhere,
}

pub(super) async fn check(clients: &Clients, subject: Subject<'_>) -> Result<Vec<Finding>, CloudError> {
    let kinds = [Kind::Bucket, Kind::LogGroup, Kind::EcsCluster, Kind::AutoScalingGroup, Kind::LaunchTemplate];
    let created = kinds.iter().flat_map(|kind| subject.created(*kind));
    let looks = created.filter_map(name).map(|(kind, name)| async move {
        let check = format!("name of the {kind}");
        match Box::pin(look(clients, kind, &name, &subject.caller.account_id)).await {
            Ok(taken) => finding(check, kind, &name, &taken),
            Err(error) => unknown(check, &error),
        }
    });
    Ok(futures_util::future::join_all(looks).await)
}

fn finding(check: String, kind: Kind, name: &str, taken: &Taken) -> Finding {
    match (taken, kind) {
        (Taken::Free, _) => Finding::passed(check, format!("{name} is free")),
        (Taken::Elsewhere, _) => {
            Finding::refused(check, format!("{name} is a bucket of another account, or closed to these credentials"))
                .hint("choose another `bucket`, or leave it out")
        }
        (Taken::Here, Kind::Bucket) => {
            Finding::refused(check, format!("there is a bucket {name} in this account that is not this cluster's"))
                .hint("choose another `bucket`, or leave it out; cortex takes over nothing that it has not made")
        }
        (Taken::Here, _) => {
            Finding::refused(check, format!("there is a {kind} {name} in this account that is not this cluster's"))
                .hint("choose another `cluster_name`, or remove it")
        }
    }
}

fn name(entry: &Entry) -> Option<(Kind, String)> {
    let name = match &entry.wanted.as_ref()?.resource {
        Resource::Bucket(bucket) => &bucket.name,
        Resource::LogGroup(group) => &group.name,
        Resource::EcsCluster(cluster) => &cluster.name,
        Resource::AutoScalingGroup(group) => &group.name,
        Resource::LaunchTemplate(template) => &template.name,
        _ => return None,
    };
    Some((entry.kind, name.clone()))
}

async fn look(clients: &Clients, kind: Kind, name: &str, account: &str) -> Result<Taken, CloudError> {
    let here = match kind {
        Kind::Bucket => return bucket(clients, name, account).await,
        Kind::LogGroup => {
            let request = clients.logs.describe_log_groups().log_group_name_prefix(name);
            let groups = request.send().await.map_err(logs)?.log_groups.unwrap_or_default();
            groups.iter().any(|group| group.log_group_name() == Some(name))
        }
        Kind::EcsCluster => {
            let reply = clients.ecs.describe_clusters().clusters(name).send().await.map_err(ecs)?;
            reply.clusters().iter().any(|cluster| cluster.status() != Some("INACTIVE"))
        }
        Kind::AutoScalingGroup => {
            let request = clients.auto_scaling.describe_auto_scaling_groups().auto_scaling_group_names(name);
            let reply = request.send().await.map_err(auto_scaling)?;
            !reply.auto_scaling_groups().is_empty()
        }
        _ => {
            let filter = crate::call::filter("launch-template-name", name);
            let reply = clients.ec2.describe_launch_templates().filters(filter).send().await.map_err(ec2)?;
            !reply.launch_templates().is_empty()
        }
    };
    Ok(if here { Taken::Here } else { Taken::Free })
}

/// Names of buckets are the whole world's.
async fn bucket(clients: &Clients, name: &str, account: &str) -> Result<Taken, CloudError> {
    let ours = clients.s3.head_bucket().bucket(name).expected_bucket_owner(account).send().await;
    match ours.map_err(s3) {
        Ok(_) => Ok(Taken::Here),
        Err(error) if error.kind == ErrorKind::NotFoundYet => Ok(Taken::Free),
        Err(CloudError { kind: ErrorKind::Denied { .. }, .. }) => Ok(Taken::Elsewhere),
        // Another region answers with a redirection.
        Err(error) if error.message.contains("HTTP 301") => Ok(Taken::Elsewhere),
        Err(error) => Err(error),
    }
}
