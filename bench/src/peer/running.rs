//! An arm that runs: the program under measurement, and the generator in front of it where there is one.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use config::CpuSet;
use linux::Root;
use serde::Serialize;

use super::{
    barewired::{self, Barewired},
    case::{Arm, Cpus, Files, Mode, Settings, Wiring, configuration},
    reading::Reading,
    testpmd::{self, Testpmd, Totals},
};
use crate::{
    core_time::Pinned,
    interrupt::Interrupt,
    program::{Program, ProgramError},
};

/// What all arms have in common.
#[derive(Debug)]
pub struct Lab {
    /// The machine.
    pub root: Root,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Which CPU is measured, and which does the rest.
    pub cpus: Cpus,
    /// The CPUs that programs may use.
    pub allowed: CpuSet,
    /// Memory, burst, descriptors, buffers.
    pub settings: Settings,
    /// How barewired spreads its work.
    pub mode: Mode,
    /// A directory for sockets and captures, removed at the end.
    pub dir: PathBuf,
    /// The capture of case (a).
    pub capture: PathBuf,
    /// barewired's file; `None` when no arm needs it.
    pub barewired: Option<PathBuf>,
    /// Another build of it, to compare with.
    pub before: Option<PathBuf>,
    /// testpmd's file; `None` when no arm needs it.
    pub testpmd: Option<PathBuf>,
}

/// An arm that runs. Dropping it kills its programs.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub arm: Arm,
    /// How it was started.
    pub start: Start,
    dut: Dut,
    generator: Option<Testpmd>,
    pinned: Option<Pinned>,
}

#[derive(Debug)]
enum Dut {
    Testpmd(Testpmd),
    Barewired(Box<Barewired>),
}

/// How an arm was started, for the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Start {
    /// Which one.
    pub arm: Arm,
    /// Its command line.
    pub command: String,
    /// The generator's, where there is one.
    pub generator: Option<String>,
    /// barewired's configuration.
    pub configuration: Option<String>,
    /// barewired's plan.
    pub plan: Option<api::Plan>,
    /// From its start until it forwards (barewired: says READY), in milliseconds.
    pub ready_ms: f64,
    /// Its resident memory once it forwards, in KiB. Hugepages are not in it, ordinary pages with packets are.
    pub resident_kib: Option<u64>,
}

/// How an arm ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// Which one.
    pub arm: Arm,
    /// Every frame it received was sent or is counted as dropped.
    pub is_conserved: bool,
    /// What testpmd says it moved.
    pub totals: Option<Totals>,
    /// What the generator says it moved: frames that the program under measurement did not take are dropped there.
    pub generator: Option<Totals>,
}

impl Running {
    /// Starts an arm in a directory of its own, and waits until it forwards.
    ///
    /// # Errors
    /// When one of its programs does not get that far.
    pub fn start(lab: &Lab, wiring: Wiring, arm: Arm, dir: &Path) -> Result<Self, ProgramError> {
        let files = Files {
            capture: &lab.capture,
            vhost: &dir.join("vhost.sock"),
            control: &dir.join("control.sock"),
        };
        let workers = arm.workers(lab.mode);
        let devices = wiring.devices(workers, &files);
        let prefix = prefix_of(dir);
        let missing = |name: &str| ProgramError::Start {
            name: arm.to_string(),
            file: name.into(),
            source: std::io::ErrorKind::NotFound.into(),
        };

        let mut generator = None;
        let mut generator_command = None;
        if wiring.has_generator() {
            let setup = testpmd::Setup {
                file: lab.testpmd.as_deref().ok_or_else(|| missing("dpdk-testpmd"))?,
                prefix: format!("{prefix}g"),
                main: lab.cpus.other,
                worker: lab.cpus.other,
                settings: &lab.settings,
                is_matched: true,
                devices: vec![format!("net_vhost0,iface={},queues=1", files.vhost.display())],
                forward: "flowgen",
                is_sharing: true,
            };
            generator_command = Some(setup.command().shown());
            let name = format!("the generator of {arm}");
            // Its threads for vhost-user messages go wherever it is allowed.
            let cpus = CpuSet::from_iter([lab.cpus.other]);
            generator = Some(Testpmd::start(&name, &setup, dir, &cpus, &lab.interrupt)?);
        }

        let name = arm.to_string();
        let mut start = Start {
            arm,
            command: String::new(),
            generator: generator_command,
            configuration: None,
            plan: None,
            ready_ms: 0.0,
            resident_kib: None,
        };
        let begun = Instant::now();
        let dut = if arm.is_testpmd() {
            let setup = testpmd::Setup {
                file: lab.testpmd.as_deref().ok_or_else(|| missing("dpdk-testpmd"))?,
                prefix,
                main: lab.cpus.other,
                worker: lab.cpus.measured,
                settings: &lab.settings,
                is_matched: arm != Arm::TestpmdDefault,
                devices,
                forward: wiring.forward_mode(),
                is_sharing: wiring.has_generator(),
            };
            start.command = setup.command().shown();
            Dut::Testpmd(Testpmd::start(&name, &setup, dir, &lab.allowed, &lab.interrupt)?)
        } else {
            let file = match arm {
                Arm::BarewiredBefore => lab.before.as_deref(),
                _ => lab.barewired.as_deref(),
            };
            let file = file.ok_or_else(|| missing("barewired"))?;
            let text = configuration(wiring, arm, lab.mode, &lab.settings, lab.cpus, &files);
            let running = Barewired::start(
                &name,
                file,
                &text,
                files.control,
                dir,
                &lab.allowed,
                &lab.interrupt,
            )?;
            start.command = barewired::command(file, Path::new("barewired.toml")).shown();
            start.configuration = Some(text);
            start.plan = Some(running.plan.clone());
            Dut::Barewired(Box::new(running))
        };
        start.ready_ms = begun.elapsed().as_secs_f64() * 1e3;
        if let Some(generator) = &mut generator {
            // What it could not get rid of before there was anybody to take it, does not count.
            generator.restart(&lab.interrupt)?;
        }
        let mut running = Self { arm, start, dut, generator, pinned: None };
        running.pinned = running.find_pinned(lab, workers)?;
        running.start.resident_kib = resident_kib(&lab.root, running.program().pid());
        Ok(running)
    }

