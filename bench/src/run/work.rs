//! The programs of paths: ours, barewired, testpmd.

use std::{io, path::Path, time::Duration};

pub use bench_result::trial::Started;

use super::{
    arm::{Arm, Bypass, Driver, Group},
    configuration::{SETTINGS, configuration},
    echo::How,
    link,
    own::Namespace,
    plan::Member,
    start::Lab,
};
use crate::{
    interrupt::Interrupt,
    peer::{
        barewired::{self, Barewired},
        testpmd::{self, Testpmd},
    },
    program::{CommandLine, Deadline, Program, ProgramError},
};

/// How long our own program may take until it echoes, on a machine that does something else meanwhile.
const READY: Duration = Duration::from_secs(20);

/// What does the work.
#[derive(Debug)]
pub enum Work {
    /// The kernel, or nothing at all.
    None,
    /// Our own program: an echo, or one that holds an XDP program.
    Echo(Program),
    /// barewired.
    Barewired(Box<Barewired>),
    /// testpmd.
    Testpmd(Testpmd),
}

/// Where a path's program runs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The machine.
    pub lab: &'a Lab,
    /// The path's namespace; none when it is in ours.
    pub inside: Option<&'a Namespace>,
    /// The work.
    pub group: Group,
    /// Which path.
    pub member: Member,
    /// Workers of barewired.
    pub workers: usize,
    /// For its files.
    pub dir: &'a Path,
}

impl Place<'_> {
    /// Starts the program, of those that have one, and notes how.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(&self, started: &mut Started) -> Result<Work, ProgramError> {
        let how = match self.member.arm {
            Arm::KernelEchoBlock => How::Block,
            Arm::KernelEchoSpin => How::Spin,
            Arm::KernelEchoBusyPoll => How::BusyPoll,
            Arm::PacketEchoSpin => How::Packet,
            Arm::XdpSocketEchoSpin => How::XdpSocket,
            Arm::XdpTx => How::XdpTx,
            Arm::XdpRedirect => How::XdpRedirect,
            Arm::TapEchoBlock => How::TapBlock,
            Arm::TapEchoSpin => How::TapSpin,
            Arm::KernelRoute
            | Arm::KernelRouteRps
            | Arm::KernelRouteThreaded
            | Arm::KernelBridge
            | Arm::External
            | Arm::Wire
            | Arm::Ring
            | Arm::Memory => return Ok(Work::None),
            Arm::BarewiredAfPacket
            | Arm::BarewiredAfXdp
            | Arm::BarewiredTap
            | Arm::BarewiredVirtio
            | Arm::TestpmdAfPacket
            | Arm::TestpmdAfXdp
            | Arm::TestpmdTap
            | Arm::TestpmdVirtio => {
                return match self.member.arm.bypass() {
                    Some((Bypass::Barewired, driver)) => self.barewired(driver, started),
                    Some((Bypass::Testpmd, driver)) => self.testpmd(driver, started),
                    None => Ok(Work::None),
                };
            }
        };
        self.echo(how, started)
    }

    fn name(&self) -> String {
        self.member.to_string()
    }

    fn enter(&self, line: CommandLine) -> CommandLine {
        match self.inside {
            Some(inside) => inside.inside(line),
            None => line,
        }
    }

    fn echo(&self, how: How, started: &mut Started) -> Result<Work, ProgramError> {
        let name = self.name();
        let own = std::env::current_exe().map_err(|source| ProgramError::Start {
            name: name.clone(),
            file: "barewire-bench".into(),
            source,
        })?;
        let cpu = self.lab.cpus.measured.to_string();
        let interface = if self.group == Group::Tap { link::TAP } else { "dut0" };
        let words = ["echo", "--how", how.word(), "--cpu", &cpu, "--interface", interface];
        let line = CommandLine::new(&own).args(words);
        started.command = Some(line.shown());
        let Lab { allowed, interrupt, .. } = self.lab;
        let mut program = Program::start(&name, &self.enter(line), self.dir, allowed)?;
        let deadline = Deadline::after(READY);
        while program.hear("getting ready", &deadline, interrupt)? != "ready" {}
        Ok(Work::Echo(program))
    }

    fn missing(&self, file: &str) -> ProgramError {
        let source = io::ErrorKind::NotFound.into();
        ProgramError::Start { name: self.name(), file: file.into(), source }
    }

    /// DPDK makes a directory for each process and leaves it; here it is among what vanishes.
    fn keep_to_dir(&self, mut line: CommandLine) -> CommandLine {
        let dir = self.dir.as_os_str().to_owned();
        line.environment.push(("RUNTIME_DIRECTORY".to_owned(), dir));
        line
    }

    /// What the driver's devices are on: interfaces, or the socket of the generator.
    fn places(&self, driver: Driver) -> Vec<String> {
        match driver {
            Driver::VirtioUser => vec![vhost_socket(self.dir)],
            Driver::AfPacket | Driver::AfXdp | Driver::Tap => {
                let interfaces = link::cabling(self.group, self.member.arm).theirs();
                interfaces.iter().map(|interface| (*interface).to_owned()).collect()
            }
        }
    }

    fn barewired(&self, driver: Driver, started: &mut Started) -> Result<Work, ProgramError> {
        let lab = self.lab;
        let file = lab.barewired.as_deref().ok_or_else(|| self.missing("barewired"))?;
        let socket = self.dir.join("control.sock");
        let text = configuration(
            self.group,
            driver,
            &self.places(driver),
            lab.cpus,
            &lab.workers(self.workers),
            &socket,
        );
        let running = Barewired::start_as(
            &self.name(),
            file,
            &text,
            &socket,
            self.dir,
            &lab.allowed,
            &lab.interrupt,
            |line| self.enter(self.keep_to_dir(line)),
        )?;
        started.command = Some(barewired::command(file, Path::new("barewired.toml")).shown());
        started.configuration = Some(text);
        Ok(Work::Barewired(Box::new(running)))
    }

    fn testpmd(&self, driver: Driver, started: &mut Started) -> Result<Work, ProgramError> {
        let lab = self.lab;
        let places = self.places(driver);
        let devices = places.iter().enumerate().map(|(number, place)| driver.device(number, place));
        let setup = testpmd::Setup {
            file: lab.testpmd.as_deref().ok_or_else(|| self.missing("dpdk-testpmd"))?,
            prefix: format!("bwrun-{}", std::process::id()),
            main: lab.cpus.other,
            worker: lab.cpus.measured,
            settings: &SETTINGS,
            is_matched: true,
            devices: devices.collect(),
            forward: if self.group == Group::Forward { "io" } else { "5tswap" },
            is_sharing: false,
        };
        let line = setup.command();
        started.command = Some(line.shown());
        let line = self.enter(self.keep_to_dir(line));
        let Lab { allowed, interrupt, .. } = lab;
        Testpmd::start_as(&self.name(), &line, places.len(), self.dir, allowed, interrupt)
            .map(Work::Testpmd)
    }
}

