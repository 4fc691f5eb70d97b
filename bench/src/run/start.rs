//! A path that runs: its namespace, its cables, its program, and proof that a probe comes back.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use bench_result::trial::Started;
use config::CpuSet;
use linux::Root;

use super::{
    arm::{Arm, Driver, Group},
    configuration::{SETTINGS, configuration},
    link::{self, BEHIND, BEHIND_ADDRESS, Cables, FIRST_ADDRESS, GENERATOR, SECOND_ADDRESS},
    own::{Namespace, OwnError},
    plan::Member,
};
use crate::{
    interrupt::Interrupt,
    peer::{
        barewired::{self, Barewired},
        case::Cpus,
        testpmd::{self, Testpmd},
    },
    probe::{
        Wire as _,
        frame::{self, FrameError, Template},
        payload::Probe,
    },
    program::{CommandLine, Deadline, Program, ProgramError},
    wire::PacketWire,
};

/// How long a path may take until a probe comes back.
const READY: Duration = Duration::from_secs(5);
/// How long one of those is waited for, before another is sent.
const ANSWER: Duration = Duration::from_millis(5);

/// How long late ones of those are waited for.
const SETTLE: Duration = Duration::from_millis(200);

/// What all paths have in common.
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
    /// Where files go that vanish.
    pub dir: PathBuf,
    /// barewired's file; `None` when no arm needs it.
    pub barewired: Option<PathBuf>,
    /// testpmd's file; `None` when no arm needs it.
    pub testpmd: Option<PathBuf>,
}

/// Why a path does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Namespaces, interfaces, settings.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// Its program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Our end of the cable.
    #[error("our end of the cable can not be used")]
    Wire(#[source] io::Error),
    /// Its files.
    #[error("cannot make a directory for its files")]
    Directory(#[source] io::Error),
    /// No frames could be made for it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It runs, and does nothing.
    #[error("no probe comes back from {name} within {} s", READY.as_secs())]
    Silent {
        /// Its name.
        name: String,
    },
}

impl StartError {
    /// Was it Ctrl-C?
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Program(ProgramError::Interrupted(_))
                | Self::Own(OwnError::Program(ProgramError::Interrupted(_)))
        )
    }
}

/// A path that runs. Dropping it takes everything away: program, cables, namespace, files, in this order.
#[derive(Debug)]
pub struct Running {
    /// Our end.
    pub wire: PacketWire,
    /// How it was started.
    pub started: Started,
    program: Work,
    _cables: Cables,
    namespace: Option<Namespace>,
    _dir: tempfile::TempDir,
}

/// What does the work.
#[derive(Debug)]
enum Work {
    /// The kernel, or nothing at all.
    None,
    /// Our own echo.
    Echo(Program),
    /// barewired.
    Barewired(Box<Barewired>),
    /// testpmd.
    Testpmd(Testpmd),
}

impl Running {
    /// Starts a path and waits until a probe comes back.
    ///
    /// # Errors
    /// [`StartError`]; nothing of it is left then.
    pub fn start(
        lab: &Lab,
        group: Group,
        member: Member,
        block: usize,
    ) -> Result<Self, StartError> {
        let begun = Instant::now();
        let dir = tempfile::tempdir_in(&lab.dir).map_err(StartError::Directory)?;
        let cabling = link::cabling(group);
        let namespace = match cabling.theirs() {
            [] => None,
            _ => Some(Namespace::new(dir.path(), &lab.allowed, &lab.interrupt)?),
        };
        let cables = Cables::lay(cabling, namespace.as_ref())?;
        let mut started =
            Started { group, member, block, command: None, configuration: None, ready_ms: 0.0 };
        let program = match &namespace {
            None => Work::None,
            Some(inside) => {
                prepare(lab, inside, member.arm)?;
                let program = run(lab, inside, group, member, dir.path(), &mut started)?;
                up(inside, group)?;
                program
            }
        };
        let (out, back) = cabling.ours();
        let wire = PacketWire::open(out, back).map_err(StartError::Wire)?;
        let mut running = Self { wire, started, program, _cables: cables, namespace, _dir: dir };
        running.wait_until_ready(lab, group, member)?;
        running.started.ready_ms = begun.elapsed().as_secs_f64() * 1e3;
        Ok(running)
    }

