//! A path that runs: its namespace, its cables, its program, and proof that a probe comes back.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bench_result::generator::Via;
pub use bench_result::trial::Started;
use config::{CpuId, CpuSet};
use linux::{Root, bpf::BpfError, clock::TickRate};

use super::{
    arm::{Driver, Group},
    kernel::{Prepared, prepare},
    link::{self, Cables, Cabling},
    own::{Namespace, OwnError},
    plan::{External, Member, StampedBy},
    work::{Place, Work, vhost_socket},
};
use crate::{
    environment::nics,
    handoff,
    interrupt::Interrupt,
    peer::case::Cpus,
    probe::{
        Frames,
        frame::{self, FrameError, Template},
        payload::Probe,
    },
    program::{Deadline, ProgramError},
    wire::{DpdkWire, DpdkWireError, Generator, PacketWire, Way, XdpWire},
};

/// How long a path may take until a probe comes back. On a machine that does something else meanwhile, a program that shares
/// its CPU may take seconds.
const READY: Duration = Duration::from_secs(20);
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
    /// How fast the CPU's counter runs.
    pub rate: TickRate,
    /// Ports of this machine.
    pub external: Option<External>,
}

impl Lab {
    /// The CPUs of so many workers: the measured one first, then others than the generator's.
    #[must_use]
    pub fn workers(&self, count: usize) -> Vec<CpuId> {
        let Cpus { measured, other } = self.cpus;
        let more = self.allowed.iter().filter(|cpu| *cpu != measured && *cpu != other);
        std::iter::once(measured).chain(more).take(count).collect()
    }
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
    /// Our end of the shared memory.
    #[error(transparent)]
    Dpdk(#[from] DpdkWireError),
    /// Our XDP program.
    #[error(transparent)]
    Xdp(#[from] BpfError),
    /// DPDK did not start in this process.
    #[error("it takes DPDK in this process, which did not start")]
    NoGenerator,
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
pub struct Running<'eal> {
    /// Our end.
    pub wire: Way<'eal>,
    /// How it was started.
    pub started: Started,
    /// What does the work.
    pub work: Work,
    prepared: Prepared,
    _cables: Cables,
    namespace: Option<Namespace>,
    _dir: tempfile::TempDir,
}

/// Which path to start.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Its work.
    pub group: Group,
    /// Which one.
    pub member: Member,
    /// In which block.
    pub block: usize,
    /// Workers of barewired.
    pub workers: usize,
    /// What the generator uses, where that can be chosen.
    pub via: Via,
}

impl<'eal> Running<'eal> {
    /// Starts a path and waits until a probe comes back.
    ///
    /// # Errors
    /// [`StartError`]; nothing of it is left then.
    pub fn start(
        lab: &Lab,
        generator: Option<Generator<'eal>>,
        wanted: Wanted,
    ) -> Result<Self, StartError> {
        let begun = Instant::now();
        let Wanted { group, member, block, workers, via } = wanted;
        let dir = tempfile::tempdir_in(&lab.dir).map_err(StartError::Directory)?;
        let cabling = link::cabling(group, member.arm);
        let namespace = match cabling.is_apart() {
            false => None,
            true => Some(Namespace::new(dir.path(), &lab.allowed, &lab.interrupt)?),
        };
        let cables = Cables::lay(cabling, namespace.as_ref())?;
        let shared = shared(lab, cabling, generator, dir.path())?;
        // While nothing turns on the measured CPU.
        let handoff_ns = handoff::round_trip(lab.cpus.measured).unwrap_or(None);
        let mut started = Started {
            group,
            member,
            block,
            command: None,
            configuration: None,
            ready_ms: 0.0,
            handoff_ns,
            wire: BTreeMap::new(),
        };
        let prepared = match &namespace {
            Some(inside) => prepare(lab, inside, member.arm)?,
            None => Prepared::default(),
        };
        let place =
            Place { lab, inside: namespace.as_ref(), group, member, workers, dir: dir.path() };
        let work = place.start(&mut started)?;
        up(namespace.as_ref(), cabling)?;
        let wire = match (shared, cabling.ours()) {
            (Some(wire), _) => Way::Dpdk(Box::new(wire)),
            (None, Some((out, back))) => through(via, generator, out, back)?,
            (None, None) => return Err(StartError::NoGenerator),
        };
        let mut running =
            Self { wire, started, work, prepared, _cables: cables, namespace, _dir: dir };
        running.wait_until_ready(lab, group, member)?;
        running.started.ready_ms = begun.elapsed().as_secs_f64() * 1e3;
        if block == 0 {
            running.started.wire = running.ends(cabling);
        }
        Ok(running)
    }

