//! Every rule of `cluster.yaml`: what it accepts, and what it refuses, where and as what.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use spec::cluster::{
    self, Aws, Certificate, Local, Nat, Provider, Role, SecurityGroup, Sharing, Visibility, VolumeType, Vpc,
};

const GROUP: &str = "instance_type: m5.large\n";
const CIDRS: &str =
    "api_load_balancer_cidr_white_list: [10.0.0.0/8]\noperator_load_balancer_cidr_white_list: [10.0.0.0/8]\n";
const SUBNETS: &str = "\
subnets:
- {availability_zone: us-east-1a, subnet_id: subnet-01234567}
- {availability_zone: us-east-1b, subnet_id: subnet-0123456789abcdef0}
";

fn local(fields: &str) -> Result<Local, String> {
    match cluster::parse("c", &format!("provider: local\n{fields}")) {
        Ok(cluster) => match cluster.provider {
            Provider::Local(local) => Ok(local),
            Provider::Aws(_) => panic!("it says local"),
        },
        Err(invalid) => Err(problems(&invalid)),
    }
}

fn aws(fields: &str) -> Result<Aws, String> {
    match cluster::parse("c", &format!("region: us-east-1\n{fields}")) {
        Ok(cluster) => match cluster.provider {
            Provider::Aws(aws) => Ok(*aws),
            Provider::Local(_) => panic!("aws is the default"),
        },
        Err(invalid) => Err(problems(&invalid)),
    }
}

/// `path kind` of every problem.
fn problems(invalid: &spec::Invalid) -> String {
    let lines = invalid.problems().iter().map(|p| format!("{} {}", p.path, p.kind.split_once('.').unwrap().1));
    lines.collect::<Vec<_>>().join(", ")
}

/// Rows of `fields -> problems`, an empty string for none.
fn table<T>(parse: fn(&str) -> Result<T, String>, before: &str, rows: &[(&str, &str)]) {
    for (fields, expected) in rows {
        let found = parse(&format!("{before}{fields}\n")).err().unwrap_or_default();
        assert_eq!(found, *expected, "{fields}");
    }
}

#[test]
fn names() {
    let long = |n: usize| format!("cluster_name: {}", "a".repeat(n));
    table(
        local,
        "",
        &[
            ("cluster_name: abc", ""),
            ("cluster_name: a-1-b", ""),
            (&long(54), ""),
            (&long(55), "cluster_name out_of_range"),
            ("cluster_name: ab", "cluster_name out_of_range"),
            ("cluster_name: a--b", "cluster_name invalid_value"),
            ("cluster_name: -ab", "cluster_name invalid_value"),
            ("cluster_name: ab-", "cluster_name invalid_value"),
            ("cluster_name: aBc", "cluster_name invalid_value"),
            ("cluster_name: a_c", "cluster_name invalid_value"),
            ("cluster_name: 123", "cluster_name wrong_type"),
            ("cluster_name: '123'", ""),
            ("cluster_name:", ""),
        ],
    );
    assert_eq!(cluster::parse("c", "provider: local").unwrap().name, "cortex");
}

#[test]
fn providers() {
    assert_eq!(cluster::parse("c", "provider: local").unwrap().provider.name(), "local");
    assert_eq!(cluster::parse("c", "provider: local").unwrap().provider, Provider::Local(Local::default()));
    assert!(matches!(aws(GROUP), Ok(Aws { .. })));
    for (text, expected) in [
        ("provider: gcp", "provider invalid_value"),
        ("provider: 1", "provider invalid_value"),
        ("provider: Local", "provider invalid_value"),
        ("provider: local\nregion: us-east-1", "region field_of_other_provider"),
        ("provider: aws\nregion: us-east-1\ninstance_type: m5.large\nlb_port: 1", "lb_port field_of_other_provider"),
    ] {
        assert_eq!(problems(&cluster::parse("c", text).unwrap_err()), expected, "{text}");
    }
}

