//! What a version of a launch template says, in EC2's types and in ours.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    InstanceType, LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, LaunchTemplateTagSpecificationRequest,
    RequestLaunchTemplateData, ResourceType, ResponseLaunchTemplateData, VolumeType as SdkVolumeType,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use provision::resource::{LaunchTemplate, Metadata, Volume};
use spec::cluster::VolumeType;

use super::ec2_tags;
use crate::{call::int, tags};

/// What carries the instances' tags.
const TAGGED: [ResourceType; 3] = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface];

pub(super) fn write(template: &LaunchTemplate<String>) -> RequestLaunchTemplateData {
    let profile = LaunchTemplateIamInstanceProfileSpecificationRequest::builder().arn(&template.instance_profile);
    let specifications = TAGGED.iter().map(|of| {
        let tags = Some(tags::ec2(&template.instance_tags));
        LaunchTemplateTagSpecificationRequest::builder().resource_type(of.clone()).set_tags(tags).build()
    });
    RequestLaunchTemplateData::builder()
        .image_id(&template.image_id)
        .instance_type(InstanceType::from(template.instance_type.as_str()))
        .iam_instance_profile(profile.build())
        .network_interfaces(interface(template))
        .user_data(STANDARD.encode(&template.user_data))
        .block_device_mappings(mapping(&template.volume))
        .metadata_options(options(&template.metadata))
        .set_tag_specifications(Some(specifications.collect()))
        .build()
}

fn interface(template: &LaunchTemplate<String>) -> LaunchTemplateInstanceNetworkInterfaceSpecificationRequest {
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .associate_public_ip_address(template.public_ip)
        .delete_on_termination(true)
        .set_groups(Some(template.security_groups.iter().cloned().collect()))
        .build()
}

fn mapping(volume: &Volume) -> LaunchTemplateBlockDeviceMappingRequest {
    let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
        .volume_type(match volume.r#type {
            VolumeType::Gp2 => SdkVolumeType::Gp2,
            VolumeType::Gp3 => SdkVolumeType::Gp3,
            VolumeType::Io1 => SdkVolumeType::Io1,
        })
        .volume_size(int(volume.size_gib))
        .set_iops(volume.iops.map(int))
        .set_throughput(volume.throughput.map(int))
        .encrypted(volume.encrypted)
        .delete_on_termination(true);
    LaunchTemplateBlockDeviceMappingRequest::builder().device_name(&volume.device).ebs(ebs.build()).build()
}

fn options(metadata: &Metadata) -> LaunchTemplateInstanceMetadataOptionsRequest {
    let tokens = match metadata.tokens_required {
        true => LaunchTemplateHttpTokensState::Required,
        false => LaunchTemplateHttpTokensState::Optional,
    };
    LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(tokens)
        .http_put_response_hop_limit(metadata.hop_limit.into())
        .build()
}

pub(super) fn read(name: &str, data: &ResponseLaunchTemplateData) -> LaunchTemplate<String> {
    let interface = data.network_interfaces().first();
    let profile = data.iam_instance_profile();
    LaunchTemplate {
        name: name.to_owned(),
        image_id: data.image_id().unwrap_or_default().to_owned(),
        instance_type: data.instance_type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
        instance_profile: profile.and_then(|p| p.arn().or(p.name())).unwrap_or_default().to_owned(),
        security_groups: interface.map(|i| i.groups().iter().cloned().collect()).unwrap_or_default(),
        public_ip: interface
            .and_then(
                aws_sdk_ec2::types::LaunchTemplateInstanceNetworkInterfaceSpecification::associate_public_ip_address,
            )
            .unwrap_or_default(),
        user_data: text(data.user_data().unwrap_or_default()),
        volume: volume(data),
        metadata: metadata(data),
        instance_tags: instance_tags(data),
    }
}

/// What is not base64, or not text, is shown as it is: it differs from anything wanted.
fn text(base64: &str) -> String {
    let bytes = STANDARD.decode(base64).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| base64.to_owned())
}

fn volume(data: &ResponseLaunchTemplateData) -> Volume {
    let mapping = data.block_device_mappings().first();
    let ebs = mapping.and_then(|mapping| mapping.ebs());
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    Volume {
        device: mapping.and_then(|mapping| mapping.device_name()).unwrap_or_default().to_owned(),
        r#type: match ebs.and_then(|ebs| ebs.volume_type()) {
            Some(SdkVolumeType::Gp3) => VolumeType::Gp3,
            Some(SdkVolumeType::Io1) => VolumeType::Io1,
            _ => VolumeType::Gp2,
        },
        size_gib: number(ebs.and_then(aws_sdk_ec2::types::LaunchTemplateEbsBlockDevice::volume_size))
            .unwrap_or_default(),
        iops: number(ebs.and_then(aws_sdk_ec2::types::LaunchTemplateEbsBlockDevice::iops)),
        throughput: number(ebs.and_then(aws_sdk_ec2::types::LaunchTemplateEbsBlockDevice::throughput)),
        encrypted: ebs.and_then(aws_sdk_ec2::types::LaunchTemplateEbsBlockDevice::encrypted).unwrap_or_default(),
    }
}

fn metadata(data: &ResponseLaunchTemplateData) -> Metadata {
    let options = data.metadata_options();
    let tokens = options.and_then(|options| options.http_tokens());
    let hops = options.and_then(aws_sdk_ec2::types::LaunchTemplateInstanceMetadataOptions::http_put_response_hop_limit);
    Metadata {
        tokens_required: tokens == Some(&LaunchTemplateHttpTokensState::Required),
        hop_limit: hops.and_then(|hops| u8::try_from(hops).ok()).unwrap_or(1),
    }
}

/// Those that all of the three have; if they differ, none.
fn instance_tags(data: &ResponseLaunchTemplateData) -> BTreeMap<String, String> {
    let of = |kind: &ResourceType| {
        let specifications = data.tag_specifications().iter();
        let mut found = specifications.filter(|of| of.resource_type() == Some(kind));
        found.next().map(|of| ec2_tags::read(Some(of.tags()))).unwrap_or_default()
    };
    let [instance, volume, interface] = TAGGED.each_ref().map(of);
    if instance == volume && volume == interface { instance } else { BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_that_is_not_text_is_shown_as_it_is() {
        assert_eq!(text(&STANDARD.encode("#!/bin/sh\n")), "#!/bin/sh\n");
        assert_eq!(text("%%%"), "%%%");
    }
}
