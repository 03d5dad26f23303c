//! The clusters that scanners look at and that benchmarks make.

/// Also the cluster's name.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) yaml: &'static str,
}

pub(crate) const SHAPES: [Shape; 3] = [
    Shape {
        name: "public",
        yaml: "\
cluster_name: public
region: us-east-1
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
",
    },
    Shape {
        name: "private",
        yaml: "\
cluster_name: private
region: us-east-1
subnet_visibility: private
nat_gateway: single
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 2}
",
    },
    Shape {
        name: "highly-available",
        yaml: "\
cluster_name: highly-available
region: us-east-1
subnet_visibility: private
nat_gateway: highly_available
availability_zones: [us-east-1a, us-east-1b, us-east-1c]
control_plane: {instances: 2}
node_groups:
  - {name: cpu, instance_type: m5.large, min_instances: 1, max_instances: 3}
  - {name: cheap, instance_type: m5.large, min_instances: 1, max_instances: 4, spot: true}
",
    },
];
