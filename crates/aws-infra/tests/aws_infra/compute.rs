use std::collections::BTreeMap;

use provision::{
    cloud::ErrorKind,
    names::{self, CLUSTER_TAG},
    resource::{
        AutoScalingGroup, CapacityProvider, ClusterCapacity, EcsCluster, InstanceHealth, InstanceProfile, Kind,
        LaunchTemplate, Metadata, Mixed, Resource, SpotAllocation, Volume,
    },
};
use spec::cluster::VolumeType;

use crate::{
    balancing::target_group,
    bench::{Bench, key},
    iam::role,
    network::{make_subnet, make_vpc},
};

/// Of Amazon Linux 2023, as the emulator has it.
async fn image(bench: &Bench) -> String {
    let ssm = aws_sdk_ssm::Client::new(&bench.config);
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    ssm.get_parameter().name(name).send().await.unwrap().parameter.unwrap().value.unwrap()
}

async fn make_profile(bench: &Bench) -> String {
    let worker = role(bench, "worker");
    let (name, path) = (worker.name.clone(), worker.path.clone());
    bench.create(&key(Kind::Role, &["worker"]), Resource::Role(worker)).await;
    let profile = InstanceProfile { role: Some(name.clone()), name, path };
    bench.create(&key(Kind::InstanceProfile, &["worker"]), Resource::InstanceProfile(profile)).await.arn.unwrap()
}

async fn template(bench: &Bench, vpc_groups: &[String]) -> LaunchTemplate<String> {
    LaunchTemplate {
        name: names::regional(&bench.cluster, "node"),
        image_id: image(bench).await,
        instance_type: "m5.large".to_owned(),
        instance_profile: make_profile(bench).await,
        security_groups: vpc_groups.iter().cloned().collect(),
        public_ip: true,
        user_data: "#!/bin/sh\necho ünï\n".to_owned(),
        volume: Volume {
            device: "/dev/xvda".to_owned(),
            r#type: VolumeType::Gp3,
            size_gib: 30,
            iops: Some(3000),
            throughput: Some(125),
            encrypted: true,
        },
        metadata: Metadata { tokens_required: true, hop_limit: 1 },
        instance_tags: BTreeMap::from([
            (CLUSTER_TAG.to_owned(), bench.cluster.name.clone()),
            ("Name".to_owned(), "node".to_owned()),
        ]),
    }
}

async fn default_group(bench: &Bench, vpc: &str) -> String {
    let ec2 = aws_sdk_ec2::Client::new(&bench.config);
    let by_vpc = aws_sdk_ec2::types::Filter::builder().name("vpc-id").values(vpc).build();
    let reply = ec2.describe_security_groups().filters(by_vpc).send().await.unwrap();
    reply.security_groups.unwrap()[0].group_id().unwrap().to_owned()
}

