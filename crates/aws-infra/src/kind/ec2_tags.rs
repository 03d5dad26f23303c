//! Tags of everything that EC2 keeps.

use aws_sdk_ec2::types::Tag;
use provision::cloud::{Change, Wanted};

use crate::{
    call::{Call, Result},
    classify::ec2,
    tags::{self, TagChanges, Tags},
};

pub(super) fn read(tags: Option<&[Tag]>) -> Tags {
    tags::collect(tags.unwrap_or_default(), |tag| (tag.key(), tag.value()))
}

pub(super) async fn update(call: Call<'_>, id: &str, wanted: &Wanted, changes: &[Change]) -> Result<()> {
    let TagChanges { set, remove } = TagChanges::of(changes, wanted);
    if !set.is_empty() {
        let request = call.clients.ec2.create_tags().resources(id).set_tags(Some(tags::ec2(&set)));
        request.send().await.map_err(ec2)?;
    }
    if !remove.is_empty() {
        let names = remove.iter().map(|name| Tag::builder().key(name).build()).collect();
        call.clients.ec2.delete_tags().resources(id).set_tags(Some(names)).send().await.map_err(ec2)?;
    }
    Ok(())
}
