//! `telemetry` of a cluster on AWS: control nodes and tasks send their spans where the file says.

use testkit::{Version, emulator::Mode, eventually};

use super::ground::{Account, PUBLIC};
use crate::traces::Collector;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateway_and_replicas_send_traces_where_the_file_says() {
    let account = Account::with_nodes(Mode::Strict);
    let collector = Collector::start(0).await;
    let file = format!("{PUBLIC}telemetry: {{otlp_endpoint: '{}'}}\n", collector.endpoint());
    account.configure(&file);
    let up = account.up().ok();
    account.configure_environment(&up).ok();
    account.deploy("digits").ok().prints("digits is live");
    let sample = testkit::project::repository("examples/digits/sample.json");
    let sample = serde_json::from_slice(&std::fs::read(sample).expect("it is there")).expect("JSON");
    let client = account.client(Version::Http2);
    assert_eq!(client.predict("/digits", &sample).await["label"], serde_json::json!([8]));
    eventually("both have sent spans", async || {
        let services = collector.services();
        let both = ["cortex-gateway", "cortex-replica"].iter().all(|name| services.contains(*name));
        if both { Ok(()) } else { Err(format!("{services:?}")) }
    })
    .await;

    // Another word is one object in the bucket, and nothing else.
    account.configure(&file.replace("'}", "', traces_sampler: always_off}"));
    let mark = account.emulator.mark();
    account.run(&["cluster", "update", "-c", "cluster.yaml", "--yes"]).ok();
    let admin = &account.emulator.admin.access_key_id;
    let changes = account.changes_since(mark).into_iter().filter(|call| call.access_key_id == *admin);
    let others: Vec<_> = changes.filter(|call| call.service != "s3").collect();
    assert!(others.is_empty(), "{others:#?}");
}
