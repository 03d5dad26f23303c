//! What a cluster tells those who watch it, read as they do: by Prometheus' own parser, and by the queries of the dashboard.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use regex::Regex;
use serde_json::{Value, json};
use telemetry::{Family, catalogue};
use testkit::{Answer, Cluster, Version, eventually, interpreter, project, raw};

/// Adds one, or raises, or takes its process with it.
const MOODY: &str = "import os

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if payload == 'die':
            os._exit(1)
        return payload + 1
";

/// What Prometheus makes of a page.
fn parsed(page: &str) -> BTreeMap<String, Value> {
    let script = project::repository("tests/python/parse_metrics.py");
    let mut child = Command::new(interpreter())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the interpreter runs");
    child.stdin.take().expect("it is piped").write_all(page.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The sum of the samples of that name with those labels.
fn sum(page: &BTreeMap<String, Value>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = page.values().flat_map(|family| family["samples"].as_array().expect("a list"));
    let named = samples.filter(|sample| sample[0] == name);
    let mine = named.filter(|sample| labels.iter().all(|(label, value)| sample[1][*label] == *value));
    mine.map(|sample| sample[2].as_f64().expect("a number")).fold(0.0, |sum, value| sum + value)
}

async fn get(cluster: &Cluster, url: &str, key: &str, headers: &[(&str, &str)]) -> Answer {
    let request = raw(&cluster.ca, Version::Http2).get(url).bearer_auth(key);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::of(request).await.expect("an answer")
}

/// A cluster with an API of each kind, and one of each thing that can happen to a request.
async fn busy() -> Cluster {
    let cluster = Cluster::up();
    cluster.deploy(&project::python(&cluster.cortex, "moody", MOODY, &project::replicas(2)));
    cluster.deploy(project::repository("examples/digits/cortex.yaml").to_str().expect("UTF-8"));
    let mut client = cluster.client();
    for _ in 0..4 {
        assert_eq!(client.predict("/moody", &json!(1)).await, json!(2));
    }
    client.predict("/digits", &json!({ "pixels": [vec![0; 64]] })).await;
    assert_eq!(client.post("/moody", &json!({})).await.status, 500);
    assert_eq!(client.post("/moody", &json!("die")).await.status, 502);
    assert_eq!(client.post("/nobody", &json!(1)).await.status, 404);
    client.key = "ctxapi_wrong".to_owned();
    assert_eq!(client.post("/moody", &json!(1)).await.status, 401);
    cluster
}

/// What the operator tells, once all that was sent has been counted.
async fn told(cluster: &Cluster) -> BTreeMap<String, Value> {
    eventually("everything is counted", async || {
        let page = parsed(&cluster.run(&["metrics", "--raw"]).ok().stdout);
        let requests = sum(&page, "cortex_gateway_requests_total", &[]);
        let replaced = sum(&page, "cortex_replica_workers_replaced_total", &[]);
        if (requests, replaced) == (9.0, 1.0) {
            Ok(page)
        } else {
            Err(format!("{requests} requests, {replaced} replaced"))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_told_by_operator_gateway_and_command() {
    let cluster = busy().await;
    let page = told(&cluster).await;
    for (name, labels, value) in [
        ("cortex_gateway_requests_total", vec![("api", "moody"), ("code", "200")], 4.0),
        ("cortex_gateway_requests_total", vec![("api", "moody"), ("code", "500")], 1.0),
        ("cortex_gateway_requests_total", vec![("api", "digits"), ("code", "200")], 1.0),
        ("cortex_gateway_errors_total", vec![("kind", "unauthenticated"), ("cause", "client")], 1.0),
        ("cortex_gateway_request_duration_seconds_count", vec![("api", "moody")], 6.0),
        ("cortex_replica_requests_total", vec![("api", "moody"), ("outcome", "ok")], 4.0),
        ("cortex_replica_requests_total", vec![("api", "moody"), ("outcome", "predictor_raised")], 1.0),
        ("cortex_replica_requests_total", vec![("api", "digits"), ("outcome", "ok")], 1.0),
        ("cortex_replica_info", vec![("api", "digits"), ("type", "onnx")], 1.0),
        ("cortex_operator_replicas", vec![("api", "moody"), ("phase", "ready")], 2.0),
        ("cortex_operator_scraped", vec![], 4.0),
        ("cortex_operator_lease_held", vec![], 1.0),
    ] {
        assert_eq!(sum(&page, name, &labels), value, "{name} {labels:?}: {:#?}", page.get(name));
    }
    for process in ["operator", "gateway", "replica"] {
        let memory = sum(&page, "process_resident_memory_bytes", &[("process", process)]);
        assert!(memory > 1e6, "{process}: {memory}");
    }

    let gateway = format!("{}/metrics", cluster.api_endpoint);
    let key = cluster.run(&["api-key", "create", "prometheus", "--kind", "monitor"]).ok().stdout.trim().to_owned();
    let own = eventually("the gateway knows the key", async || {
        let answer = get(&cluster, &gateway, &key, &[]).await;
        if answer.status == 200 { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
    .await;
    let own = parsed(std::str::from_utf8(&own.body).expect("UTF-8"));
    assert_eq!(sum(&own, "cortex_gateway_requests_total", &[("api", "moody"), ("code", "500")]), 1.0);
    assert_eq!(get(&cluster, &gateway, &cluster.key, &[]).await.status, 404);
    // Nor is there a way through the gateway to a replica's own.
    let replica = format!("{}/moody/metrics", cluster.api_endpoint);
    assert_eq!(get(&cluster, &replica, &cluster.key, &[(telemetry::SCRAPE_HEADER, "1")]).await.status, 405);

    let summary = cluster.run(&["metrics", "moody", "-o", "json"]).ok().json();
    let [api] = &summary["apis"].as_array().expect("a list")[..] else { panic!("{summary:#}") };
    assert_eq!((&api["replicas"]["ready"], &api["errors"]), (&json!(2), &json!(2)), "{summary:#}");
    assert!(api["latency_seconds"]["p99"].as_f64().expect("a number") > 0.0, "{summary:#}");
    let all = cluster.run(&["metrics"]).ok();
    assert!(["moody", "digits", "p99", "2/2"].iter().all(|word| all.stdout.contains(word)), "{all}");
    cluster.run(&["metrics", "nobody"]).exits(5).says("there is no API named `nobody`");
}

/// What the queries of the dashboard name: metrics, with the labels that each is selected or grouped by.
fn queried(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let metric = Regex::new(r"\b((?:cortex|process)_[a-z_]+)(?:\{([^}]*)\})?").expect("valid");
    let selected = Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*""#).expect("valid");
    let grouped = Regex::new(r"by \(([^)]*)\)").expect("valid");
    let groups: BTreeSet<String> = grouped
        .captures_iter(text)
        .flat_map(|captures| captures[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let metrics = metric.captures_iter(text).map(|captures| {
        let selector = captures.get(2).map_or("", |selector| selector.as_str());
        let labels = selected.captures_iter(selector).map(|captures| captures[1].to_owned());
        (captures[1].to_owned(), labels.chain(groups.iter().cloned()).collect())
    });
    metrics.collect()
}

/// The family that a sample of this name is of.
fn family_of<'a>(page: &'a BTreeMap<String, Value>, name: &str) -> Option<(&'static Family, &'a Value)> {
    let all = [catalogue::gateway::ALL, catalogue::replica::ALL, catalogue::operator::ALL, catalogue::process::ALL];
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let of = |wanted: &str| {
        let family = all.iter().flat_map(|families| families.iter()).find(|family| family.name == wanted)?;
        Some((*family, page.get(wanted)?))
    };
    of(name).or_else(|| of(base?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_dashboard_has_what_it_asks_for() {
    let dashboard =
        fs::read_to_string(project::repository("docs/grafana/cortex.json")).expect("it is in the repository");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().expect("a query")).collect();
    assert!(queries.len() > 40, "{}", queries.len());
    let cluster = busy().await;
    let page = told(&cluster).await;
    for query in queries {
        let metrics = queried(query);
        assert!(!metrics.is_empty(), "{query}");
        for (metric, mut labels) in metrics {
            let (family, served) =
                family_of(&page, &metric).unwrap_or_else(|| panic!("{metric} is not served: {query}"));
            let samples = served["samples"].as_array().expect("a list");
            // What has not happened here has no series: then the table of metrics says which labels they will have.
            let mut known: BTreeSet<&str> = match samples.iter().any(|sample| sample[0] == metric) {
                true => served["labels"].as_array().expect("a list").iter().filter_map(Value::as_str).collect(),
                false => family.labels.iter().copied().collect(),
            };
            if family.name.starts_with("process_") || family.name.starts_with("cortex_replica_") {
                known.extend(["api", "version", "replica", "process"]);
            }
            if !metric.ends_with("_bucket") {
                labels.remove("le");
            }
            let unknown: Vec<_> = labels.iter().filter(|label| !known.contains(label.as_str())).collect();
            assert!(unknown.is_empty(), "{metric} has no {unknown:?}: {query}");
        }
    }
    let variable = dashboard["templating"]["list"][1]["query"]["query"].as_str().expect("a query");
    assert!(queried(variable).keys().all(|metric| page.contains_key(metric)), "{variable}");
}