    /// The thread on the measured CPU. Who has it for itself alone, has to have exactly one there.
    fn find_pinned(&self, lab: &Lab, workers: usize) -> Result<Option<Pinned>, ProgramError> {
        let program = self.program();
        let found = Pinned::find(&lab.root, program.pid(), lab.cpus.measured)
            .map_err(|error| program.nonsense(error.to_string()))?;
        if found.is_none() && workers == 1 {
            let cpu = lab.cpus.measured;
            return Err(program.nonsense(format!("has not exactly one thread pinned to cpu {cpu}")));
        }
        Ok(found)
    }

    fn program(&self) -> &Program {
        match &self.dut {
            Dut::Testpmd(testpmd) => testpmd.program(),
            Dut::Barewired(barewired) => barewired.program(),
        }
    }

    /// The pinned thread, to see what disturbs it.
    #[must_use]
    pub fn pinned(&self) -> Option<&Pinned> {
        self.pinned.as_ref()
    }

    /// Takes it off the CPUs.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> Result<(), ProgramError> {
        self.program().pause()?;
        self.generator.as_ref().map_or(Ok(()), |generator| generator.program().pause())
    }

    /// Puts it back.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> Result<(), ProgramError> {
        self.generator.as_ref().map_or(Ok(()), |generator| generator.program().resume())?;
        self.program().resume()
    }

    /// Reads its counters.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn read(&mut self, interrupt: &Interrupt) -> Result<Reading, ProgramError> {
        match &mut self.dut {
            Dut::Testpmd(testpmd) => testpmd.read(interrupt),
            Dut::Barewired(barewired) => barewired.read(),
        }
    }

    /// Ends it, the program under measurement first.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(self, interrupt: &Interrupt) -> Result<End, ProgramError> {
        self.resume()?;
        let (is_conserved, totals) = match self.dut {
            Dut::Testpmd(testpmd) => {
                let totals = testpmd.stop(interrupt)?;
                (totals.received == totals.sent + totals.dropped, Some(totals))
            }
            Dut::Barewired(barewired) => (barewired.stop(interrupt)?, None),
        };
        let generator = self.generator.map(|generator| generator.stop(interrupt)).transpose()?;
        Ok(End { arm: self.arm, is_conserved, totals, generator })
    }
}

/// The resident memory of a process without hugepages (`VmRSS`, proc_pid_status(5)).
fn resident_kib(root: &Root, process: u32) -> Option<u64> {
    let status = root.text(&format!("proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim_ascii().strip_suffix(" kB")?.parse().ok()
}

/// A file prefix that no other EAL on the machine has.
fn prefix_of(dir: &Path) -> String {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("bwbench-{}-{name}", std::process::id())
}
