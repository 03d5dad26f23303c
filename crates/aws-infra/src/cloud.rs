//! [`Cloud`], by picking the module of the kind.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use provision::{
    cloud::{Change, Cloud, CloudError, ClusterId, Ids, Observed, State, Wanted},
    resource::{Kind, Resource},
};

use crate::{
    Clients, Contents,
    attempts::Attempts,
    call::{Call, Result, invalid},
    kind,
    round::Round,
};

/// How the cluster's bucket is called. Buckets are the only thing whose name the user may choose and which cannot be found
/// by its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BucketName {
    /// As [`provision::names::bucket`] says.
    #[default]
    Standard,
    /// As `cluster.yaml` says.
    Given(String),
    /// Not known, `cluster.yaml` being gone: if there is none of the standard name, the tags of all buckets of
    /// the region are looked at.
    Unknown,
}

/// An AWS account, in one region.
pub struct AwsCloud {
    clients: Clients,
    /// A look at one kind is many requests: if a single one of them is throttled, not all are to be made again.
    looking: Clients,
    contents: Arc<dyn Contents>,
    bucket: BucketName,
    attempts: Attempts,
}

impl AwsCloud {
    pub fn new(clients: Clients, bucket: BucketName, contents: Arc<dyn Contents>) -> Self {
        let looking = clients.patient();
        Self { clients, looking, contents, bucket, attempts: Attempts::new(rand::random()) }
    }

    fn call<'a>(&'a self, cluster: &'a ClusterId, round: &'a Round) -> Call<'a> {
        Call {
            clients: &self.clients,
            cluster,
            attempts: &self.attempts,
            bucket: &self.bucket,
            contents: self.contents.as_ref(),
            round,
        }
    }
}

macro_rules! kinds {
    ($($kind:ident => $module:ident,)*) => {
        fn create<'a>(call: Call<'a>, wanted: &'a Wanted) -> BoxFuture<'a, Result<Ids>> {
            match &wanted.resource {
                $(Resource::$kind(resource) => kind::$module::create(call, wanted, resource).boxed(),)*
            }
        }

        fn update<'a>(
            call: Call<'a>,
            current: &'a Observed,
            wanted: &'a Wanted,
            changes: &'a [Change],
        ) -> BoxFuture<'a, Result<()>> {
            match &wanted.resource {
                $(Resource::$kind(resource) => {
                    kind::$module::update(call, current, wanted, resource, changes).boxed()
                })*
            }
        }

        fn observe(call: Call<'_>, kind: Kind) -> BoxFuture<'_, Result<Vec<Observed>>> {
            match kind {
                $(Kind::$kind => kind::$module::observe(call).boxed(),)*
                Kind::Instance => kind::instance::observe(call).boxed(),
                Kind::EcsService => kind::ecs_service::observe(call).boxed(),
                Kind::TaskDefinition => kind::task_definition::observe(call).boxed(),
            }
        }

        fn delete<'a>(call: Call<'a>, what: &'a Observed) -> BoxFuture<'a, Result<()>> {
            match what.kind {
                $(Kind::$kind => kind::$module::delete(call, what).boxed(),)*
                Kind::Instance => kind::instance::delete(call, what).boxed(),
                Kind::EcsService => kind::ecs_service::delete(call, what).boxed(),
                Kind::TaskDefinition => kind::task_definition::delete(call, what).boxed(),
            }
        }
    };
}

kinds! {
    Vpc => vpc,
    InternetGateway => internet_gateway,
    Subnet => subnet,
    ElasticIp => elastic_ip,
    NatGateway => nat_gateway,
    RouteTable => route_table,
    VpcEndpoint => vpc_endpoint,
    SecurityGroup => security_group,
    LoadBalancer => load_balancer,
    TargetGroup => target_group,
    Listener => listener,
    Bucket => bucket,
    Object => object,
    LogGroup => log_group,
    Role => role,
    InstanceProfile => instance_profile,
    LaunchTemplate => launch_template,
    AutoScalingGroup => auto_scaling_group,
    EcsCluster => ecs_cluster,
    CapacityProvider => capacity_provider,
    ClusterCapacity => cluster_capacity,
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn observe(&self, cluster: &ClusterId, kind: Kind) -> Result<Vec<Observed>> {
        self.observe_all(cluster, &[kind]).await
    }

    async fn observe_all(&self, cluster: &ClusterId, kinds: &[Kind]) -> Result<Vec<Observed>> {
        let round = Round::of(kinds);
        let call = Call { clients: &self.looking, ..self.call(cluster, &round) };
        let looks = kinds.iter().map(|kind| observe(call, *kind));
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    async fn create(&self, cluster: &ClusterId, wanted: &Wanted) -> Result<Ids> {
        let ids = create(self.call(cluster, &Round::default()), wanted).await?;
        self.attempts.finish(cluster, &wanted.key);
        Ok(ids)
    }

    async fn update(&self, cluster: &ClusterId, current: &Observed, wanted: &Wanted, changes: &[Change]) -> Result<()> {
        if wanted.resource.kind() != current.kind {
            return Err(invalid(format!("{} is a {}", current.key, current.kind)));
        }
        update(self.call(cluster, &Round::default()), current, wanted, changes).await?;
        // Somebody has found it meanwhile, and finished it.
        self.attempts.forget(cluster, &current.key);
        Ok(())
    }

    async fn delete(&self, cluster: &ClusterId, what: &Observed) -> std::result::Result<(), CloudError> {
        // If it was half made, the next one is not that one.
        self.attempts.forget(cluster, &what.key);
        if what.state == State::Deleting {
            return Ok(());
        }
        delete(self.call(cluster, &Round::default()), what).await
    }
}
