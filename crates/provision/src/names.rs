//! Tags and names by which a cluster's resources are known again.
//!
//! Every name follows from name and region of the cluster (and the account, for the bucket): nothing is random, so a
//! crash between a call and its reply leaves nothing that cannot be found. Where a service allows too few characters
//! the cluster's name is cut, and a hash keeps the result unique.

use sha2::{Digest, Sha256};

use crate::cloud::ClusterId;

/// On everything: the cluster's name.
pub const CLUSTER_TAG: &str = "cortex.dev/cluster-name";
/// On everything: the resource's [`Key`](crate::resource::Key).
pub const RESOURCE_TAG: &str = "cortex.dev/resource";
/// What consoles show.
pub const NAME_TAG: &str = "Name";

/// Beginning of the object that holds the keys which the cluster runs with, if it does not run as its instance role.
pub const RUNTIME_KEYS: &str = "private/runtime/";

/// Beginning of the object that holds a certificate of the user's with its key; those of former ones are deleted.
pub const CERTIFICATES: &str = "private/certificate/";

/// "CreateLoadBalancer" and "CreateTargetGroup", Elastic Load Balancing API reference: letters, digits and dashes, not
/// beginning with `internal-`.
const BALANCING_MAX: usize = 32;
/// "CreateRole", IAM API reference.
const ROLE_MAX: usize = 64;
/// "Bucket naming rules", S3 user guide.
const BUCKET_MAX: usize = 63;

/// Launch templates, Auto Scaling groups, security groups, ECS: whatever may be 100 characters long and is unique per
/// region only. Does not begin with `aws`, `ecs` or `fargate`, which capacity providers may not.
pub fn regional(cluster: &ClusterId, suffix: &str) -> String {
    format!("cortex-{}-{suffix}", cluster.name)
}

/// Load balancers and target groups.
pub fn balancing(cluster: &ClusterId, suffix: &str) -> String {
    let hash = hash(&[&cluster.region, &cluster.name, suffix], 6);
    fit("cx-", &cluster.name, &format!("-{suffix}-{hash}"), BALANCING_MAX)
}

/// Those that load balancers have: one for everything, or one for APIs and one for the operator.
pub fn load_balancers(cluster: &ClusterId) -> [String; 3] {
    ["shared", "api", "operator"].map(|suffix| balancing(cluster, suffix))
}

/// Roles and instance profiles; unique in the account, over all regions.
pub fn role(cluster: &ClusterId, suffix: &str) -> String {
    let hash = hash(&[&cluster.region, &cluster.name, suffix], 8);
    fit("cortex-", &cluster.name, &format!("-{suffix}-{}-{hash}", cluster.region), ROLE_MAX)
}

/// Of all roles and instance profiles of the cluster, and of nothing else.
pub fn iam_path(cluster: &ClusterId) -> String {
    format!("/cortex/{}/{}/", cluster.region, cluster.name)
}

/// Of [`role`].
pub fn role_arn(partition: &str, cluster: &ClusterId, suffix: &str) -> String {
    format!("arn:{partition}:iam::{}:role{}{}", cluster.account_id, iam_path(cluster), role(cluster, suffix))
}

/// The bucket, unless `cluster.yaml` names one.
pub fn bucket(cluster: &ClusterId) -> String {
    let hash = hash(&[&cluster.account_id, &cluster.region, &cluster.name], 8);
    fit("cortex-", &cluster.name, &format!("-{}-{}-{hash}", cluster.account_id, cluster.region), BUCKET_MAX)
}

pub fn ecs_cluster(cluster: &ClusterId) -> String {
    format!("cortex-{}", cluster.name)
}

pub fn log_group(cluster: &ClusterId) -> String {
    format!("/cortex/{}", cluster.name)
}

fn hash(parts: &[&str], digits: usize) -> String {
    let mut hex = hex::encode(Sha256::digest(parts.join("\n")));
    hex.truncate(digits);
    hex
}

/// As much of `middle` as there is room for.
fn fit(before: &str, middle: &str, after: &str, max: usize) -> String {
    let room = max.saturating_sub(before.len() + after.len());
    let cut = &middle[..middle.len().min(room)];
    format!("{before}{}{after}", cut.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str) -> ClusterId {
        ClusterId { name: name.to_owned(), region: "ap-southeast-1".to_owned(), account_id: "123456789012".to_owned() }
    }

    #[test]
    fn names_are_short_enough_and_differ() {
        let long = "a".repeat(54);
        let other = format!("{}b", "a".repeat(53));
        for name in ["abc", "internal", "some-longer-name", &long] {
            let c = cluster(name);
            assert!(balancing(&c, "api-https").len() <= BALANCING_MAX);
            assert!(role(&c, "control").len() <= ROLE_MAX);
            assert!(bucket(&c).len() <= BUCKET_MAX);
        }
        assert_ne!(balancing(&cluster(&long), "api"), balancing(&cluster(&other), "api"));
        assert_ne!(role(&cluster(&long), "task"), role(&cluster(&other), "task"));
        assert_ne!(bucket(&cluster(&long)), bucket(&cluster(&other)));
    }

    #[test]
    fn no_two_dashes_where_a_name_is_cut() {
        assert_eq!(fit("cx-", "abc-def", "-api", 11), "cx-abc-api");
    }
}