#[test]
fn local_fields() {
    table(
        local,
        "",
        &[
            ("lb_port: 0\noperator_port: 0", ""),
            ("lb_port: 65535", ""),
            ("lb_port: 65536", "lb_port out_of_range"),
            ("lb_port: -1", "lb_port out_of_range"),
            ("lb_port: '443'", "lb_port wrong_type"),
            ("lb_port: 443.0", "lb_port wrong_type"),
            ("lb_port: 99999999999999999999", "lb_port wrong_type"),
            ("lb_port: 8888", "lb_port conflicting_fields"),
            ("operator_port: 8443", "operator_port conflicting_fields"),
            ("lb_port: 1\noperator_port: 1", "operator_port conflicting_fields"),
            ("listen_address: 0.0.0.0\noperator_listen_address: '::1'", ""),
            ("listen_address: localhost", "listen_address invalid_value"),
            ("listen_address: 127.0.0.1:80", "listen_address invalid_value"),
            ("host_names: [a, a.example, '*.example.com', 10.0.0.1, 'fe80::1']", ""),
            ("host_names: a", "host_names wrong_type"),
            ("host_names: [a_b]", "host_names[0] invalid_value"),
            ("host_names: ['*']", "host_names[0] invalid_value"),
            ("host_names: [a.1]", "host_names[0] invalid_value"),
            ("host_names: ['']", "host_names[0] invalid_value"),
            ("host_names: [a, A]", "host_names[1] duplicate_value"),
            ("host_names: [~]", "host_names[0] wrong_type"),
            ("python: python3.12", ""),
            ("python: /usr/bin/python3", ""),
            ("python: bin/python", "python invalid_value"),
            ("python: ''", "python invalid_value"),
            ("data_dir: /var/lib/cortex\nonnxruntime_library: /lib/x.so", ""),
            ("data_dir: data", "data_dir invalid_value"),
            ("onnxruntime_library: ~/x.so", "onnxruntime_library invalid_value"),
            ("cors_origin: '*'", "cors_origin removed_field"),
            ("cors: {}", "cors removed_field"),
            ("lb_port: default", ""),
            ("lb_port: Default", "lb_port wrong_type"),
            ("use_ssl: false", ""),
            ("use_ssl: 'no'", "use_ssl wrong_type"),
            ("use_ssl: true\ncertificate_path: tls/site.pem\ncertificate_is_self_signed: true", ""),
            ("certificate_path: /etc/ssl/site.pem", ""),
            ("certificate_path: ''", "certificate_path invalid_value"),
            ("certificate_path: ~/site.pem", "certificate_path invalid_value"),
            ("use_ssl: false\ncertificate_path: a.pem", "certificate_path conflicting_fields"),
            ("certificate_is_self_signed: true", "certificate_is_self_signed conflicting_fields"),
            ("certificate_is_self_signed: false", ""),
            ("use_ssl: false\noperator_port: 8080", "operator_port conflicting_fields"),
            ("use_ssl: false\noperator_port: 8443", ""),
            ("lb_port: default\noperator_port: 443", "operator_port conflicting_fields"),
            ("server_memory: 4096", "server_memory removed_field"),
            ("lbport: 1", "lbport unknown_field"),
        ],
    );
    for (fields, port) in [
        ("", 8443),
        ("use_ssl: false", 8080),
        ("lb_port: default", 443),
        ("lb_port: default\nuse_ssl: false", 80),
        ("lb_port: 1\nuse_ssl: false", 1),
    ] {
        assert_eq!(local(fields).unwrap().lb_port, port, "{fields}");
    }
    assert_eq!(local("host_names: [A.Example]").unwrap().host_names, ["a.example"]);
    assert_eq!(local("data_dir: /d").unwrap().data_dir, Some(PathBuf::from("/d")));
}

