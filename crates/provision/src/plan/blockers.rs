//! What has to be gone before something can go.

use crate::resource::Kind;

/// As long as one of these exists in the cluster, a resource of `kind` cannot be deleted, or should not yet be. Much of
/// it is what AWS answers `DependencyViolation` or `ResourceInUse` to; the rest keeps running nodes from losing
/// their permissions or writing to what has just been deleted. Compute comes first: it keeps making things.
pub(crate) fn blockers(kind: Kind) -> &'static [Kind] {
    use Kind::*;
    match kind {
        Vpc => &[
            InternetGateway,
            Subnet,
            NatGateway,
            RouteTable,
            VpcEndpoint,
            SecurityGroup,
            LoadBalancer,
            TargetGroup,
            AutoScalingGroup,
            Instance,
        ],
        // Attached as long as something in the VPC has a public address.
        InternetGateway => &[NatGateway, ElasticIp, LoadBalancer, AutoScalingGroup, Instance],
        Subnet => &[NatGateway, LoadBalancer, AutoScalingGroup, Instance],
        ElasticIp => &[NatGateway],
        RouteTable => &[VpcEndpoint],
        SecurityGroup => &[LoadBalancer, AutoScalingGroup, Instance],
        TargetGroup => &[Listener, LoadBalancer],
        LaunchTemplate => &[AutoScalingGroup],
        InstanceProfile => &[AutoScalingGroup, Instance],
        Role => &[InstanceProfile, AutoScalingGroup, Instance, EcsService],
        // A group ends its instances itself, and would start new ones for those that others end.
        Instance => &[AutoScalingGroup],
        ClusterCapacity | TaskDefinition => &[EcsService],
        CapacityProvider => &[ClusterCapacity],
        EcsCluster => &[EcsService, ClusterCapacity, CapacityProvider, AutoScalingGroup, Instance],
        LogGroup => &[AutoScalingGroup, Instance, EcsService],
        // Last of all: the lease of whoever is deleting is in it.
        Bucket => &[
            Vpc,
            InternetGateway,
            Subnet,
            ElasticIp,
            NatGateway,
            RouteTable,
            VpcEndpoint,
            SecurityGroup,
            LoadBalancer,
            TargetGroup,
            Listener,
            LogGroup,
            Role,
            InstanceProfile,
            LaunchTemplate,
            AutoScalingGroup,
            EcsCluster,
            CapacityProvider,
            ClusterCapacity,
            Instance,
            EcsService,
            TaskDefinition,
        ],
        NatGateway | VpcEndpoint | LoadBalancer | Listener | Object | AutoScalingGroup | EcsService => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_blocks_itself() {
        fn reaches(from: Kind, to: Kind) -> bool {
            blockers(from).iter().any(|kind| *kind == to || reaches(*kind, to))
        }
        for kind in Kind::WANTED.iter().chain(Kind::GROWN) {
            assert!(!reaches(*kind, *kind), "{kind}");
        }
    }
}
