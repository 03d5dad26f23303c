//! What is told, and what is left, when things go wrong for good.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use provision::{
    cloud::{Change, Cloud, CloudError, ClusterId, ErrorKind, Ids, Observed, Wanted},
    destroy::destroy,
    execute::{Event, Outcome, Report, Settings, execute},
    resource::Kind,
    sim::{SimCloud, SimOptions},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::ground::{PUBLIC, spec};

/// The simulation, but calls of some kinds fail.
struct Failing {
    cloud: SimCloud,
    create: Vec<(Kind, ErrorKind)>,
    delete: Vec<(Kind, ErrorKind)>,
    observe: Vec<(Kind, ErrorKind)>,
}

impl Failing {
    fn new() -> Self {
        let cloud = SimCloud::new(SimOptions::kind(0));
        Self { cloud, create: Vec::new(), delete: Vec::new(), observe: Vec::new() }
    }
}

fn fail(list: &[(Kind, ErrorKind)], kind: Kind) -> Result<(), CloudError> {
    match list.iter().find(|(of, _)| *of == kind) {
        Some((_, error)) => Err(CloudError::new(error.clone(), "no")),
        None => Ok(()),
    }
}

#[async_trait]
impl Cloud for Failing {
    async fn observe(&self, cluster: &ClusterId, kind: Kind) -> Result<Vec<Observed>, CloudError> {
        fail(&self.observe, kind)?;
        self.cloud.observe(cluster, kind).await
    }

    async fn create(&self, cluster: &ClusterId, wanted: &Wanted) -> Result<Ids, CloudError> {
        fail(&self.create, wanted.resource.kind())?;
        self.cloud.create(cluster, wanted).await
    }

    async fn update(&self, id: &ClusterId, is: &Observed, wanted: &Wanted, by: &[Change]) -> Result<(), CloudError> {
        self.cloud.update(id, is, wanted, by).await
    }

    async fn delete(&self, cluster: &ClusterId, what: &Observed) -> Result<(), CloudError> {
        fail(&self.delete, what.kind)?;
        self.cloud.delete(cluster, what).await
    }
}

async fn up(cloud: &Failing, cancel: &CancellationToken) -> Report {
    let plan = spec(PUBLIC).plan(&cloud.cloud, "1").await.unwrap();
    execute(&plan, cloud, &Settings::new(1), &|_: Event| {}, cancel).await
}