    /// A process in the path's namespace.
    #[must_use]
    pub fn inside(&self) -> Option<u32> {
        self.namespace.as_ref().map(Namespace::pid)
    }

    /// Does it tell of gaps of its loops?
    #[must_use]
    pub fn tells_stalls(&self) -> bool {
        matches!(self.program, Work::Barewired(_))
    }

    /// Gaps of its loops, of those that tell, after those that an earlier answer ended with.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn stalls(&self, after: Option<&[u64]>) -> Result<Option<api::Stalls>, ProgramError> {
        match &self.program {
            Work::Barewired(barewired) => barewired.stalls(after).map(Some),
            Work::None | Work::Echo(_) | Work::Testpmd(_) => Ok(None),
        }
    }

    fn wait_until_ready(
        &mut self,
        lab: &Lab,
        group: Group,
        member: Member,
    ) -> Result<(), StartError> {
        let (to, destination) = link::destination(member.arm, group);
        let mut template = Template::new(&link::route(to, destination, 1), 64)?;
        let deadline = Deadline::after(READY);
        let (mut sequence, mut returned) = (0, 0);
        while !deadline.has_passed() {
            lab.interrupt.check().map_err(ProgramError::from)?;
            let probe = Probe { run: 0, sequence, intended: 0, late: 0 };
            sequence += 1;
            self.wire.send(template.fill(&probe)).map_err(StartError::Wire)?;
            let answer = Deadline::after(ANSWER);
            let mut is_back = false;
            while !is_back && !answer.has_passed() {
                self.wire
                    .receive(&mut |frame| is_back |= frame::probe(frame).is_ok())
                    .map_err(StartError::Wire)?;
            }
            returned += u32::from(is_back);
            if is_back {
                return self.settle(sequence - returned);
            }
        }
        Err(StartError::Silent { name: member.to_string() })
    }

    /// Waits for the probes before, which were only slow, so that they do not come in the middle of a trial.
    fn settle(&mut self, mut missing: u32) -> Result<(), StartError> {
        let deadline = Deadline::after(SETTLE);
        while missing > 0 && !deadline.has_passed() {
            self.wire
                .receive(&mut |frame| {
                    missing = missing.saturating_sub(u32::from(frame::probe(frame).is_ok()));
                })
                .map_err(StartError::Wire)?;
        }
        Ok(())
    }

    /// Ends it; answers whether it says that every frame is accounted for, if it says anything.
    ///
    /// # Errors
    /// When its program does not end.
    pub fn stop(self, interrupt: &Interrupt) -> Result<Option<bool>, StartError> {
        Ok(match self.program {
            Work::None => None,
            Work::Echo(mut program) => {
                if program.has_ended() {
                    return Err(program.ended("echoing").into());
                }
                None
            }
            Work::Barewired(barewired) => {
                // Its exit code also speaks of buffers, and net_af_xdp keeps those of its rings.
                let balanced = barewired.read()?.balanced;
                barewired.stop(interrupt)?;
                balanced
            }
            Work::Testpmd(testpmd) => {
                let totals = testpmd.stop(interrupt)?;
                Some(totals.received == totals.sent + totals.dropped)
            }
        })
    }
}

