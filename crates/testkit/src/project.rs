//! Tiny projects: a `cortex.yaml` and predictors of a few lines, without requirements, so that they start in no time.

use std::path::PathBuf;

use crate::Cortex;

/// A predictor that says which version it is, and echoes.
pub fn echo(version: &str) -> String {
    format!(
        "class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return {{\"version\": \"{version}\", \"echo\": payload}}
"
    )
}

/// One API of a `cortex.yaml`, of which `predictor.py` is the predictor; `more` are further lines of it, each indented by
/// two blanks.
pub fn api(name: &str, more: &str) -> String {
    format!("- name: {name}\n  kind: RealtimeAPI\n  predictor:\n    type: python\n    path: predictor.py\n{more}")
}

/// Lines for [`api`]: how many replicas.
pub fn replicas(count: u32) -> String {
    format!("  autoscaling:\n    min_replicas: {count}\n    max_replicas: {count}\n")
}

/// Writes a project with one Python API into `<name>/`; returns the path of its `cortex.yaml`, relative to the working
/// directory. `more` is as in [`api`].
pub fn python(cortex: &Cortex, name: &str, source: &str, more: &str) -> String {
    cortex.write(&format!("{name}/predictor.py"), source);
    cortex.write(&format!("{name}/cortex.yaml"), api(name, more));
    format!("{name}/cortex.yaml")
}

/// A directory of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}
