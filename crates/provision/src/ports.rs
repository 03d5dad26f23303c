//! Which port is what, for clients and on the nodes. Load balancers, security groups and the nodes themselves have to agree.

/// Of the load balancer: APIs.
pub const API: u16 = 443;
/// Of the load balancer: redirected, or APIs without TLS.
pub const API_PLAIN: u16 = 80;
/// Of the load balancer: the operator, where it shares one with the APIs.
pub const OPERATOR_SHARED: u16 = 8443;
/// Of the load balancer: the operator, where it has one of its own.
pub const OPERATOR_DEDICATED: u16 = 443;

/// Of a control node: the gateway, TLS.
pub const NODE_GATEWAY: u16 = 8443;
/// Of a control node: the gateway, without TLS.
pub const NODE_GATEWAY_PLAIN: u16 = 8080;
/// Of a control node: the operator, TLS.
pub const NODE_OPERATOR: u16 = 8888;
/// Of a worker: what ECS gives out to containers in bridge networks. "PortMapping", ECS API reference: the
/// ephemeral range of the kernel, or 49153 to 65535.
pub const NODE_REPLICAS: (u16, u16) = (32768, 65535);

/// Answers without asking who asks, on all three ports of a control node.
pub const HEALTH_PATH: &str = "/healthz";
