//! Rows 3 and 4: hosts come from a table, and a region's name is compared to the letter.

use identity::sts::{Partition, Region};

#[test]
fn row_03_every_region_has_the_host_that_aws_documents() {
    for (name, partition, host) in [
        ("us-east-1", Partition::Aws, "sts.us-east-1.amazonaws.com"),
        ("eu-central-2", Partition::Aws, "sts.eu-central-2.amazonaws.com"),
        ("cn-north-1", Partition::AwsCn, "sts.cn-north-1.amazonaws.com.cn"),
        ("cn-northwest-1", Partition::AwsCn, "sts.cn-northwest-1.amazonaws.com.cn"),
        ("us-gov-west-1", Partition::AwsUsGov, "sts.us-gov-west-1.amazonaws.com"),
    ] {
        let region = Region::named(name).expect(name);
        assert_eq!((region.sts_host().as_str(), region.partition()), (host, partition));
    }
    assert_eq!(Region::all().count(), 40);
    for region in Region::all() {
        assert_eq!(Region::named(region.name()), Some(region), "no name is in two partitions");
        let host = region.sts_host();
        let suffix = if region.partition() == Partition::AwsCn { ".amazonaws.com.cn" } else { ".amazonaws.com" };
        assert_eq!(host.strip_prefix("sts.").and_then(|rest| rest.strip_suffix(suffix)), Some(region.name()));
    }
}

#[test]
fn row_04_nothing_else_is_a_region() {
    for wrong in [
        "",
        ".",
        "..",
        "us-east-1.",
        ".us-east-1",
        "US-EAST-1",
        "us-east-1 ",
        "us-east-11",
        "us-attacker-1",
        "us-not-real-1",
        "us-east-1.attacker",
        "us-east-1.amazonaws.com",
        "us-east-1.amazonaws.com.evil.example#",
        "us-east-1:8443",
        "user@us-east-1",
        "us-east-1/../x",
        "us-east-1%2e",
        "us-east-1\n",
        "us-east-1\0",
        "127.0.0.1",
        "[::1]",
        "💩",
        "ｕs-east-1",
        "aws-global",
        "us-iso-east-1",
        "sts",
        "us-gov",
        "cn-north-1.amazonaws.com.cn",
        "fips",
    ] {
        assert_eq!(Region::named(wrong), None, "{wrong:?}");
    }
}