    /// What both ends of the wire are set to.
    fn ends(&self, cabling: Cabling) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        if let Some((out, back)) = cabling.ours() {
            all.extend([out, back].into_iter().flat_map(|ours| nics::of(ours, ours)));
        }
        if let Some(inside) = &self.namespace {
            let theirs = cabling.theirs().iter();
            let there = || theirs.flat_map(|name| nics::of(name, name)).collect::<Vec<_>>();
            match linux::namespace::in_network_of(inside.pid(), there) {
                Ok(found) => all.extend(found),
                Err(error) => drop(all.insert("path".to_owned(), format!("unknown: {error}"))),
            }
        }
        if let Way::Dpdk(ports) = &self.wire {
            all.extend(ports.told());
        }
        if let Some(driver) = self.started.member.arm.driver() {
            all.insert("path.pmd".to_owned(), driver.pmd().to_owned());
        }
        all
    }

    /// The threads that do the path's work on this CPU.
    #[must_use]
    pub fn threads(&self, root: &Root, cpu: CpuId) -> Vec<u32> {
        let own = self.work.pid().map_or(Vec::new(), |pid| threads_on(root, pid, cpu));
        self.prepared.threads.iter().copied().chain(own).collect()
    }

    /// A process in the path's namespace.
    #[must_use]
    pub fn inside(&self) -> Option<u32> {
        self.namespace.as_ref().map(Namespace::pid)
    }

    fn wait_until_ready(
        &mut self,
        lab: &Lab,
        group: Group,
        member: Member,
    ) -> Result<(), StartError> {
        let route = link::probes(lab.external.as_ref(), group, member.arm, 1);
        let mut template = Template::new(&route, 64)?;
        let deadline = Deadline::after(READY);
        let (mut sequence, mut returned) = (0, 0);
        while !deadline.has_passed() {
            lab.interrupt.check().map_err(ProgramError::from)?;
            let probe = Probe { run: 0, sequence, intended: 0, late: 0 };
            sequence += 1;
            let frame = Frames::one(template.fill(&probe));
            let is_back = self.wire.with(|wire| {
                let is_sent = wire.send(&frame)? == 1;
                let answer = Deadline::after(ANSWER);
                let mut is_back = false;
                while !is_back && !answer.has_passed() {
                    wire.receive(&mut |frame, _| is_back |= frame::probe(frame).is_ok())?;
                }
                // What did not leave is not missed.
                returned += u32::from(is_back || !is_sent);
                Ok::<_, io::Error>(is_back)
            });
            if is_back.map_err(StartError::Wire)? {
                return self.settle(sequence.saturating_sub(returned));
            }
        }
        Err(StartError::Silent { name: member.to_string() })
    }

    /// Waits for the probes before, which were only slow, so that they do not come in the middle of a trial.
    fn settle(&mut self, mut missing: u32) -> Result<(), StartError> {
        let deadline = Deadline::after(SETTLE);
        let settled = self.wire.with(|wire| {
            while missing > 0 && !deadline.has_passed() {
                wire.receive(&mut |frame, _| {
                    missing = missing.saturating_sub(u32::from(frame::probe(frame).is_ok()));
                })?;
            }
            Ok::<_, io::Error>(())
        });
        settled.map_err(StartError::Wire)
    }