/// Addresses, and what the kernel does by itself.
fn prepare(lab: &Lab, inside: &Namespace, arm: Arm) -> Result<(), OwnError> {
    let ip = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        inside.command(&words).map(drop)
    };
    match arm {
        Arm::KernelEchoBlock | Arm::KernelEchoSpin => {
            ip(&format!("ip addr add {FIRST_ADDRESS}/24 dev dut0"))?;
            ip(&format!(
                "ip neigh replace {} lladdr {GENERATOR} dev dut0 nud permanent",
                link::OUR_ADDRESS
            ))?;
        }
        Arm::KernelRoute | Arm::KernelRouteRps | Arm::KernelRouteThreaded => {
            ip(&format!("ip addr add {FIRST_ADDRESS}/24 dev dut0"))?;
            ip(&format!("ip addr add {SECOND_ADDRESS}/24 dev dut1"))?;
            ip(&format!(
                "ip neigh replace {BEHIND_ADDRESS} lladdr {BEHIND} dev dut1 nud permanent"
            ))?;
            inside.set("ipv4/ip_forward", "1")?;
            if arm == Arm::KernelRouteRps {
                let mask = mask(lab.cpus.measured.get());
                inside.set_interface("dut0/queues/rx-0/rps_cpus", &mask)?;
            }
            if arm == Arm::KernelRouteThreaded {
                threaded(lab, inside)?;
            }
        }
        Arm::KernelBridge => {
            ip("ip link add br0 type bridge stp_state 0 forward_delay 0")?;
            for port in ["dut0", "dut1"] {
                ip(&format!("ip link set {port} master br0"))?;
                ip(&format!("ip link set {port} type bridge_slave learning off"))?;
            }
            ip(&format!("bridge fdb add {BEHIND} dev dut1 master static"))?;
            ip("ip link set br0 arp off up")?;
        }
        Arm::PacketEchoSpin
        | Arm::BarewiredAfPacket
        | Arm::BarewiredAfXdp
        | Arm::TestpmdAfPacket
        | Arm::TestpmdAfXdp
        | Arm::Wire => {}
    }
    Ok(())
}

/// A program may have set its interfaces down and up again, or down.
fn up(inside: &Namespace, group: Group) -> Result<(), OwnError> {
    for interface in link::cabling(group).theirs() {
        inside.command(&["ip", "link", "set", interface, "up"])?;
    }
    Ok(())
}

/// A set of one CPU as the kernel reads it: words of 32 bits in base 16, the highest first.
fn mask(cpu: u32) -> String {
    let zeros = ",00000000".repeat(cpu as usize / 32);
    format!("{:x}{zeros}", 1_u32 << (cpu % 32))
}

/// Lets a kernel thread on the measured CPU do the work of `dut0`. On veth that takes GRO, which gives it a NAPI context
/// (`drivers/net/veth.c`, `veth_set_features`); our datagrams are not joined by it.
fn threaded(lab: &Lab, inside: &Namespace) -> Result<(), OwnError> {
    let before = napi_threads(&lab.root);
    inside.command(&["ethtool", "-K", "dut0", "gro", "on"])?;
    inside.set_interface("dut0/threaded", "1")?;
    for thread in napi_threads(&lab.root).iter().filter(|thread| !before.contains(thread)) {
        let (cpu, thread) = (lab.cpus.measured.to_string(), thread.to_string());
        super::own::command(&["taskset", "-p", "-c", &cpu, &thread])?;
    }
    Ok(())
}

fn napi_threads(root: &Root) -> Vec<u32> {
    let names = root.names("proc").unwrap_or_default();
    let processes = names.iter().filter_map(|name| name.parse().ok());
    let is_one = |process: &u32| {
        root.text(&format!("proc/{process}/comm")).is_ok_and(|name| name.starts_with("napi/dut0-"))
    };
    processes.filter(is_one).collect()
}

