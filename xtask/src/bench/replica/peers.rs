//! The servers that are measured, and how each is installed and started.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::super::server::{Server, pinned};
use crate::run;

/// Their programs and what they need, pinned.
const PROGRAMS: &str = "xtask/python/serving";
const ADDRESS: &str = "127.0.0.1:7110";
const PORT: &str = "7110";
/// For a server that takes connections to give scores.
const PATIENCE: Duration = Duration::from_secs(60);
/// What our own worker processes run in: the predictor's requirements and nothing else.
const PREDICTOR: &str = "predictor";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    CortexOnnx,
    CortexPython,
    FastApi,
    LitServe,
    BentoMl,
    Ray,
    MlServer,
}

impl Peer {
    pub(super) const ALL: [Self; 7] =
        [Self::CortexOnnx, Self::CortexPython, Self::FastApi, Self::LitServe, Self::BentoMl, Self::Ray, Self::MlServer];

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::CortexOnnx | Self::CortexPython)
    }

    /// Also the name of its list of requirements.
    fn environment(self) -> &'static str {
        match self {
            Self::CortexOnnx | Self::CortexPython => PREDICTOR,
            Self::FastApi => "fastapi",
            Self::LitServe => "litserve",
            Self::BentoMl => "bentoml",
            Self::Ray => "ray",
            Self::MlServer => "mlserver",
        }
    }

    pub(super) fn url(self) -> String {
        let path = if self.is_ours() { "" } else { "predict" };
        format!("http://{ADDRESS}/{path}")
    }
}

/// Environments, model and programs.
pub(super) struct Ground {
    scratch: PathBuf,
    processors: String,
    example: PathBuf,
}

impl Ground {
    pub(super) fn prepare(scratch: &Path, processors: &str) -> Result<Self> {
        let example = run::target()?.join("release").join("examples").join("serve");
        let ground = Self { scratch: scratch.to_owned(), processors: processors.to_owned(), example };
        for peer in Peer::ALL {
            ground.install(peer.environment())?;
        }
        ground.install("model")?;
        let mut make = run::program(ground.python("model"));
        run::stage("model", make.arg(format!("{PROGRAMS}/model.py")).arg(ground.project().join("model.onnx")))?;
        Ok(ground)
    }

    /// A virtual environment with exactly its list, made anew when the list changes.
    fn install(&self, name: &str) -> Result<()> {
        let list = format!("{PROGRAMS}/requirements/{name}.txt");
        let wanted = fs::read_to_string(run::root().join(&list)).with_context(|| format!("cannot read {list}"))?;
        let (home, mark) = (self.environment(name), self.environment(name).join("installed.txt"));
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        let _ = fs::remove_dir_all(&home);
        run::stage(name, run::program("python3").args(["-m", "venv"]).arg(&home))?;
        let mut install = run::program(self.python(name));
        install.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", &list]);
        run::stage(name, &mut install)?;
        Ok(fs::write(mark, wanted)?)
    }

    fn environment(&self, name: &str) -> PathBuf {
        self.scratch.join("environments").join(name)
    }

    fn python(&self, name: &str) -> PathBuf {
        self.environment(name).join("bin").join("python")
    }

    /// Where our replica finds model and predictor.
    fn project(&self) -> PathBuf {
        let project = self.scratch.join("project");
        fs::create_dir_all(&project).expect("the directory of the bench can be written to");
        project
    }

