//! Replicas as processes of this machine.
//!
//! A replica outlives the operator that started it: all there is to know of it lies in its own directory, and it holds a
//! lock there for as long as it lives, so an operator that starts again finds out what runs, whatever happened to
//! process ids in between. One operator at a time uses a data directory (the caller sees to that).
//!
//! Layout below the data directory: `r/<id>/` one replica, `projects/<sha256>/` unpacked bundles, `logs/<api>/<id>.log`.

mod bundle;
mod cgroup;
mod entry;
mod home;
mod logs;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use api::wire::LogQuery;
use async_trait::async_trait;
use state::State;

pub use self::bundle::unpack as unpack_bundle;
use self::{
    entry::Entry,
    home::{Home, Record},
};
use super::{Engine, EngineError, LogStream, Replica, Workload};

/// How often changes are looked for: the delay between a replica being ready and its first request.
const POLL: Duration = Duration::from_millis(50);

/// Settings of a [`ProcessEngine`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Private to the user the replicas run as.
    pub data: PathBuf,
    /// Shared by all clusters of this user: virtual environments, ONNX Runtime.
    pub cache: PathBuf,
    /// The `cortex` binary.
    pub binary: PathBuf,
    /// Interpreter for virtual environments.
    pub python: PathBuf,
    /// ONNX Runtime library to use instead of the pinned one.
    pub onnxruntime: Option<PathBuf>,
    /// How much longer than one request a replica may take for its last ones.
    pub drain_margin: Duration,
    /// File that tells replicas where their traces go.
    pub telemetry: Option<PathBuf>,
}

/// The engine.
pub struct ProcessEngine {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    state: Arc<dyn State>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// What [`Engine::changed`] last saw.
    seen: Mutex<Vec<Trace>>,
}

/// What changes about a replica when something happens to it.
type Trace = (String, bool, Option<SystemTime>, bool);

impl ProcessEngine {
    /// Takes over whatever replicas already run below the data directory.
    pub fn open(options: Options, state: Arc<dyn State>) -> Result<Self, EngineError> {
        for directory in [home::replicas(&options.data), bundle::projects(&options.data), logs::root(&options.data)] {
            make_private(&directory).map_err(|error| failed(&directory, &error))?;
        }
        let mut entries = BTreeMap::new();
        for home in Home::all(&options.data)? {
            if let Some(entry) = Entry::adopt(home) {
                entries.insert(entry.id().to_owned(), entry);
            }
        }
        if !entries.is_empty() {
            tracing::info!(replicas = entries.len(), "took over the replicas of an earlier operator");
        }
        let inner = Inner { options, state, entries: Mutex::new(entries), seen: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs file and process work off the async threads.
    async fn blocking<T, F>(&self, work: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|error| Err(EngineError::Failed(error.to_string())))
    }
}

impl Inner {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings every entry up to date: notices ends, starts again what is due, forgets what has stopped.
    fn tick(&self) -> Vec<Replica> {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.tick(&self.options));
        entries.values().map(Entry::describe).collect()
    }

    fn start(&self, workload: &Workload, project: &Path, copies: usize) -> Result<(), EngineError> {
        for _ in 0..copies {
            let record = Record::new(&workload.api, &workload.version);
            let home = Home::create(&self.options.data, record)?;
            let entry = Entry::start(home, workload, project, &self.options)?;
            self.entries().insert(entry.id().to_owned(), entry);
        }
        Ok(())
    }

    fn lasting(&self, api: &str, version: &str) -> usize {
        self.entries().values().filter(|entry| entry.is_lasting(api, version)).count()
    }

    fn shrink(&self, api: &str, version: &str, keep: usize) {
        let mut entries = self.entries();
        let mut lasting: Vec<_> = entries.values_mut().filter(|entry| entry.is_lasting(api, version)).collect();
        // Those of least use first: not ready before ready, young before old.
        lasting.sort_by_key(|entry| entry.usefulness());
        let excess = lasting.len().saturating_sub(keep);
        for entry in lasting.into_iter().take(excess) {
            entry.stop(&self.options);
        }
    }

    fn trace(&self) -> Vec<Trace> {
        let now = Instant::now();
        self.entries().values_mut().map(|entry| entry.trace(now)).collect()
    }
}

#[async_trait]
impl Engine for ProcessEngine {
    async fn observe(&self) -> Result<Vec<Replica>, EngineError> {
        self.blocking(|inner| Ok(inner.tick())).await
    }

    async fn scale(&self, workload: &Workload, replicas: u32) -> Result<(), EngineError> {
        let wanted = replicas as usize;
        let present = self.inner.lasting(&workload.api, &workload.version);
        if present > wanted {
            return self.shrink(&workload.api, &workload.version, replicas).await;
        }
        if present < wanted {
            let project = bundle::unpack(&self.inner.options.data, &*self.inner.state, &workload.bundle).await?;
            let workload = workload.clone();
            self.blocking(move |inner| inner.start(&workload, &project, wanted - present)).await?;
        }
        Ok(())
    }

    async fn shrink(&self, api: &str, version: &str, keep: u32) -> Result<(), EngineError> {
        let (api, version) = (api.to_owned(), version.to_owned());
        self.blocking(move |inner| {
            inner.shrink(&api, &version, keep as usize);
            Ok(())
        })
        .await
    }

    async fn forget_all_but(&self, deployed: &BTreeSet<&str>) -> Result<(), EngineError> {
        let mut keep: BTreeSet<String> = deployed.iter().map(|&name| name.to_owned()).collect();
        keep.extend(self.inner.entries().values().map(|entry| entry.api().to_owned()));
        self.blocking(move |inner| logs::forget_all_but(&inner.options.data, &keep)).await
    }

    async fn changed(&self) {
        loop {
            let traced = self.blocking(|inner| Ok(inner.trace())).await;
            if let Ok(now) = traced {
                let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if *seen != now {
                    *seen = now;
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn logs(&self, api: &str, query: &LogQuery) -> Result<LogStream, EngineError> {
        Ok(logs::stream(&self.inner.options.data, api, query).await)
    }
}

/// What replicas are told may be secret, whoever may enter the data directory itself.
fn make_private(directory: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn failed(path: &Path, error: &std::io::Error) -> EngineError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => EngineError::DiskFull(path.to_owned()),
        _ => EngineError::Failed(format!("{}: {error}", path.display())),
    }
}

/// Ends every replica below a data directory that no operator uses any more, gently at first. Returns how many lived.
pub async fn stop_all(data: &Path, patience: Duration) -> Result<usize, EngineError> {
    let root = home::replicas(data);
    if !root.is_dir() {
        return Ok(0);
    }
    let begin = Instant::now();
    let mut asked = BTreeSet::new();
    loop {
        let living: Vec<_> = Home::all(data)?.into_iter().filter(Home::is_locked).collect();
        if living.is_empty() {
            return Ok(asked.len());
        }
        let overdue = begin.elapsed() > patience;
        for home in living {
            // Before its first status a replica's process id is not known; it will be at the next look.
            let Some(status) = home.status() else { continue };
            if overdue {
                home::signal(status.pid, rustix::process::Signal::KILL);
            }
            if asked.insert(home.id) {
                home::signal(status.pid, rustix::process::Signal::TERM);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}