#[test]
fn regions_and_zones() {
    table(
        aws,
        GROUP,
        &[
            ("availability_zones: [us-east-1a, us-east-1b]", ""),
            ("availability_zones: [us-east-1a]", "availability_zones out_of_range"),
            ("availability_zones: [us-east-1a, us-east-1a]", "availability_zones[1] duplicate_value"),
            ("availability_zones: [us-east-1a, us-west-2a]", "availability_zones[1] conflicting_fields"),
            ("availability_zones: [us-east-1a, use1-az2]", "availability_zones[1] invalid_value"),
            ("availability_zones: [us-east-1a, us-west-2-lax-1a]", "availability_zones[1] invalid_value"),
            ("availability_zones: [us-east-1a, '']", "availability_zones[1] invalid_value"),
            ("availability_zones: [us-east-1a, é]", "availability_zones[1] invalid_value"),
        ],
    );
    for (region, expected) in [
        ("eu-central-1", ""),
        ("us-gov-west-1", ""),
        ("ap-southeast-7", ""),
        ("", "region invalid_value"),
        ("us-east-1a", "region invalid_value"),
        ("us-east", "region invalid_value"),
        ("US-EAST-1", "region invalid_value"),
        ("~", "region required_field"),
    ] {
        let text = format!("region: {}\n{GROUP}", if region.is_empty() { "''" } else { region });
        let found = cluster::parse("c", &text).err().map(|invalid| problems(&invalid)).unwrap_or_default();
        assert_eq!(found, expected, "{region}");
    }
    assert_eq!(problems(&cluster::parse("c", GROUP).unwrap_err()), " required_field");
}

#[test]
fn node_groups() {
    let many = format!("node_groups: [{}]", vec!["{instance_type: m5.large}"; 101].join(", "));
    let found = aws(&many).unwrap_err();
    assert!(found.contains("node_groups out_of_range"), "{found}");
    let group = |fields: &str| aws(&format!("node_groups: [{{name: a, instance_type: m5.large, {fields}}}]")).err();
    for (fields, expected) in [
        ("min_instances: 0", None),
        ("max_instances: 0", Some("max_instances out_of_range")),
        ("min_instances: -1", Some("min_instances out_of_range")),
        ("min_instances: 6", Some("min_instances conflicting_fields")),
        ("min_instances: 3, max_instances: 2", Some("max_instances conflicting_fields")),
        ("priority: 1", Some("priority not_supported_yet")),
        ("instance_volume_size: 30", None),
        ("instance_volume_size: 29", Some("instance_volume_size out_of_range")),
        ("instance_volume_size: 16385", Some("instance_volume_size out_of_range")),
        ("instance_volume_type: sc1", Some("instance_volume_type invalid_value")),
        ("instance_volume_type: gp4", Some("instance_volume_type invalid_value")),
        ("instance_volume_iops: 16000", None),
        ("instance_volume_iops: 2999", Some("instance_volume_iops out_of_range")),
        ("instance_volume_size: 30, instance_volume_iops: 15001", Some("instance_volume_iops conflicting_fields")),
        ("instance_volume_throughput: 750", None),
        ("instance_volume_throughput: 751", Some("instance_volume_throughput conflicting_fields")),
        ("instance_volume_throughput: 1001", Some("instance_volume_throughput out_of_range")),
        ("instance_volume_throughput: 1000, instance_volume_iops: 4000", None),
        ("instance_volume_type: gp2, instance_volume_iops: 3000", Some("instance_volume_iops conflicting_fields")),
        (
            "instance_volume_type: gp2, instance_volume_throughput: 125",
            Some("instance_volume_throughput conflicting_fields"),
        ),
        ("instance_volume_type: io1, instance_volume_iops: 2500", None),
        ("instance_volume_type: io1, instance_volume_iops: 2501", Some("instance_volume_iops conflicting_fields")),
        ("instance_volume_type: io1, instance_volume_iops: 99", Some("instance_volume_iops out_of_range")),
        ("spot: true, spot_config: {max_price: 0.05, on_demand_base_capacity: 5, instance_pools: 20}", None),
        ("spot_config: {}", Some("spot_config conflicting_fields")),
        ("spot: false, spot_config: {}", Some("spot_config conflicting_fields")),
        ("spot: true, spot_config: {max_price: 0}", Some("spot_config.max_price out_of_range")),
        ("spot: true, spot_config: {instance_pools: 21}", Some("spot_config.instance_pools out_of_range")),
        (
            "spot: true, spot_config: {on_demand_base_capacity: 6}",
            Some("spot_config.on_demand_base_capacity conflicting_fields"),
        ),
        (
            "spot: true, spot_config: {on_demand_percentage_above_base_capacity: 101}",
            Some("spot_config.on_demand_percentage_above_base_capacity out_of_range"),
        ),
        (
            "spot: true, spot_config: {instance_distribution: [m5.large, m5.large]}",
            Some("spot_config.instance_distribution[1] duplicate_value"),
        ),
        (
            "spot: true, spot_config: {instance_distribution: [m6g.large]}",
            Some("spot_config.instance_distribution[0] not_supported_yet"),
        ),
        ("spot: true, spot_config: {on_demand_backup: true}", Some("spot_config.on_demand_backup removed_field")),
    ] {
        assert_eq!(group(fields), expected.map(|problem| format!("node_groups[0].{problem}")), "{fields}");
    }
    table(
        aws,
        "",
        &[
            ("", " required_field"),
            ("node_groups:", "node_groups required_field"),
            ("node_groups: []", "node_groups out_of_range"),
            ("node_groups: [{name: a, instance_type: m5.large}]\nspot: true", "spot conflicting_fields"),
            (
                "node_groups: [{name: a, instance_type: m5.large}, {name: a, instance_type: m5.large}]",
                "node_groups[1].name duplicate_value",
            ),
            ("node_groups: [{name: -a, instance_type: m5.large}]", "node_groups[0].name invalid_value"),
            (
                "node_groups: [{name: abcdefghijklmnopqrstuvwxyzz, instance_type: m5.large}]",
                "node_groups[0].name out_of_range",
            ),
            ("node_groups: [{name: a}]", "node_groups[0] required_field"),
            (
                "node_groups: [{name: a, instance_type: m5.large, min_instances: 201, max_instances: 300}]",
                "node_groups out_of_range",
            ),
        ],
    );
}

