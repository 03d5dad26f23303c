//! What a control node would do when it has booted, as far as `cluster up` waits for it: publish the cluster's authority, with the
//! credentials of the instance. Nothing boots in a benchmark of provisioning; how long a node takes for that is not part of it.

use std::{
    path::Path,
    process::{Child, Stdio},
};

use anyhow::{Context, Result};

use crate::{emulator::Emulator, run};

const PROGRAM: &str = "xtask/python/bench/control_plane.py";

pub(super) struct ControlPlane(Child);

impl ControlPlane {
    pub(super) fn start(python: &Path, emulator: &Emulator) -> Result<Self> {
        let mut command = run::program(python);
        command.arg(PROGRAM).arg(emulator.endpoint()).envs(emulator.environment());
        let child = command.stdout(Stdio::null()).spawn().context("cannot start the stand-in for control nodes")?;
        Ok(Self(child))
    }

    pub(super) fn end(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
