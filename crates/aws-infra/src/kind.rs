//! One module per kind of resource; `balancing` looks at three of them together.

pub(crate) mod auto_scaling_group;
pub(crate) mod balancing;
pub(crate) mod bucket;
pub(crate) mod capacity_provider;
pub(crate) mod cluster_capacity;
mod ec2_tags;
pub(crate) mod ecs_cluster;
pub(crate) mod ecs_service;
pub(crate) mod elastic_ip;
mod elb_tags;
pub(crate) mod instance;
pub(crate) mod instance_profile;
pub(crate) mod internet_gateway;
pub(crate) mod launch_template;
pub(crate) mod listener;
pub(crate) mod load_balancer;
pub(crate) mod log_group;
pub(crate) mod nat_gateway;
pub(crate) mod object;
pub(crate) mod role;
pub(crate) mod route_table;
pub(crate) mod security_group;
pub(crate) mod subnet;
pub(crate) mod target_group;
pub(crate) mod task_definition;
pub(crate) mod vpc;
pub(crate) mod vpc_endpoint;
