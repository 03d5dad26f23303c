//! One client per service, all over one configuration.

use std::time::Duration;

use aws_config::{Region, SdkConfig, retry::RetryConfig};

/// How often a question is put, and the pauses in between: with them somebody without a network waits for some seconds, and
/// not for a minute.
const ATTEMPTS: u32 = 8;
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

/// Cheap to clone: clients share their connections.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(crate) acm: aws_sdk_acm::Client,
    pub(crate) auto_scaling: aws_sdk_autoscaling::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) pricing: aws_sdk_pricing::Client,
    pub(crate) quotas: aws_sdk_servicequotas::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    config: SdkConfig,
}

impl Clients {
    /// `config` as [`load`](crate::load) makes it.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            acm: aws_sdk_acm::Client::new(config),
            auto_scaling: aws_sdk_autoscaling::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            ecs: aws_sdk_ecs::Client::new(config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            pricing: aws_sdk_pricing::Client::from_conf(price_list(config)),
            quotas: aws_sdk_servicequotas::Client::new(config),
            s3: aws_sdk_s3::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            config: config.clone(),
        }
    }

    /// The same, but the SDK asks again what was throttled or got lost: for questions only. Whatever changes something is
    /// retried by `provision`, which looks first whether it was done.
    #[must_use]
    pub(crate) fn patient(&self) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let retries = retries.with_initial_backoff(PAUSES.0).with_max_backoff(PAUSES.1);
        Self::new(&self.config.to_builder().retry_config(retries).build())
    }
}

/// The price list of all regions is kept in a few: "AWS Price List service endpoints", Billing user guide.
fn price_list(config: &SdkConfig) -> aws_sdk_pricing::Config {
    aws_sdk_pricing::config::Builder::from(config).region(Region::new("us-east-1")).build()
}