    /// Ends it; answers whether it says that every frame is accounted for, if it says anything.
    ///
    /// # Errors
    /// When its program does not end.
    pub fn stop(self, interrupt: &Interrupt) -> Result<Option<bool>, StartError> {
        Ok(self.work.stop(interrupt)?)
    }
}

/// A wire on interfaces of ours.
fn through<'eal>(
    via: Via,
    generator: Option<Generator<'eal>>,
    out: &str,
    back: &str,
) -> Result<Way<'eal>, StartError> {
    let dpdk = |driver: Driver| {
        let generator = generator.ok_or(StartError::NoGenerator)?;
        let wire = DpdkWire::on(generator, driver, out, back)?;
        Ok(Way::Dpdk(Box::new(wire)))
    };
    match via {
        Via::PacketSocket => PacketWire::open(out, back).map(Way::Packet).map_err(StartError::Wire),
        Via::XdpSocket => {
            let wire = XdpWire::open(out, back).map_err(StartError::Wire)?;
            Ok(Way::Xdp(Box::new(wire)))
        }
        Via::DpdkAfPacket => dpdk(Driver::AfPacket),
        Via::DpdkAfXdp => dpdk(Driver::AfXdp),
    }
}

/// The wire that is there before the path's program, which connects to it.
fn shared<'eal>(
    lab: &Lab,
    cabling: Cabling,
    generator: Option<Generator<'eal>>,
    dir: &Path,
) -> Result<Option<DpdkWire<'eal>>, StartError> {
    let (device, arguments) = match cabling {
        Cabling::Shared => ("net_vhost0", format!("iface={},queues=1", vhost_socket(dir))),
        Cabling::Ring => ("net_ring0", String::new()),
        Cabling::Memory => {
            let generator = generator.ok_or(StartError::NoGenerator)?;
            return Ok(Some(DpdkWire::joined(generator, &vhost_socket(dir))?));
        }
        Cabling::Ports => {
            let generator = generator.ok_or(StartError::NoGenerator)?;
            let External { out, back, stamps, .. } =
                lab.external.as_ref().ok_or(StartError::NoGenerator)?;
            let wire = match stamps {
                StampedBy::Software => DpdkWire::ports(generator, out, back)?,
                StampedBy::Hardware => DpdkWire::stamped_ports(generator, lab.rate, out, back)?,
            };
            return Ok(Some(wire));
        }
        Cabling::One | Cabling::Two | Cabling::Loop | Cabling::Tap => return Ok(None),
    };
    let generator = generator.ok_or(StartError::NoGenerator)?;
    Ok(Some(DpdkWire::plug(generator, device, &arguments)?))
}

/// A program may have set its interfaces down and up again, or down; or have made them just now.
fn up(inside: Option<&Namespace>, cabling: Cabling) -> Result<(), OwnError> {
    for interface in cabling.theirs() {
        match inside {
            Some(inside) => drop(inside.command(&["ip", "link", "set", interface, "up"])?),
            None => link::quiet(interface)?,
        }
    }
    Ok(())
}

/// The threads of a process that may run on this CPU and on no other.
fn threads_on(root: &Root, process: u32, cpu: CpuId) -> Vec<u32> {
    let tasks = root.names(&format!("proc/{process}/task")).unwrap_or_default();
    let threads = tasks.iter().filter_map(|name| name.parse().ok());
    let is_there = |thread: &u32| {
        let status = root.text(&format!("proc/{process}/task/{thread}/status"));
        let label = "Cpus_allowed_list:";
        let allowed = status.unwrap_or_default();
        let allowed = allowed.lines().find_map(|line| line.strip_prefix(label));
        allowed.is_some_and(|cpus| cpus.trim() == cpu.to_string())
    };
    threads.filter(is_there).collect()
}