/// Where the generator listens for the path, with shared memory.
#[must_use]
pub fn vhost_socket(dir: &Path) -> String {
    dir.join("vhost.sock").display().to_string()
}

impl Work {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Echo(program) => Some(program.pid()),
            Self::Barewired(barewired) => Some(barewired.program().pid()),
            Self::Testpmd(testpmd) => Some(testpmd.program().pid()),
        }
    }

    /// Does it tell of gaps of its loops?
    #[must_use]
    pub fn tells_stalls(&self) -> bool {
        matches!(self, Self::Barewired(_))
    }

    /// Gaps of its loops, of those that tell, after those that an earlier answer ended with.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn stalls(&self, after: Option<&[u64]>) -> Result<Option<api::Stalls>, ProgramError> {
        match self {
            Self::Barewired(barewired) => barewired.stalls(after).map(Some),
            Self::None | Self::Echo(_) | Self::Testpmd(_) => Ok(None),
        }
    }

    /// How often its polls returned how many frames, since its start, of those that tell.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn bursts(&self) -> Result<Option<Vec<u64>>, ProgramError> {
        match self {
            Self::Barewired(barewired) => barewired.bursts().map(Some),
            Self::None | Self::Echo(_) | Self::Testpmd(_) => Ok(None),
        }
    }

    /// Ends it; answers whether it says that every frame is accounted for, if it says anything.
    ///
    /// # Errors
    /// When it has ended before, or does not end.
    pub fn stop(self, interrupt: &Interrupt) -> Result<Option<bool>, ProgramError> {
        Ok(match self {
            Self::None => None,
            Self::Echo(mut program) => {
                if program.has_ended() {
                    return Err(program.ended("echoing"));
                }
                None
            }
            Self::Barewired(barewired) => {
                // Its exit code also speaks of buffers, and net_af_xdp keeps those of its rings.
                let balanced = barewired.read()?.balanced;
                barewired.stop(interrupt)?;
                balanced
            }
            Self::Testpmd(testpmd) => {
                let totals = testpmd.stop(interrupt)?;
                Some(totals.received == totals.sent + totals.dropped)
            }
        })
    }
}
