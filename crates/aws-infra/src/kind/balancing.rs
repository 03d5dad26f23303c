//! Load balancers, target groups and listeners, with the tags of all of them.
//!
//! Neither of them is described with its tags, and there is no filter: all load balancers and target groups of the region
//! are listed, and the tags of everything are asked for together. Which listeners there are is asked of each load balancer
//! that is called as ours are, before its tags are known, so that theirs are asked for with the rest.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, LoadBalancerTypeEnum, TargetGroup};
use futures_util::future::{join, try_join_all};
use provision::{
    names,
    resource::{Key, Kind},
};

use super::elb_tags;
use crate::{
    call::{Call, Result},
    classify::{elb, present},
    tags::{self, Tags},
};

/// What is the cluster's, by the tags of each.
#[derive(Default)]
pub(crate) struct Balancing {
    pub balancers: Vec<Ours<LoadBalancer>>,
    pub target_groups: Vec<Ours<TargetGroup>>,
    pub listeners: Vec<Ours<Listener>>,
}

#[derive(Clone)]
pub(crate) struct Ours<T> {
    pub arn: String,
    pub key: Key,
    pub tags: Tags,
    pub sdk: T,
}

/// As much of it as the look is at.
pub(crate) async fn look(call: Call<'_>, kinds: &BTreeSet<Kind>) -> Result<Balancing> {
    let wants_listeners = kinds.contains(&Kind::Listener);
    let wants_balancers = wants_listeners || kinds.contains(&Kind::LoadBalancer);
    let balancers = async { if wants_balancers { balancers(call).await } else { Ok(Vec::new()) } };
    let groups = async { if kinds.contains(&Kind::TargetGroup) { target_groups(call).await } else { Ok(Vec::new()) } };
    let (balancers, groups) = join(Box::pin(balancers), Box::pin(groups)).await;
    let (balancers, groups) = (balancers?, groups?);

    let names = names::load_balancers(call.cluster);
    let likely =
        |balancer: &&LoadBalancer| balancer.load_balancer_name().is_some_and(|name| names.iter().any(|n| n == name));
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    let mut listeners = Vec::new();
    if wants_listeners {
        asked = balancers.iter().filter(likely).filter_map(LoadBalancer::load_balancer_arn).collect();
        listeners = listeners_of(call, &asked).await?;
    }
    let arns = balancers.iter().filter_map(LoadBalancer::load_balancer_arn);
    let arns = arns.chain(groups.iter().filter_map(TargetGroup::target_group_arn));
    let arns: Vec<&str> = arns.chain(listeners.iter().filter_map(Listener::listener_arn)).collect();
    let mut tags = elb_tags::read(call, &arns).await?;

    let ours = |arn: &&str| tags.get(*arn).is_some_and(|tags| tags::owned(call.cluster, tags).is_some());
    let others = balancers.iter().filter_map(LoadBalancer::load_balancer_arn).filter(ours);
    let others: BTreeSet<&str> = others.filter(|arn| wants_listeners && !asked.contains(arn)).collect();
    if !others.is_empty() {
        let more = listeners_of(call, &others).await?;
        let arns: Vec<&str> = more.iter().filter_map(Listener::listener_arn).collect();
        tags.extend(elb_tags::read(call, &arns).await?);
        listeners.extend(more);
    }
    Ok(Balancing {
        balancers: owned(call, balancers, LoadBalancer::load_balancer_arn, &tags),
        target_groups: owned(call, groups, TargetGroup::target_group_arn, &tags),
        listeners: owned(call, listeners, Listener::listener_arn, &tags),
    })
}

async fn balancers(call: Call<'_>) -> Result<Vec<LoadBalancer>> {
    let pages = call.clients.elb.describe_load_balancers().into_paginator().items().send();
    let mut all = pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(elb)?;
    all.retain(|balancer| balancer.r#type() == Some(&LoadBalancerTypeEnum::Network));
    Ok(all)
}

async fn target_groups(call: Call<'_>) -> Result<Vec<TargetGroup>> {
    let pages = call.clients.elb.describe_target_groups().into_paginator().items().send();
    pages.collect::<std::result::Result<Vec<_>, _>>().await.map_err(elb)
}

async fn listeners_of(call: Call<'_>, balancers: &BTreeSet<&str>) -> Result<Vec<Listener>> {
    let looks = balancers.iter().map(|balancer| async move {
        let pages = call.clients.elb.describe_listeners().load_balancer_arn(*balancer).into_paginator();
        let listeners = pages.items().send().collect::<std::result::Result<Vec<_>, _>>().await.map_err(elb);
        Ok(present(listeners)?.unwrap_or_default())
    });
    Ok(try_join_all(looks).await?.concat())
}

fn owned<T>(
    call: Call<'_>,
    all: Vec<T>,
    arn: impl Fn(&T) -> Option<&str>,
    tags: &BTreeMap<String, Tags>,
) -> Vec<Ours<T>> {
    let ours = all.into_iter().filter_map(|sdk| {
        let arn = arn(&sdk)?.to_owned();
        let tags = tags.get(&arn)?.clone();
        Some(Ours { key: tags::owned(call.cluster, &tags)?, arn, tags, sdk })
    });
    ours.collect()
}
