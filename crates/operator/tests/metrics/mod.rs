//! `GET /v1/metrics`.

use std::collections::BTreeSet;

use telemetry::{Samples, catalogue::operator as families};

use super::{Fixture, api};

#[tokio::test]
async fn tells_what_it_did_and_whom_it_could_not_ask() {
    let fixture = Fixture::start().await;
    let bundle = fixture.bundle(b"project").await;
    fixture.deploy(&bundle, vec![api("iris", 1)]).await.expect("it is taken");
    fixture.eventually("a replica", async |fixture| fixture.engine.started() == 1).await;
    fixture.engine.all_ready("iris");
    fixture.eventually("its route", async |fixture| fixture.routed("iris").await.len() == 1).await;
    let page = fixture.client.metrics().await.expect("an answer");
    let samples = Samples::parse(&page).expect("a page of metrics");
    let deploy = [("route", "POST /v1/deploy"), ("role", "admin"), ("code", "200")];
    assert_eq!(samples.sum(families::REQUESTS.name, &deploy), 1.0, "{page}");
    for (name, labels, value) in [
        (families::LEASE.name, vec![], 1.0),
        (families::APIS.name, vec![], 1.0),
        (families::WANTED.name, vec![("api", "iris")], 1.0),
        (families::REPLICAS.name, vec![("api", "iris"), ("phase", "ready")], 1.0),
        (families::RECONCILE_FAILURES.name, vec![], 0.0),
        // The engine of these tests has replicas of which there is only a description.
        (families::SCRAPED.name, vec![("target", "replica"), ("api", "iris")], 0.0),
    ] {
        assert_eq!(samples.sum(name, &labels), value, "{name}: {page}");
        assert_eq!(samples.of(name, &labels).count(), 1, "{name}: {page}");
    }
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let served: BTreeSet<_> = types.filter(|(name, _)| name.starts_with("cortex_")).collect();
    assert_eq!(served, families::ALL.iter().map(|family| (family.name, family.kind.name())).collect());
}