fn denied(action: &str) -> ErrorKind {
    ErrorKind::Denied { action: action.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_failed_is_skipped_and_the_rest_is_done() {
    let mut cloud = Failing::new();
    cloud.create = vec![(Kind::LaunchTemplate, denied("ec2:CreateLaunchTemplate"))];
    let report = up(&cloud, &CancellationToken::new()).await;
    assert!(!report.is_complete());
    for step in &report.steps {
        let expected = match step.kind {
            Kind::LaunchTemplate => {
                matches!(&step.outcome, Outcome::Failed { error } if error.kind == denied("ec2:CreateLaunchTemplate"))
            }
            Kind::AutoScalingGroup | Kind::CapacityProvider | Kind::ClusterCapacity => {
                matches!(&step.outcome, Outcome::Skipped { because } if because.as_str().starts_with("launch-template"))
            }
            _ => step.outcome == Outcome::Done,
        };
        assert!(expected, "{}: {:?}", step.key, step.outcome);
    }
    assert!(
        report.to_string().contains("not done: create cluster-capacity (needs launch-template/node/cpu)"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_stop_everything() {
    let mut cloud = Failing::new();
    cloud.create = vec![(Kind::Subnet, ErrorKind::CredentialsExpired)];
    let report = up(&cloud, &CancellationToken::new()).await;
    assert_eq!(report.stopped.as_ref().map(|error| &error.kind), Some(&ErrorKind::CredentialsExpired));
    assert!(report.took < Duration::from_secs(10), "{:?}", report.took);
    // What was made by then is known.
    assert!(report.exists.keys().any(|key| key.as_str() == "vpc"), "{report}");
    assert_eq!(report.exists.len(), cloud.cloud.inventory().len(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_gone_is_given_up_soon() {
    let mut cloud = Failing::new();
    let kinds = Kind::WANTED.iter().map(|kind| (*kind, ErrorKind::Unavailable));
    (cloud.create, cloud.observe) = (kinds.clone().collect(), kinds.collect());
    let report = up(&cloud, &CancellationToken::new()).await;
    assert!(report.stopped.is_some());
    assert!(report.took < Duration::from_secs(180), "{:?}", report.took);
}

#[tokio::test(start_paused = true)]
async fn cancelled_it_finishes_what_is_in_flight_and_goes_on_later() {
    for after_ms in [0, 700, 1500, 4000, 9000, 30_000, 100_000] {
        let cloud = Failing::new();
        let cancel = CancellationToken::new();
        let later = async {
            sleep(Duration::from_millis(after_ms)).await;
            cancel.cancel();
            Instant::now()
        };
        let (report, cancelled) = tokio::join!(up(&cloud, &cancel), later);
        assert!(cancelled.elapsed() < Duration::from_secs(12), "{:?}", cancelled.elapsed());
        assert!(!report.is_complete());
        assert!(report.stopped.is_none());
        let instances = cloud.cloud.inventory().iter().filter(|thing| thing.starts_with("instance ")).count();
        assert_eq!(report.exists.len() + instances, cloud.cloud.inventory().len(), "{after_ms}: {report}");

        let report = up(&cloud, &CancellationToken::new()).await;
        assert!(report.is_complete(), "{report}");
    }
}

/// Somebody died after making a VPC that was not seen in time.
#[tokio::test(start_paused = true)]
async fn what_exists_twice_is_not_complete() {
    let cloud = SimCloud::new(SimOptions { lag: Duration::from_secs(20), ..SimOptions::kind(1) });
    let spec = spec(PUBLIC);
    cloud.crash_at(1, provision::sim::Crash::After);
    tokio::select! {
        _ = spec.up(&cloud) => panic!("did not die"),
        () = cloud.crashed() => cloud.revive(),
    }
    let report = spec.up(&cloud).await;
    let told = report.to_string();
    assert!(!report.is_complete() && report.remaining().next().is_none(), "{told}");
    assert!(told.contains("an earlier attempt has made one too"), "{told}");
    let plan = spec.plan(&cloud, "1").await.unwrap();
    assert_eq!(plan.counts().delete, 1, "{plan}");
    assert!(crate::ground::run(&plan, &cloud).await.is_complete());
    sleep(Duration::from_secs(60)).await;
    assert!(spec.plan(&cloud, "1").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn progress_is_told() {
    let mut cloud = Failing::new();
    cloud.cloud = SimCloud::new(SimOptions { throttled: 0.1, ..SimOptions::kind(0) });
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let plan = spec(PUBLIC).plan(&cloud.cloud, "1").await.unwrap();
    let note = |event: Event| events.lock().unwrap().push(event);
    let report = execute(&plan, &cloud, &Settings::new(1), &note, &CancellationToken::new()).await;
    assert!(report.is_complete());
    let events = events.lock().unwrap();
    let count = |of: fn(&Event) -> bool| events.iter().filter(|event| of(event)).count();
    assert_eq!(count(|e| matches!(e, Event::Started { .. })), plan.steps().len());
    assert_eq!(count(|e| matches!(e, Event::Done { .. })), plan.steps().len());
    assert!(events.iter().any(|e| matches!(e, Event::Ready { kind: Kind::LoadBalancer, .. })));
    let throttled = |e: &Event| matches!(e, Event::Retrying { error, .. } if error.kind == ErrorKind::Throttled);
    assert!(events.iter().any(throttled));
}

async fn down(cloud: &Failing, keep: &[Kind]) -> provision::destroy::Destroyed {
    let keep: BTreeSet<Kind> = keep.iter().copied().collect();
    let never = CancellationToken::new();
    destroy(cloud, &spec(PUBLIC).id(), &keep, &Settings::new(1), &|_: Event| {}, &never).await
}

#[tokio::test(start_paused = true)]
async fn down_says_what_remains_and_why() {
    let mut cloud = Failing::new();
    assert!(up(&cloud, &CancellationToken::new()).await.is_complete());
    cloud.delete = vec![(Kind::LoadBalancer, denied("elasticloadbalancing:DeleteLoadBalancer"))];
    let destroyed = down(&cloud, &[]).await;
    assert!(!destroyed.is_complete());
    let left: BTreeSet<String> = destroyed.remaining.iter().map(|left| left.kind.to_string()).collect();
    let expected = ["bucket", "internet-gateway", "load-balancer", "security-group", "subnet", "target-group", "vpc"];
    assert_eq!(left, expected.map(str::to_owned).into());
    for left in &destroyed.remaining {
        match left.kind {
            Kind::LoadBalancer => assert!(left.error.is_some() && left.blocked_by.is_empty(), "{left:?}"),
            _ => assert!(left.error.is_none() && !left.blocked_by.is_empty(), "{left:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn down_can_keep_data() {
    let cloud = Failing::new();
    assert!(up(&cloud, &CancellationToken::new()).await.is_complete());
    let destroyed = down(&cloud, &[Kind::Bucket, Kind::LogGroup]).await;
    assert!(destroyed.is_complete(), "{destroyed}");
    let kinds: BTreeSet<String> =
        cloud.cloud.inventory().iter().filter_map(|thing| thing.split(' ').next().map(str::to_owned)).collect();
    assert_eq!(kinds, BTreeSet::from(["bucket", "log-group", "object"].map(str::to_owned)));
}

#[tokio::test(start_paused = true)]
async fn down_does_not_pretend_to_know_what_it_may_not_see() {
    let mut cloud = Failing::new();
    cloud.observe = vec![(Kind::Role, denied("iam:ListRoles"))];
    let destroyed = down(&cloud, &[]).await;
    assert!(!destroyed.is_complete());
    assert!(destroyed.to_string().contains("not known: whether there is any role"), "{destroyed}");
}
