//! A disk that is full: said by name, nothing half-written, and the rest keeps serving.

use serde_json::json;
use testkit::{Cluster, Config, Cortex, Load, TinyDisk, eventually, project};

const MEGABYTES: usize = 16;

/// A cluster whose files are on a disk of that size, or the reason why there is none.
fn cluster_on_a_tiny_disk() -> Result<Cluster, String> {
    let disk = TinyDisk::new(u32::try_from(MEGABYTES).expect("it is small"))?;
    let cortex = Cortex::on(disk);
    let data_dir = cortex.disk().join("e2e");
    Ok(Cluster::up_as(&cortex, Config { data_dir: Some(data_dir), ..Config::default() }))
}

/// Names of all files of a cluster's directory, which only those see who are where the disk is.
fn files(cluster: &Cluster, directory: &str) -> Vec<String> {
    let disk = cluster.cortex.tiny_disk().expect("it is on one");
    let mut command = disk.enter();
    let output = command.arg("find").arg(cluster.directory.join(directory)).args(["-type", "f"]).output();
    let text = String::from_utf8(output.expect("find runs").stdout).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

async fn keeps_serving(cluster: &Cluster, load: Load) {
    load.more(8).await;
    load.stop().await.flawless();
    // Room has been made, so the next one that fits is taken.
    let file = project::python(&cluster.cortex, "small", &project::echo("1"), "");
    cluster.deploy(&file);
    cluster.client().predict("/small", &json!(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundle_that_is_larger_than_the_disk() {
    let cluster = match cluster_on_a_tiny_disk() {
        Ok(cluster) => cluster,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    cluster.deploy(&project::python(&cluster.cortex, "echo", &project::echo("1"), ""));
    let load = Load::gentle(&cluster.client(), "/echo", &json!(7));
    let bundles = files(&cluster, "state/blobs");

    let file = project::python(&cluster.cortex, "large", &project::echo("1"), "");
    cluster.cortex.write("large/weights.bin", vec![7; 2 * (MEGABYTES << 20)]);
    let outcome = cluster.run(&["deploy", &file]).exits(1);
    outcome.says("the disk under").says("is full: make room").says(&cluster.directory.display().to_string());
    cluster.run(&["get", "large"]).exits(5);
    let error = cluster.run(&["deploy", &file, "-o", "json"]).exits(1);
    let error = error.stderr.lines().last().map(serde_json::from_str::<serde_json::Value>);
    assert_eq!(error.expect("a line").expect("JSON")["error"]["kind"], "operator.disk_full");

    assert_eq!(files(&cluster, "state/blobs"), bundles);
    assert_eq!(files(&cluster, "scratch"), Vec::<String>::new());
    std::fs::remove_file(cluster.cortex.working_directory().join("large/weights.bin")).expect("it is there");
    keeps_serving(&cluster, load).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundle_that_fits_once_but_not_unpacked() {
    let cluster = match cluster_on_a_tiny_disk() {
        Ok(cluster) => cluster,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    cluster.deploy(&project::python(&cluster.cortex, "echo", &project::echo("1"), ""));
    let load = Load::gentle(&cluster.client(), "/echo", &json!(7));
    let projects = files(&cluster, "projects");

    let file = project::python(&cluster.cortex, "large", &project::echo("1"), "");
    cluster.cortex.write("large/weights.bin", vec![7; (MEGABYTES << 20) * 6 / 10]);
    let outcome = cluster.run(&["deploy", &file]).exits(8);
    outcome.says("the disk under").says("is full: make room");
    cluster.run(&["get", "large"]).ok().prints("is full: make room");
    eventually("what was half unpacked is gone", async || {
        let now = files(&cluster, "projects");
        if now == projects { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    cluster.run(&["delete", "large"]).ok();
    load.more(8).await;
    load.stop().await.flawless();
}
