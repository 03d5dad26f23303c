//! Virtual environments.

use std::{fs, io::Write as _, path::PathBuf};

use serde_json::json;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::ground::{Ground, log};

const WHEEL: &str = "tinything-1.0-py3-none-any.whl";
const USES_IT: &str =
    "import tinything\nclass PythonPredictor:\n  def predict(self, payload): return tinything.VALUE\n";

/// A predictor that requires a wheel in its own project: no index is asked.
fn with_wheel() -> Ground {
    let ground = Ground::python(USES_IT);
    let mut wheel = ZipWriter::new(fs::File::create(ground.path("project").join(WHEEL)).unwrap());
    let info = "tinything-1.0.dist-info";
    for (name, text) in [
        ("tinything.py".to_owned(), "VALUE = 42\n"),
        (format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n"),
        (format!("{info}/WHEEL"), "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (format!("{info}/RECORD"), ""),
    ] {
        wheel.start_file(name, SimpleFileOptions::default()).unwrap();
        wheel.write_all(text.as_bytes()).unwrap();
    }
    wheel.finish().unwrap();
    ground.write("project/requirements.txt", format!("# local\n./{WHEEL}\n"));
    ground
}

fn environments(ground: &Ground) -> Vec<PathBuf> {
    let entries = fs::read_dir(ground.path("cache/venvs")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

#[tokio::test]
async fn an_environment_is_made_once_and_again_if_it_is_half_made() {
    let ground = with_wheel();
    let running = ground.ready().await;
    assert_eq!(running.post("").await.ok(), json!(42));
    running.stopped().await.unwrap();
    let [environment] = environments(&ground).try_into().unwrap();
    assert!(log().contains("installing 1 requirement"));

    let trace = environment.join("trace");
    fs::write(&trace, "").unwrap();
    ground.ready().await.stopped().await.unwrap();
    assert!(trace.exists() && environments(&ground) == [environment.clone()], "it was used as it is");

    fs::remove_file(environment.join(".cortex-complete")).unwrap();
    ground.ready().await.stopped().await.unwrap();
    assert!(!trace.exists() && environments(&ground) == [environment], "it was made anew");
}

#[tokio::test]
async fn replicas_that_start_together_make_one_environment() {
    let ground = with_wheel();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let mut other = Ground::python("");
            other.spec.project = ground.spec.project.clone();
            other.spec.cache = ground.spec.cache.clone();
            tokio::spawn(async move { other.ready().await.stopped().await.unwrap() })
        })
        .collect();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(environments(&ground).len(), 1);
}

#[tokio::test]
async fn requirements_that_do_not_install_are_named() {
    let ground = Ground::python("");
    ground.write("project/requirements.txt", "packaging==99999.9\n");
    let message = ground.failure().await;
    let want = "the requirements do not install: No matching distribution found for packaging==99999.9; \
                correct requirements.txt and deploy again";
    assert_eq!(message, want);
}

#[tokio::test]
async fn an_old_pip_leaves_the_work_to_the_one_in_the_environment() {
    let mut ground = with_wheel();
    ground.spec.python = ground.script("[ \"$2\" = pip ] && { echo 'pip 20.3.4 from /'; exit; }\nexec python3 \"$@\"");
    let running = ground.ready().await;
    assert_eq!(running.post("").await.ok(), json!(42));
    running.stopped().await.unwrap();
    let [environment] = environments(&ground).try_into().unwrap();
    assert!(environment.join("bin/pip").exists());
}

#[tokio::test]
async fn a_full_disk_and_a_missing_pip_are_named() {
    // An interpreter that fails like this.
    for (output, want) in [
        ("Error: [Errno 28] No space left on device: '/x'", "the disk is full: free some space in "),
        ("python3: No module named venv", "has no venv: install it (Debian: apt install python3-pip python3-venv)"),
        ("Error: out of luck", "the virtual environment cannot be made: Error: out of luck"),
    ] {
        let mut ground = with_wheel();
        ground.spec.python =
            ground.script(&format!("[ \"$1\" = -c ] && {{ echo 3; exit; }}\necho \"{output}\" >&2\nexit 1"));
        let message = ground.failure().await;
        assert!(message.contains(want), "{message}");
    }
}