/// Starts the program of a path, of those that have one.
fn run(
    lab: &Lab,
    inside: &Namespace,
    group: Group,
    member: Member,
    dir: &Path,
    started: &mut Started,
) -> Result<Work, StartError> {
    let name = member.to_string();
    let arm = member.arm;
    let how = match arm {
        Arm::KernelEchoBlock => "block",
        Arm::KernelEchoSpin => "spin",
        Arm::PacketEchoSpin => "packet",
        Arm::KernelRoute
        | Arm::KernelRouteRps
        | Arm::KernelRouteThreaded
        | Arm::KernelBridge
        | Arm::Wire => return Ok(Work::None),
        Arm::BarewiredAfPacket => {
            return start_barewired(lab, inside, group, Driver::AfPacket, &name, dir, started);
        }
        Arm::BarewiredAfXdp => {
            return start_barewired(lab, inside, group, Driver::AfXdp, &name, dir, started);
        }
        Arm::TestpmdAfPacket => {
            return start_testpmd(lab, inside, group, Driver::AfPacket, &name, dir, started);
        }
        Arm::TestpmdAfXdp => {
            return start_testpmd(lab, inside, group, Driver::AfXdp, &name, dir, started);
        }
    };
    let own = std::env::current_exe().map_err(|source| ProgramError::Start {
        name: name.clone(),
        file: "barewire-bench".into(),
        source,
    })?;
    let cpu = lab.cpus.measured.to_string();
    let line = CommandLine::new(&own).args(["echo", "--how", how, "--cpu", &cpu]);
    started.command = Some(line.shown());
    let mut program = Program::start(&name, &inside.inside(line), dir, &lab.allowed)?;
    let deadline = Deadline::after(READY);
    while program.hear("getting ready", &deadline, &lab.interrupt)? != "ready" {}
    Ok(Work::Echo(program))
}

fn missing(name: &str, file: &str) -> ProgramError {
    let source = io::ErrorKind::NotFound.into();
    ProgramError::Start { name: name.to_owned(), file: file.into(), source }
}

/// DPDK makes a directory for each process and leaves it; here it is among what vanishes.
fn keeping_to(dir: &Path, mut line: CommandLine) -> CommandLine {
    line.environment.push(("RUNTIME_DIRECTORY".to_owned(), dir.as_os_str().to_owned()));
    line
}

fn start_barewired(
    lab: &Lab,
    inside: &Namespace,
    group: Group,
    driver: Driver,
    name: &str,
    dir: &Path,
    started: &mut Started,
) -> Result<Work, StartError> {
    let file = lab.barewired.as_deref().ok_or_else(|| missing(name, "barewired"))?;
    let socket = dir.join("control.sock");
    let text = configuration(group, driver, lab.cpus, &socket);
    let (allowed, interrupt) = (&lab.allowed, &lab.interrupt);
    let running =
        Barewired::start_as(name, file, &text, &socket, dir, allowed, interrupt, |line| {
            inside.inside(keeping_to(dir, line))
        })?;
    started.command = Some(barewired::command(file, Path::new("barewired.toml")).shown());
    started.configuration = Some(text);
    Ok(Work::Barewired(Box::new(running)))
}

fn start_testpmd(
    lab: &Lab,
    inside: &Namespace,
    group: Group,
    driver: Driver,
    name: &str,
    dir: &Path,
    started: &mut Started,
) -> Result<Work, StartError> {
    let interfaces = link::cabling(group).theirs();
    let setup = testpmd::Setup {
        file: lab.testpmd.as_deref().ok_or_else(|| missing(name, "dpdk-testpmd"))?,
        prefix: format!("bwrun-{}", std::process::id()),
        main: lab.cpus.other,
        worker: lab.cpus.measured,
        settings: &SETTINGS,
        is_matched: true,
        devices: interfaces
            .iter()
            .enumerate()
            .map(|(number, interface)| driver.device(number, interface))
            .collect(),
        forward: if group == Group::Forward { "io" } else { "5tswap" },
        is_sharing: false,
    };
    let line = setup.command();
    started.command = Some(line.shown());
    let line = inside.inside(keeping_to(dir, line));
    let ports = interfaces.len();
    let running = Testpmd::start_as(name, &line, ports, dir, &lab.allowed, &lab.interrupt)?;
    Ok(Work::Testpmd(running))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_cpu_is_written_as_the_kernel_reads_it() {
        assert_eq!(mask(1), "2");
        assert_eq!(mask(31), "80000000");
        assert_eq!(mask(32), "1,00000000");
        assert_eq!(mask(65), "2,00000000,00000000");
    }
}