#[tokio::test]
async fn a_launch_template() {
    let bench = Bench::new("ec2-template").await;
    let vpc = make_vpc(&bench).await;
    let group = default_group(&bench, &vpc).await;
    let made = template(&bench, std::slice::from_ref(&group)).await;
    let mut changed = vec![made.clone(); 8];
    changed[0].image_id = "ami-00000000".to_owned();
    changed[1].instance_type = "m5.xlarge".to_owned();
    changed[2].public_ip = true;
    changed[2].security_groups = ["sg-00000000".to_owned()].into();
    changed[3].user_data = "#!/bin/sh\n".to_owned();
    changed[4].volume.size_gib = 50;
    changed[4].volume.iops = Some(4000);
    changed[5].volume = Volume { r#type: VolumeType::Gp2, iops: None, throughput: None, ..made.volume.clone() };
    changed[6].metadata.hop_limit = 2;
    changed[7].instance_tags.insert("team".to_owned(), "ml".to_owned());
    let changed = changed.into_iter().map(Resource::LaunchTemplate).collect();
    bench.life(&key(Kind::LaunchTemplate, &["node"]), Resource::LaunchTemplate(made), changed).await;
}

fn group(bench: &Bench, template: &str, subnets: &[String]) -> AutoScalingGroup<String> {
    AutoScalingGroup {
        name: names::regional(&bench.cluster, "node"),
        launch_template: template.to_owned(),
        subnets: subnets.iter().cloned().collect(),
        min: 1,
        max: 3,
        desired: Some(1),
        target_groups: [].into(),
        health_check: InstanceHealth::Ec2,
        health_check_grace_s: 300,
        mixed: None,
        capacity_rebalance: false,
        protect_from_scale_in: true,
    }
}

fn mixed() -> Mixed {
    Mixed {
        instance_types: vec!["m5.large".to_owned(), "m5a.large".to_owned()],
        on_demand_base_capacity: 0,
        on_demand_percentage_above_base_capacity: 10,
        spot_allocation: SpotAllocation::LowestPrice,
        spot_instance_pools: Some(2),
        spot_max_price: Some("0.05".to_owned()),
    }
}

#[tokio::test]
async fn a_group_and_its_instances() {
    let bench = Bench::new("ec2-group").await;
    let vpc = make_vpc(&bench).await;
    let subnets = [make_subnet(&bench, &vpc, 1).await, make_subnet(&bench, &vpc, 2).await];
    let security = default_group(&bench, &vpc).await;
    let made = template(&bench, &[security]).await;
    let template = bench.create(&key(Kind::LaunchTemplate, &["node"]), Resource::LaunchTemplate(made)).await.id;
    let targets = target_group("cx-ec2-group", &vpc, 8443);
    let targets = bench.create(&key(Kind::TargetGroup, &["a"]), Resource::TargetGroup(targets)).await.id;

    let made = group(&bench, &template, &subnets);
    let mut changed = vec![made.clone(); 7];
    changed[0].subnets = [subnets[0].clone()].into();
    changed[1].min = 2;
    changed[1].max = 5;
    changed[2].target_groups = [targets].into();
    changed[3].health_check = InstanceHealth::Elb;
    changed[3].health_check_grace_s = 60;
    changed[4].mixed = Some(mixed());
    changed[5].mixed = Some(Mixed { spot_max_price: None, on_demand_base_capacity: 1, ..mixed() });
    changed[6].capacity_rebalance = true;
    changed[6].protect_from_scale_in = false;
    let changed = changed.into_iter().map(Resource::AutoScalingGroup).collect();
    let at = key(Kind::AutoScalingGroup, &["node"]);
    let ids = bench.born(&at, Resource::AutoScalingGroup(made), changed).await;
    assert_eq!(Some(ids), bench.find(&at, Kind::AutoScalingGroup).await.map(|found| found.ids));

    let instances = bench.observe(Kind::Instance).await;
    assert!(!instances.is_empty());
    assert!(instances.iter().all(|found| found.key.as_str() == format!("instance/{}", found.ids.id)));
    bench.gone(&at).await;
    // AWS ends them with the group, in its own time.
    for instance in bench.observe(Kind::Instance).await {
        bench.gone(&instance.key).await;
    }
}

/// Two, with nothing in them.
async fn make_groups(bench: &Bench) -> [String; 2] {
    let vpc = make_vpc(bench).await;
    let subnets = [make_subnet(bench, &vpc, 1).await, make_subnet(bench, &vpc, 2).await];
    let security = default_group(bench, &vpc).await;
    let made = template(bench, &[security]).await;
    let template = bench.create(&key(Kind::LaunchTemplate, &["node"]), Resource::LaunchTemplate(made)).await.id;
    let mut arns = ["a", "b"].map(str::to_owned);
    for arn in &mut arns {
        let name = names::regional(&bench.cluster, arn);
        let made = AutoScalingGroup { name, min: 0, desired: Some(0), ..group(bench, &template, &subnets) };
        let at = key(Kind::AutoScalingGroup, &[arn]);
        *arn = bench.create(&at, Resource::AutoScalingGroup(made)).await.arn.unwrap();
    }
    arns
}

#[tokio::test]
async fn ecs() {
    let bench = Bench::new("ecs").await;
    let cluster = |container_insights| {
        let name = names::ecs_cluster(&bench.cluster);
        Resource::EcsCluster(EcsCluster { name, container_insights })
    };
    let at = key(Kind::EcsCluster, &[]);
    bench.born(&at, cluster(false), vec![cluster(true)]).await;

    let groups = make_groups(&bench).await;
    let provider = |name: &str, percent| CapacityProvider {
        name: names::regional(&bench.cluster, name),
        auto_scaling_group: groups[usize::from(name == "b")].clone(),
        target_capacity_percent: percent,
        instance_warmup_s: 60,
        termination_protection: true,
        managed_draining: true,
    };
    let made = provider("a", 100);
    let changed = vec![
        provider("a", 80),
        CapacityProvider { instance_warmup_s: 120, ..made.clone() },
        CapacityProvider { termination_protection: false, ..made.clone() },
        CapacityProvider { managed_draining: false, ..made.clone() },
    ];
    let changed = changed.into_iter().map(Resource::CapacityProvider).collect();
    bench.born(&key(Kind::CapacityProvider, &["a"]), Resource::CapacityProvider(made), changed).await;
    let other = Resource::CapacityProvider(provider("b", 100));
    bench.create(&key(Kind::CapacityProvider, &["b"]), other).await;

    let capacity = |names: &[&str]| {
        Resource::ClusterCapacity(ClusterCapacity {
            cluster: names::ecs_cluster(&bench.cluster),
            providers: names.iter().map(|name| names::regional(&bench.cluster, name)).collect(),
        })
    };
    let has = key(Kind::ClusterCapacity, &[]);
    bench.life(&has, capacity(&["a"]), vec![capacity(&["a", "b"]), capacity(&["b"])]).await;
    bench.create(&has, capacity(&["a", "b"])).await;
    // With its place in the cluster.
    bench.gone(&key(Kind::CapacityProvider, &["a"])).await;
    bench.gone(&key(Kind::CapacityProvider, &["b"])).await;
    assert_eq!(bench.find(&has, Kind::ClusterCapacity).await, None);
    grown(&bench).await;
    bench.gone(&at).await;
}

/// What the operator makes.
async fn grown(bench: &Bench) {
    use aws_sdk_ecs::types::{ContainerDefinition, Tag};
    let ecs = aws_sdk_ecs::Client::new(&bench.config);
    let (family, cluster) = (names::regional(&bench.cluster, "api-a"), names::ecs_cluster(&bench.cluster));
    let tag = || Tag::builder().key(CLUSTER_TAG).value(&bench.cluster.name).build();
    for image in ["one", "two", "three"] {
        let container = ContainerDefinition::builder().name("main").image(image).memory(64).build();
        let request = ecs.register_task_definition().family(&family).container_definitions(container);
        request.tags(tag()).send().await.unwrap();
    }
    ecs.deregister_task_definition().task_definition(format!("{family}:1")).send().await.unwrap();
    for number in 0..12 {
        let request = ecs.create_service().cluster(&cluster).service_name(format!("api-{number}"));
        request.task_definition(&family).desired_count(0).tags(tag()).send().await.unwrap();
    }
    let request = ecs.create_service().cluster(&cluster).service_name("theirs");
    request.task_definition(&family).desired_count(0).send().await.unwrap();

    let services = bench.observe(Kind::EcsService).await;
    assert_eq!(services.len(), 12);
    for service in &services {
        bench.gone(&service.key).await;
    }
    ecs.delete_service().cluster(&cluster).service("theirs").force(true).send().await.unwrap();
    let families = bench.observe(Kind::TaskDefinition).await;
    assert_eq!(families.iter().map(|found| found.ids.id.as_str()).collect::<Vec<_>>(), [family]);
    bench.gone(&families[0].key).await;
}

#[tokio::test]
async fn a_second_template_of_that_name_is_refused() {
    use provision::cloud::Cloud as _;
    let bench = Bench::new("ec2-twice").await;
    let vpc = make_vpc(&bench).await;
    let group = default_group(&bench, &vpc).await;
    let made = Resource::LaunchTemplate(template(&bench, &[group]).await);
    bench.create(&key(Kind::LaunchTemplate, &["node"]), made.clone()).await;
    let wanted = bench.wanted(&key(Kind::LaunchTemplate, &["node"]), made);
    let error = bench.cloud.create(&bench.cluster, &wanted).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists, "{error:?}");
}