    /// What it is, with its version.
    pub(super) fn name(&self, peer: Peer) -> String {
        let (what, package) = match peer {
            Peer::CortexOnnx => return "cortex, `type: onnx`".to_owned(),
            Peer::CortexPython => return "cortex, `type: python`".to_owned(),
            Peer::FastApi => ("FastAPI on uvicorn,", "fastapi"),
            Peer::LitServe => ("LitServe", "litserve"),
            Peer::BentoMl => ("BentoML", "bentoml"),
            Peer::Ray => ("Ray Serve", "ray"),
            Peer::MlServer => ("MLServer", "mlserver"),
        };
        let list = fs::read_to_string(self.environment(peer.environment()).join("installed.txt")).unwrap_or_default();
        let version = list.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("==")).unwrap_or_default();
        format!("{what} {version}")
    }

    pub(super) fn start(&self, peer: Peer) -> Result<Server> {
        let log = self.scratch.join(format!("{}.log", peer.environment()));
        Server::start(&mut self.command(peer)?, ADDRESS, &log)
    }

    fn command(&self, peer: Peer) -> Result<Command> {
        let programs = run::root().join(PROGRAMS);
        let bin = |name: &str| self.environment(peer.environment()).join("bin").join(name);
        let mut command = match peer {
            Peer::CortexOnnx | Peer::CortexPython => {
                let mut command = pinned(&self.processors, &self.example);
                command.arg(self.specification(peer)?);
                command
            }
            Peer::FastApi => {
                let mut command = pinned(&self.processors, bin("uvicorn"));
                command.args(["with_fastapi:app", "--port", PORT, "--workers", "1", "--no-access-log"]);
                command
            }
            Peer::LitServe => self.script(peer, "with_litserve.py"),
            Peer::Ray => self.script(peer, "with_ray.py"),
            Peer::BentoMl => {
                let mut command = pinned(&self.processors, bin("bentoml"));
                command.args(["serve", "with_bentoml:Scores", "--port", PORT]).env("BENTOML_DO_NOT_TRACK", "true");
                command
            }
            Peer::MlServer => {
                let home = self.scratch.join("mlserver");
                fs::create_dir_all(&home)?;
                let settings = json!({ "http_port": 7110, "grpc_port": 7111, "metrics_port": 7112, "host": "127.0.0.1",
                    "parallel_workers": 0, "debug": false });
                fs::write(home.join("settings.json"), settings.to_string())?;
                let model = json!({ "name": "scores", "implementation": "with_mlserver.Scores" });
                fs::write(home.join("model-settings.json"), model.to_string())?;
                let mut command = pinned(&self.processors, bin("mlserver"));
                command.arg("start").arg(home);
                command
            }
        };
        // Their programs lie beside the predictor; nothing is to be left there.
        command.current_dir(&self.scratch).env("PYTHONPATH", programs).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("MODEL", self.project().join("model.onnx")).env("RAY_USAGE_STATS_ENABLED", "0");
        Ok(command)
    }

    fn script(&self, peer: Peer, file: &str) -> Command {
        let mut command = pinned(&self.processors, self.python(peer.environment()));
        command.arg(run::root().join(PROGRAMS).join(file)).arg(PORT);
        command
    }

    /// What our replica is told: the document that an engine would write.
    fn specification(&self, peer: Peer) -> Result<PathBuf> {
        let project = self.project();
        fs::copy(run::root().join(PROGRAMS).join("predictor.py"), project.join("predictor.py"))?;
        let (kind, path) = if peer == Peer::CortexOnnx { ("onnx", "model.onnx") } else { ("python", "predictor.py") };
        let document = json!({
            "api": "scores", "version": "1", "replica": "scores-1",
            "predictor": {
                "type": kind, "path": path, "config": {}, "env": { "MODEL": project.join("model.onnx") },
                "python_path": null, "processes_per_replica": 1, "threads_per_process": 1,
            },
            "project": project,
            "listen": format!("tcp://{ADDRESS}"),
            "status_file": self.scratch.join("status.json"),
            "cache": self.scratch.join("cache"),
            "python": self.python(PREDICTOR),
            "onnxruntime": null,
            "drain_timeout": { "secs": 1, "nanos": 0 },
        });
        let file = self.scratch.join("replica.json");
        fs::write(&file, document.to_string())?;
        Ok(file)
    }

    /// Waits until it gives scores, which some do long after they take connections.
    pub(super) fn check(&self, peer: Peer) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut curl = run::program("curl");
            curl.args(["-s", "-H", "content-type: application/json", "-d", super::BODY, &peer.url()]);
            let answer = run::stdout_of(&mut curl).unwrap_or_default();
            let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
            let scores = answer["scores"][0].as_array().into_iter().flatten().filter_map(Value::as_f64);
            if (scores.sum::<f64>() - 1.0).abs() < 1e-3 {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} answers {answer}", self.name(peer));
            }
            sleep(Duration::from_millis(200));
        }
    }
}
