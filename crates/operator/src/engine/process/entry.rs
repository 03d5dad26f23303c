//! One replica under the engine's care.

use std::{
    fs::{self, OpenOptions},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use api::{
    replica::{Phase, ReplicaSpec},
    wire::ReplicaPhase,
};
use rustix::process::Signal;

use super::{
    Options, Trace, cgroup, failed,
    home::{self, End, Home},
    logs,
};
use crate::engine::{EngineError, Replica, Workload};

/// First pause before another start; doubled with every attempt, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Ready for so long, a replica has earned a fresh count of attempts.
const STEADY: Duration = Duration::from_secs(30);
/// Ends without a reason given by the replica before it is called failed.
const CRASHES: u32 = 3;
/// What a stopping replica gets on top of its drain timeout before it is killed.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// An adopted replica that neither lives nor has said anything may still be on its way up.
const ADOPTION: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Entry {
    home: Home,
    life: Life,
    ready_since: Option<Instant>,
    /// Ours to reap, unless an earlier operator started it.
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// Found at start without a living process; gone for good unless one shows up until then.
    Missing {
        until: Instant,
    },
    /// Ended; to be started again at that time.
    Waiting {
        until: Instant,
    },
    /// Asked to stop; to be killed at that time.
    Stopping {
        until: Instant,
    },
}

impl Entry {
    /// Takes over a replica found at start. `None` if it had been stopped already.
    pub(super) fn adopt(home: Home) -> Option<Self> {
        let draining = home.status().is_some_and(|status| status.phase == Phase::Draining);
        let life = match (home.is_locked(), draining) {
            (true, false) => Life::Running,
            (true, true) => {
                Life::Stopping { until: Instant::now() + home.drain_timeout().unwrap_or_default() + KILL_AFTER }
            }
            (false, true) => {
                home.remove();
                return None;
            }
            (false, false) => Life::Missing { until: Instant::now() + ADOPTION },
        };
        Some(Self { home, life, ready_since: None, child: None })
    }

    pub(super) fn start(
        home: Home,
        workload: &Workload,
        project: &Path,
        options: &Options,
    ) -> Result<Self, EngineError> {
        let spec = ReplicaSpec {
            api: workload.api.clone(),
            version: workload.version.clone(),
            replica: home.id.clone(),
            program: workload.program.clone(),
            project: project.to_owned(),
            listen: home.address(),
            status_file: home.status_file(),
            cache: options.cache.clone(),
            python: options.python.clone(),
            onnxruntime: options.onnxruntime.clone(),
            drain_timeout: workload.request_timeout + options.drain_margin,
            mem_bytes: workload.compute.mem_bytes,
            max_replica_concurrency: workload.max_replica_concurrency,
        };
        if let Some(Err(error)) = cgroup::tree().map(|tree| tree.make(&home.id, &workload.compute)) {
            tracing::warn!(replica = home.id, %error, "a replica is not held to `compute.cpu` and `compute.mem`");
        }
        let mut entry = Self { home, life: Life::Running, ready_since: None, child: None };
        if let Err(error) = entry.home.write_spec(&spec).and_then(|()| entry.launch(options)) {
            entry.home.remove();
            return Err(error);
        }
        Ok(entry)
    }

    pub(super) fn id(&self) -> &str {
        &self.home.id
    }

    pub(super) fn api(&self) -> &str {
        &self.home.record.api
    }

    /// Whether it is a copy of that version and meant to stay.
    pub(super) fn is_lasting(&self, api: &str, version: &str) -> bool {
        let record = &self.home.record;
        record.api == api && record.version == version && self.phase() != ReplicaPhase::Draining
    }

    /// Orders copies: the first is the first to go.
    pub(super) fn usefulness(&self) -> (bool, std::cmp::Reverse<time::OffsetDateTime>) {
        (self.phase() == ReplicaPhase::Ready, std::cmp::Reverse(self.home.record.created_at))
    }

    /// Asks the replica to drain and end.
    pub(super) fn stop(&mut self, options: &Options) {
        match self.life {
            Life::Stopping { .. } => return,
            Life::Running => self.signal(Signal::TERM),
            Life::Waiting { .. } | Life::Missing { .. } => {}
        }
        tracing::info!(api = self.api(), replica = self.id(), "stopping a replica");
        let drain = self.home.drain_timeout().unwrap_or(options.drain_margin);
        self.life = Life::Stopping { until: Instant::now() + drain + KILL_AFTER };
    }

    /// Notices what has happened and does what is due. `false`: it is no more.
    pub(super) fn tick(&mut self, options: &Options) -> bool {
        let alive = self.is_alive();
        let now = Instant::now();
        logs::rotate_if_large(&logs::file(&options.data, self.api(), self.id()));
        match self.life {
            Life::Stopping { until } if alive => {
                if now >= until {
                    tracing::warn!(api = self.api(), replica = self.id(), "a replica did not end in time: killed");
                    self.signal(Signal::KILL);
                }
            }
            Life::Stopping { .. } => {
                self.home.remove();
                return false;
            }
            Life::Running | Life::Missing { .. } if alive => self.note_ready(now),
            Life::Running => self.note_end(now),
            Life::Missing { until } if now >= until => self.note_end(now),
            Life::Waiting { until } if now >= until => self.restart(options, now),
            Life::Missing { .. } | Life::Waiting { .. } => {}
        }
        true
    }

    pub(super) fn describe(&self) -> Replica {
        let phase = self.phase();
        let record = &self.home.record;
        let end = record.end.as_ref().filter(|_| phase != ReplicaPhase::Ready);
        let said = || self.home.status().map_or_else(|| "starting".to_owned(), |status| status.message);
        Replica {
            id: self.home.id.clone(),
            api: record.api.clone(),
            version: record.version.clone(),
            address: self.home.address(),
            phase,
            message: end.map_or_else(said, |end| end.message.clone()),
            restarts: record.restarts,
            failed: end.is_some_and(|end| end.hopeless || record.attempts >= CRASHES),
        }
    }

    /// Changes whenever [`Entry::tick`] has something to do or [`Entry::describe`] something new to say.
    pub(super) fn trace(&mut self, now: Instant) -> Trace {
        let written = fs::metadata(self.home.status_file()).and_then(|file| file.modified()).ok();
        let due = match self.life {
            Life::Running => self.home.record.attempts > 0 && self.is_steady(now),
            Life::Waiting { until } | Life::Stopping { until } | Life::Missing { until } => now >= until,
        };
        (self.home.id.clone(), self.is_alive(), written, due)
    }

    fn phase(&self) -> ReplicaPhase {
        match self.life {
            Life::Stopping { .. } => ReplicaPhase::Draining,
            Life::Waiting { .. } => ReplicaPhase::BackingOff,
            Life::Missing { .. } => ReplicaPhase::Starting,
            Life::Running => match self.home.status().map(|status| status.phase) {
                Some(Phase::Ready) => ReplicaPhase::Ready,
                Some(Phase::Draining) => ReplicaPhase::Draining,
                Some(Phase::Starting | Phase::Failed) | None => ReplicaPhase::Starting,
            },
        }
    }

    fn is_alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => self.home.is_locked(),
        }
    }

    fn is_steady(&self, now: Instant) -> bool {
        self.ready_since.is_some_and(|since| now.duration_since(since) >= STEADY)
    }

    fn note_ready(&mut self, now: Instant) {
        self.life = Life::Running;
        if self.phase() != ReplicaPhase::Ready {
            self.ready_since = None;
            return;
        }
        self.ready_since.get_or_insert(now);
        let record = &mut self.home.record;
        if record.end.take().is_some() {
            self.save();
        }
        if self.is_steady(now) && self.home.record.attempts > 0 {
            self.home.record.attempts = 0;
            self.save();
        }
    }

    fn note_end(&mut self, now: Instant) {
        let exit = self.child.take().and_then(|mut child| child.try_wait().ok().flatten());
        let end = match self.home.status() {
            Some(status) if status.phase == Phase::Failed => End { message: status.message, hopeless: true },
            _ => End { message: describe_exit(exit), hopeless: false },
        };
        let record = &mut self.home.record;
        tracing::warn!(api = record.api, replica = self.home.id, reason = end.message, "a replica ended");
        let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(record.attempts)).min(LAST_PAUSE);
        record.attempts += 1;
        record.end = Some(end);
        self.ready_since = None;
        self.life = Life::Waiting { until: now + pause };
        self.save();
    }

    fn restart(&mut self, options: &Options, now: Instant) {
        self.home.record.restarts += 1;
        self.home.clear_status();
        if let Err(error) = self.launch(options) {
            self.home.record.end = Some(End { message: error.to_string(), hopeless: false });
            self.life = Life::Waiting { until: now + LAST_PAUSE };
        }
        self.save();
    }

    fn launch(&mut self, options: &Options) -> Result<(), EngineError> {
        let path = logs::file(&options.data, self.api(), self.id());
        let log = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
            .map_err(|error| failed(&path, &error))?;
        let errors = log.try_clone().map_err(|error| failed(&path, &error))?;
        let mut command = Command::new(&options.binary);
        command.arg("replica").arg("--spec").arg(self.home.spec_file());
        if let Some(telemetry) = &options.telemetry {
            command.arg("--telemetry").arg(telemetry);
        }
        let child = command
            // The wheels of ONNX Runtime report to their maker, and leave an identifier in the user's cache, unless they
            // are told not to before they are loaded; ours and those of predictors.
            .env("ORT_DISABLE_TELEMETRY", "1")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Not in the operator's group: a signal to that must not reach the replicas.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&options.binary, &error))?;
        if let Some(Err(error)) = cgroup::tree().map(|tree| tree.enter(self.id(), child.id())) {
            tracing::warn!(replica = self.id(), %error, "a replica is not held to `compute.cpu` and `compute.mem`");
        }
        self.child = Some(child);
        self.life = Life::Running;
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let pid = match &self.child {
            Some(child) => Some(child.id()),
            None => self.home.status().map(|status| status.pid),
        };
        if let Some(pid) = pid {
            home::signal(pid, signal);
        }
    }

    fn save(&self) {
        if let Err(error) = self.home.save() {
            tracing::warn!(replica = self.id(), %error, "a replica's record could not be written");
        }
    }
}

fn describe_exit(exit: Option<ExitStatus>) -> String {
    let Some(exit) = exit else { return "the replica ended while no operator was there to see why".to_owned() };
    match (exit.code(), exit.signal()) {
        (Some(code), _) => format!("the replica ended with exit code {code}; see `cortex logs`"),
        (None, Some(9)) => {
            "the replica was killed (signal 9), perhaps for want of memory; see `cortex logs`".to_owned()
        }
        (None, signal) => format!("the replica was ended by signal {}; see `cortex logs`", signal.unwrap_or_default()),
    }
}
