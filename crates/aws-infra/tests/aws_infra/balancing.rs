use provision::resource::{
    HealthCheck, HealthProtocol, InternetGateway, Kind, Listener, LoadBalancer, Protocol, Resource, SecurityGroup,
    TargetGroup, Tls,
};
use spec::cluster::Scheme;

use crate::{
    bench::{Bench, key},
    network::{make_subnet, make_vpc},
};

pub fn target_group(name: &str, vpc: &str, port: u16) -> TargetGroup<String> {
    TargetGroup {
        name: name.to_owned(),
        vpc: vpc.to_owned(),
        protocol: Protocol::Tcp,
        port,
        deregistration_delay_s: 30,
        terminate_connections: true,
        preserve_client_ip: false,
        health_check: HealthCheck {
            protocol: HealthProtocol::Http,
            port: 8000,
            path: Some("/healthz".to_owned()),
            interval_s: 10,
            timeout_s: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 3,
        },
    }
}

async fn make_group(bench: &Bench, name: &str, vpc: &str) -> String {
    let group = SecurityGroup {
        vpc: vpc.to_owned(),
        name: name.to_owned(),
        description: "cortex: test".to_owned(),
        ingress: [].into(),
        egress: [].into(),
    };
    bench.create(&key(Kind::SecurityGroup, &[name]), Resource::SecurityGroup(group)).await.id
}

#[tokio::test]
async fn a_load_balancer_with_targets_and_listeners() {
    let bench = Bench::new("elb").await;
    let vpc = make_vpc(&bench).await;
    let gateway = Resource::InternetGateway(InternetGateway { vpc: Some(vpc.clone()) });
    bench.create(&key(Kind::InternetGateway, &[]), gateway).await;
    let subnets = [1, 2, 3].map(|number| make_subnet(&bench, &vpc, number));
    let subnets = futures_util::future::join_all(subnets).await;
    let groups = [make_group(&bench, "one", &vpc).await, make_group(&bench, "two", &vpc).await];
    let balancer = LoadBalancer {
        name: "cx-elb-shared-123456".to_owned(),
        scheme: Scheme::InternetFacing,
        vpc: vpc.clone(),
        subnets: subnets[..2].iter().cloned().collect(),
        security_groups: [groups[0].clone()].into(),
        cross_zone: true,
        deletion_protection: false,
    };
    let changed = vec![
        LoadBalancer { subnets: subnets[1..].iter().cloned().collect(), ..balancer.clone() },
        LoadBalancer { security_groups: groups.iter().cloned().collect(), ..balancer.clone() },
        LoadBalancer { cross_zone: false, ..balancer.clone() },
        LoadBalancer { deletion_protection: true, ..balancer.clone() },
    ];
    let changed = changed.into_iter().map(Resource::LoadBalancer).collect();
    let at = key(Kind::LoadBalancer, &["shared"]);
    let ids = bench.born(&at, Resource::LoadBalancer(balancer), changed).await;
    assert_eq!(
        Some(ids),
        bench.find(&at, Kind::LoadBalancer).await.map(|found| found.ids),
        "known from the first call"
    );

    let first = targets(&bench, &vpc).await;
    let second = target_group("cx-elb-b", &vpc, 9000);
    let second = bench.create(&key(Kind::TargetGroup, &["b"]), Resource::TargetGroup(second)).await.id;
    let arn = bench.find(&at, Kind::LoadBalancer).await.unwrap().ids.id;
    listeners(&bench, &arn, &first, &second).await;

    bench.gone(&at).await;
    assert_eq!(bench.observe(Kind::Listener).await, []);
    bench.gone(&key(Kind::TargetGroup, &["a"])).await;
    bench.gone(&key(Kind::TargetGroup, &["b"])).await;
}

async fn targets(bench: &Bench, vpc: &str) -> String {
    let group = target_group("cx-elb-a", vpc, 8443);
    let mut changed = vec![group.clone(); 5];
    changed[0].deregistration_delay_s = 60;
    changed[1].terminate_connections = false;
    changed[2].preserve_client_ip = true;
    changed[3].health_check.interval_s = 30;
    changed[4].health_check.path = Some("/ready".to_owned());
    let changed = changed.into_iter().map(Resource::TargetGroup).collect();
    bench.born(&key(Kind::TargetGroup, &["a"]), Resource::TargetGroup(group), changed).await.id
}

async fn listeners(bench: &Bench, balancer: &str, first: &str, second: &str) {
    let listener = |port, target_group: &str, tls| {
        Resource::Listener(Listener {
            load_balancer: balancer.to_owned(),
            port,
            tls,
            target_group: target_group.to_owned(),
        })
    };
    let acm = aws_sdk_acm::Client::new(&bench.config);
    let request = acm.request_certificate().domain_name("example.com").send().await.unwrap();
    let tls = Tls {
        certificate_arn: request.certificate_arn.unwrap(),
        policy: "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned(),
        alpn: "HTTP2Preferred".to_owned(),
    };
    let older = Tls { policy: "ELBSecurityPolicy-TLS13-1-2-Res-2021-06".to_owned(), ..tls.clone() };
    let at = key(Kind::Listener, &["443"]);
    let changed = vec![
        listener(443, second, None),
        listener(444, second, None),
        listener(444, second, Some(tls.clone())),
        listener(444, second, Some(older)),
    ];
    bench.born(&at, listener(443, first, None), changed).await;
    bench.life(&key(Kind::Listener, &["8443"]), listener(8443, first, Some(tls)), vec![]).await;
}
