//! Tags of load balancers, target groups and listeners. Describing does not show them: they are asked for, twenty at a
//! time.

use std::collections::BTreeMap;

use provision::cloud::{Change, Wanted};

use crate::{
    call::{Call, Result},
    classify::{elb, present},
    tags::{self, TagChanges, Tags},
};

/// "DescribeTags", Elastic Load Balancing API reference.
const BATCH: usize = 20;

/// Tags by ARN. What went away since it was listed is left out.
pub(super) async fn read(call: Call<'_>, arns: &[&str]) -> Result<BTreeMap<String, Tags>> {
    let mut all = BTreeMap::new();
    for batch in arns.chunks(BATCH) {
        match present(batch_of(call, batch).await)? {
            Some(found) => all.extend(found),
            // One that is gone spoils the batch.
            None => {
                for arn in batch {
                    all.extend(present(batch_of(call, &[arn]).await)?.unwrap_or_default());
                }
            }
        }
    }
    Ok(all)
}

async fn batch_of(call: Call<'_>, arns: &[&str]) -> Result<BTreeMap<String, Tags>> {
    let arns = arns.iter().map(|arn| (*arn).to_owned()).collect();
    let reply = call.clients.elb.describe_tags().set_resource_arns(Some(arns)).send().await.map_err(elb)?;
    let described = reply.tag_descriptions.unwrap_or_default().into_iter();
    let pairs = described.filter_map(|of| {
        let tags = tags::collect(of.tags(), |tag| (tag.key(), tag.value()));
        Some((of.resource_arn?, tags))
    });
    Ok(pairs.collect())
}

pub(super) async fn update(call: Call<'_>, arn: &str, wanted: &Wanted, changes: &[Change]) -> Result<()> {
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if !set.is_empty() {
        let request = call.clients.elb.add_tags().resource_arns(arn).set_tags(Some(tags::elb(&set)));
        request.send().await.map_err(elb)?;
    }
    if !remove.is_empty() {
        let request = call.clients.elb.remove_tags().resource_arns(arn).set_tag_keys(Some(remove));
        request.send().await.map_err(elb)?;
    }
    Ok(())
}