#[test]
fn defaults_of_node_groups() {
    let flat =
        aws("instance_type: m5.large\nspot: true\ninstance_volume_type: io1\ninstance_volume_size: 40\n").unwrap();
    let group = &flat.node_groups[0];
    assert_eq!((group.name.as_str(), group.min_instances, group.max_instances), ("default", 1, 5));
    assert_eq!((group.volume.r#type, group.volume.iops, group.volume.throughput), (VolumeType::Io1, Some(2000), None));
    assert_eq!(group.spot.as_ref().unwrap().instance_distribution, ["m5.large"]);
    let spot = aws("instance_type: m5.large\nspot: true\nspot_config: {instance_distribution: [m5a.large]}\n").unwrap();
    let spot = spot.node_groups[0].spot.clone().unwrap();
    assert_eq!(
        (spot.instance_distribution, spot.instance_pools),
        (vec!["m5.large".to_owned(), "m5a.large".to_owned()], 2)
    );
}

#[test]
fn instance_types() {
    for (name, kind) in [
        ("m5.large", ""),
        ("c7i-flex.large", ""),
        ("g4dn.xlarge", ""),
        ("g5.xlarge", ""),
        ("p4d.24xlarge", ""),
        ("inf2.xlarge", ""),
        ("u-6tb1.metal", ""),
        ("m6g.large", "not_supported_yet"),
        ("c7gn.large", "not_supported_yet"),
        ("t4g.small", "not_supported_yet"),
        ("a1.large", "not_supported_yet"),
        ("t3.micro", "invalid_value"),
        ("t3.nano", "invalid_value"),
        ("m3.large", "invalid_value"),
        ("mac1.metal", "invalid_value"),
        ("f1.2xlarge", "invalid_value"),
        ("trn1.2xlarge", "invalid_value"),
        ("dl1.24xlarge", "invalid_value"),
        ("vt1.3xlarge", "invalid_value"),
        ("g4ad.xlarge", "invalid_value"),
        ("large", "invalid_value"),
        ("m5.", "invalid_value"),
        ("M5.Large", "invalid_value"),
        ("5m.large", "invalid_value"),
        ("é5.large", "invalid_value"),
    ] {
        let found = aws(&format!("instance_type: {name}\n")).err().unwrap_or_default();
        assert_eq!(found, if kind.is_empty() { String::new() } else { format!("instance_type {kind}") }, "{name}");
    }
}

#[test]
fn networks() {
    table(
        aws,
        GROUP,
        &[
            ("vpc_cidr: 10.0.0.0/16", ""),
            ("vpc_cidr: 10.0.0.0/24", ""),
            ("vpc_cidr: 10.0.0.0/15", "vpc_cidr out_of_range"),
            ("vpc_cidr: 10.0.0.0/25", "vpc_cidr out_of_range"),
            ("vpc_cidr: 10.0.0.1/16", "vpc_cidr invalid_value"),
            ("vpc_cidr: 10.0.0.0", "vpc_cidr invalid_value"),
            ("vpc_cidr: 127.0.0.0/16", "vpc_cidr invalid_value"),
            ("vpc_cidr: 224.0.0.0/16", "vpc_cidr invalid_value"),
            ("vpc_cidr: fd00::/16", "vpc_cidr not_supported_yet"),
            ("subnet_visibility: private\nnat_gateway: none", "nat_gateway conflicting_fields"),
            ("subnet_visibility: private\nnat_gateway: highly_available", ""),
            ("nat_gateway: none", ""),
            ("nat_gateway: single", "nat_gateway conflicting_fields"),
            ("subnet_visibility: privat", "subnet_visibility invalid_value"),
            (SUBNETS, ""),
            (
                &format!(
                    "{SUBNETS}nat_gateway: none\nsubnet_visibility: private\napi_load_balancer_scheme: internal\noperator_load_balancer_scheme: internal"
                ),
                "",
            ),
            (&format!("{SUBNETS}subnet_visibility: private"), "subnets conflicting_fields"),
            (&format!("{SUBNETS}subnet_visibility: private\nload_balancer_{SUBNETS}"), ""),
            (&format!("{SUBNETS}nat_gateway: single"), "nat_gateway conflicting_fields"),
            (&format!("{SUBNETS}vpc_cidr: 10.0.0.0/16"), "vpc_cidr conflicting_fields"),
            (
                &format!("{SUBNETS}availability_zones: [us-east-1a, us-east-1b]"),
                "availability_zones conflicting_fields",
            ),
            (&format!("load_balancer_{SUBNETS}"), "load_balancer_subnets conflicting_fields"),
            ("subnets: [{availability_zone: us-east-1a, subnet_id: subnet-01234567}]", "subnets out_of_range"),
            (&SUBNETS.replace("us-east-1b", "us-east-1a"), "subnets[1].availability_zone duplicate_value"),
            (&SUBNETS.replace("us-east-1b", "us-east-2b"), "subnets[1].availability_zone conflicting_fields"),
            (&SUBNETS.replace("subnet-01234567}", "subnet-0123456}"), "subnets[0].subnet_id invalid_value"),
            (&SUBNETS.replace("availability_zone: us-east-1a, ", ""), "subnets[0] required_field"),
        ],
    );
    let private = aws(&format!("{GROUP}subnet_visibility: private")).unwrap().network;
    assert_eq!(private.visibility, Visibility::Private);
    let Vpc::Own { cidr, nat_gateway, .. } = private.vpc else { panic!("no subnets were given") };
    assert_eq!((cidr.to_string().as_str(), nat_gateway), ("192.168.0.0/16", Nat::Single));
    let Vpc::Brought { subnets, load_balancer_subnets } = aws(&format!("{GROUP}{SUBNETS}")).unwrap().network.vpc else {
        panic!("subnets were given")
    };
    assert_eq!(subnets, load_balancer_subnets);
}

#[test]
fn load_balancers() {
    table(
        aws,
        GROUP,
        &[
            ("load_balancer: dedicated", ""),
            ("load_balancer: shared", ""),
            ("load_balancer: shared\napi_load_balancer_scheme: internal", "load_balancer conflicting_fields"),
            ("api_load_balancer_scheme: internal", ""),
            ("api_load_balancer_scheme: internet_facing", "api_load_balancer_scheme invalid_value"),
            ("api_load_balancer_cidr_white_list: []", "api_load_balancer_cidr_white_list out_of_range"),
            (
                "operator_load_balancer_cidr_white_list: [1.2.3.4/32, 1.2.3.4/32]",
                "operator_load_balancer_cidr_white_list[1] duplicate_value",
            ),
            (
                "operator_load_balancer_cidr_white_list: [1.2.3.4/33]",
                "operator_load_balancer_cidr_white_list[0] invalid_value",
            ),
            ("security_group: mine", "security_group conflicting_fields"),
            (&format!("{CIDRS}security_group: mine"), ""),
            (&format!("{CIDRS}security_group: sg-01234567"), ""),
            (&format!("{CIDRS}security_group: sg-x"), "security_group invalid_value"),
            (&format!("{CIDRS}security_group: default"), "security_group invalid_value"),
            (&format!("{CIDRS}security_group: 'a?'"), "security_group invalid_value"),
            ("api_load_balancer_type: nlb", "api_load_balancer_type removed_field"),
            ("ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/a-1", ""),
            (
                "ssl_certificate_arn: arn:aws:acm:us-east-2:123456789012:certificate/a-1",
                "ssl_certificate_arn conflicting_fields",
            ),
            (
                "ssl_certificate_arn: arn:aws:iam::123456789012:server-certificate/a",
                "ssl_certificate_arn invalid_value",
            ),
            ("ssl_certificate_path: a.pem\nssl_private_key_path: b.pem", ""),
            ("ssl_certificate_path: a.pem", "ssl_certificate_path conflicting_fields"),
            ("ssl_private_key_path: a.pem", "ssl_private_key_path conflicting_fields"),
            ("ssl_certificate_path: ~/a.pem\nssl_private_key_path: b.pem", "ssl_certificate_path invalid_value"),
            (
                "ssl_certificate_arn: arn:aws:acm:us-east-1:123456789012:certificate/a\nssl_certificate_path: a\nssl_private_key_path: b",
                "ssl_certificate_path conflicting_fields, ssl_private_key_path conflicting_fields",
            ),
            ("api_http: true", ""),
            ("api_http: on", "api_http wrong_type"),
        ],
    );
    assert_eq!(aws(GROUP).unwrap().load_balancers.sharing, Sharing::Shared);
    let differ = aws(&format!("{GROUP}api_load_balancer_scheme: internal")).unwrap();
    assert_eq!(differ.load_balancers.sharing, Sharing::Dedicated);
    let named = aws(&format!("{GROUP}{CIDRS}security_group: mine")).unwrap();
    assert_eq!(named.security_group, Some(SecurityGroup::Name("mine".into())));
    assert_eq!(named.certificate, Certificate::Cluster);
}

#[test]
fn access() {
    let rule = |principal: &str| format!("operator_access: [{{principal: '{principal}', role: read}}]");
    let principal = "operator_access[0].principal invalid_value";
    table(
        aws,
        GROUP,
        &[
            (&rule("arn:aws:iam::123456789012:user/ann"), ""),
            (&rule("arn:aws:iam::123456789012:role/team/deployers"), ""),
            (&rule("arn:aws:iam::123456789012:role/team-*"), ""),
            (&rule("arn:aws:iam::123456789012:user/team/*"), ""),
            (&rule("arn:aws:iam::123456789012:role/team/*"), principal),
            (&rule("arn:aws-us-gov:iam::123456789012:role/*"), ""),
            (&rule("arn:aws:iam::123456789012:role/a*b"), principal),
            (&rule("arn:aws:iam::*:role/a"), principal),
            (&rule("arn:aws:iam::123456789012:*"), principal),
            (&rule("arn:aws:iam::123456789012:root"), principal),
            (&rule("arn:aws:iam::123456789012:role/"), principal),
            (&rule("arn:aws:iam::123456789012:group/a"), principal),
            (&rule("arn:aws:sts::123456789012:assumed-role/a/b"), principal),
            (&rule("*"), principal),
            ("operator_access: []", "operator_access out_of_range"),
            ("operator_access: [{principal: 'arn:aws:iam::123456789012:user/a'}]", "operator_access[0] required_field"),
            ("operator_access: [{role: admin}]", "operator_access[0] required_field"),
            (
                "operator_access: [{principal: 'arn:aws:iam::123456789012:user/a', role: owner}]",
                "operator_access[0].role invalid_value",
            ),
            (
                "operator_access: [{principal: &p 'arn:aws:iam::123456789012:user/a', role: read}, {principal: *p, role: admin}]",
                "operator_access[1].principal duplicate_value",
            ),
            ("iam_policy_arns: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]", ""),
            ("iam_policy_arns: [arn:aws:iam::123456789012:policy/a/b]", ""),
            ("iam_policy_arns: [arn:aws:iam::aws:role/x]", "iam_policy_arns[0] invalid_value"),
            (
                "iam_policy_arns: [arn:aws:iam::aws:policy/x, arn:aws:iam::aws:policy/x]",
                "iam_policy_arns[1] duplicate_value",
            ),
            (
                &format!(
                    "iam_policy_arns: [{}]",
                    (0..11).map(|i| format!("arn:aws:iam::aws:policy/p{i}")).collect::<Vec<_>>().join(", ")
                ),
                "iam_policy_arns out_of_range",
            ),
        ],
    );
    let rules = aws(&format!("{GROUP}{}", rule("arn:aws:iam::123456789012:user/ann"))).unwrap().operator_access;
    assert_eq!(rules[0].role, Role::Read);
}

#[test]
fn tags_bucket_logs_and_control_plane() {
    table(
        aws,
        GROUP,
        &[
            ("tags: {team: ml, 'cost center': 'a/b+c=d@e'}", ""),
            ("tags: {'aws:x': y}", "tags.aws:x invalid_value"),
            ("tags: {'AWS:x': y}", "tags.AWS:x invalid_value"),
            ("tags: {cortex.dev/cluster-name: y}", "tags.cortex.dev/cluster-name invalid_value"),
            ("tags: {a: ' y'}", "tags.a invalid_value"),
            ("tags: {a: 'b;c'}", "tags.a invalid_value"),
            ("tags: {a: ''}", "tags.a out_of_range"),
            ("tags: {a: 1}", "tags.a wrong_type"),
            (&format!("tags: {{{}: x}}", "a".repeat(128)), &format!("tags.{} out_of_range", "a".repeat(128))),
            (
                &format!("tags: {{{}}}", (0..41).map(|i| format!("t{i}: x")).collect::<Vec<_>>().join(", ")),
                "tags out_of_range",
            ),
            ("bucket: my-bucket-1", ""),
            ("bucket: my.bucket", "bucket invalid_value"),
            ("bucket: My-bucket", "bucket invalid_value"),
            ("bucket: -bucket", "bucket invalid_value"),
            ("bucket: xn--bucket", "bucket invalid_value"),
            ("bucket: bucket-s3alias", "bucket invalid_value"),
            ("bucket: ab", "bucket invalid_value"),
            ("log_retention_days: 365", ""),
            ("log_retention_days: 31", "log_retention_days out_of_range"),
            ("control_plane: {instances: 5, instance_type: t3.medium}", ""),
            ("control_plane: {instances: 0}", "control_plane.instances out_of_range"),
            ("control_plane: {instances: 6}", "control_plane.instances out_of_range"),
            ("control_plane: {instance_type: t4g.small}", "control_plane.instance_type not_supported_yet"),
            ("image_istio_proxy: x", "image_istio_proxy removed_field"),
            ("prometheus_instance_type: t3.medium", "prometheus_instance_type removed_field"),
            ("api_gateway: none", "api_gateway removed_field"),
            ("telemetry: false", "telemetry wrong_type"),
            ("log_group: x", "log_group removed_field"),
            ("cidr_ip: 1.2.3.4/32", "cidr_ip removed_field"),
            ("spot: true\nspot_config: {on_demand_backup: true}", "spot_config.on_demand_backup removed_field"),
        ],
    );
    let defaults = aws(GROUP).unwrap();
    assert_eq!(defaults.log_retention_days, 30);
    assert_eq!((defaults.control_plane.instances, defaults.control_plane.instance_type.as_str()), (1, "t3.small"));
}

#[test]
fn credentials_come_in_pairs_and_stay_out_of_the_checked_json() {
    let id = "AKIAIOSFODNN7EXAMPLE";
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    for prefix in ["", "cortex_"] {
        let both = format!("{GROUP}{prefix}aws_access_key_id: {id}\n{prefix}aws_secret_access_key: {secret}\n");
        let parsed = cluster::parse("c", &format!("region: us-east-1\n{both}")).unwrap();
        let Provider::Aws(aws) = &parsed.provider else { panic!("aws is the default") };
        let found = if prefix.is_empty() { &aws.create_credentials } else { &aws.runtime_credentials };
        assert_eq!(found.as_ref().unwrap().secret_access_key.expose(), secret);
        assert!(!format!("{parsed:?}").contains(secret));
        let json = serde_json::to_string(&parsed).unwrap();
        assert!(!json.contains(secret) && !json.contains(id));
        let table_rows = [
            (format!("{prefix}aws_access_key_id: {id}"), format!("{prefix}aws_access_key_id conflicting_fields")),
            (
                format!("{prefix}aws_secret_access_key: {secret}"),
                format!("{prefix}aws_secret_access_key conflicting_fields"),
            ),
            (both.replace(GROUP, "").replace(id, "x"), format!("{prefix}aws_access_key_id invalid_value")),
            (both.replace(GROUP, "").replace("AKIA", "ASIA"), format!("{prefix}aws_access_key_id invalid_value")),
            (both.replace(GROUP, "").replace(secret, "short"), format!("{prefix}aws_secret_access_key invalid_value")),
        ];
        for (fields, expected) in table_rows {
            assert_eq!(self::aws(&format!("{GROUP}{fields}")).unwrap_err(), expected);
        }
    }
}

#[test]
fn checked_clusters_survive_json() {
    for text in [
        "provider: local\ndata_dir: /d\nhost_names: [a.example]\n".to_owned(),
        format!("region: us-east-1\n{GROUP}{CIDRS}{SUBNETS}security_group: mine\nspot: true\n"),
        format!("region: us-east-1\n{GROUP}ssl_certificate_path: a\nssl_private_key_path: b\ntags: {{a: b}}\n"),
    ] {
        let parsed = cluster::parse("c", &text).unwrap();
        let json = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<cluster::Cluster>(&json).unwrap(), parsed);
    }
}

#[test]
fn telemetry() {
    let rows: &[(&str, &str)] = &[
        ("{otlp_endpoint: 'http://localhost:4318'}", ""),
        ("{otlp_endpoint: 'https://[::1]:4318/path/'}", ""),
        ("{otlp_endpoint: 'http://10.0.0.1', traces_sampler: always_off}", ""),
        ("{otlp_endpoint: 'http://c', traces_sampler: parentbased_traceidratio, traces_sampler_arg: 0.25}", ""),
        ("{otlp_endpoint: 'http://c', traces_sampler: traceidratio, traces_sampler_arg: 1}", ""),
        ("{}", "telemetry required_field"),
        ("{otlp_endpoint: 'collector:4318'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'grpc://collector:4317'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://:4318'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://c:0'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://c:otlp'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://user:hunter2@c:4318'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://c:4318?key=hunter2'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://c:4318/v1/traces'}", "telemetry.otlp_endpoint invalid_value"),
        ("{otlp_endpoint: 'http://c', traces_sampler: jaeger_remote}", "telemetry.traces_sampler invalid_value"),
        ("{otlp_endpoint: 'http://c', traces_sampler_arg: 0.5}", "telemetry.traces_sampler_arg conflicting_fields"),
        (
            "{otlp_endpoint: 'http://c', traces_sampler: traceidratio, traces_sampler_arg: 1.5}",
            "telemetry.traces_sampler_arg out_of_range",
        ),
        ("{otlp_endpoint: 'http://c', headers: {a: b}}", "telemetry.headers unknown_field"),
        ("false", "telemetry wrong_type"),
    ];
    table(local, "telemetry: ", rows);
    table(aws, &format!("{GROUP}telemetry: "), rows);
    // Nobody reads a password in a message.
    let refused =
        cluster::parse("c", "provider: local\ntelemetry: {otlp_endpoint: 'http://user:hunter2@c'}").unwrap_err();
    let messages = refused.problems().iter().map(|problem| problem.message.clone()).collect::<String>();
    assert!(!messages.contains("hunter2"), "{messages}");

    let read = aws(&format!("{GROUP}telemetry: {{otlp_endpoint: 'http://c:4318'}}")).unwrap();
    let telemetry = read.telemetry.clone().unwrap();
    let told = (telemetry.otlp_endpoint, telemetry.traces_sampler.name(), telemetry.traces_sampler_arg);
    assert_eq!(told, ("http://c:4318".to_owned(), "parentbased_always_on", 1.0));
    // What is recorded of a cluster without is as it was.
    let without = serde_json::to_value(Aws { telemetry: None, ..read }).unwrap();
    assert!(without.get("telemetry").is_none(), "{without}");
    assert_eq!(serde_json::from_value::<Aws>(without).unwrap().telemetry, None);
}
