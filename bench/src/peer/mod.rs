//! `barewire-bench peer`: barewired against testpmd, on the same core, with the same virtual devices.
//!
//! ```text
//!  Case ── wiring, arms, comparisons
//!   │  block: every arm started afresh, then turns of --slice-ms in random order (trial)
//!   ▼
//!  Slice ── two Readings of the program's own counters ─► Interval, faults
//!   ▼
//!  CaseResult ── per round: ln(rate/rate) ─► per block: median ─► bootstrap over blocks ─► Verdict against the A/A floor
//!   ▼
//!  Report ── table, JSON
//! ```
//!
//! What is the same for both: CPU, devices, burst, descriptors, number of buffers, kind of memory, number of ports polled.
//! What is not: testpmd keeps no histograms and no counters by reason; it has `--record-core-cycles` and
//! `--record-burst-stats` off, as it comes. testpmd-default has its own number of buffers and descriptors.

pub mod barewired;
pub mod case;
pub mod hugepages;
pub mod reading;
pub mod report;
pub mod result;
pub mod run;
pub mod running;
pub mod testpmd;
pub mod traffic;
pub mod trial;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use config::CpuSet;
use linux::Root;

use self::{
    case::{Arm, Case, Cpus, Memory, Settings},
    report::{Machine, Report, Skipped},
    run::{Amount, RunError},
    running::Lab,
};
use crate::{
    cli::{CaseName, MemoryChoice, PeerArgs},
    exit::Exit,
    interrupt::{Interrupt, Interrupted},
    program::ProgramError,
    say,
};

/// Above this share of invalid slices the machine is not fit to measure on.
const UNFIT: f64 = 0.1;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The command line asks for what can not be.
    #[error("{0}")]
    Usage(String),
    /// A run ended early.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The machine can not be read, or a file not be written.
    #[error("{what}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Ctrl-C.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl PeerError {
    /// How the program ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Interrupted(_) | Self::Run(RunError::Program(ProgramError::Interrupted(_))) => {
                Exit::Interrupted
            }
            Self::Run(_) | Self::Io { .. } => Exit::Failure,
        }
    }
}

fn io<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &str,
) -> impl FnOnce(E) -> PeerError {
    let what = what.to_owned();
    move |source| PeerError::Io { what, source: io::Error::other(source) }
}

/// Runs the comparison and prints the result.
///
/// # Errors
/// [`PeerError`], with everything that was started gone and everything that was changed restored.
pub fn run(args: &PeerArgs) -> Result<Exit, PeerError> {
    let interrupt = Interrupt::install().map_err(io("cannot catch signals"))?;
    let root = Root::system().map_err(io("cannot read the machine"))?;
    let allowed = linux::thread::affinity().map_err(io("cannot read this process's CPUs"))?;
    let cpus = choose_cpus(args, &allowed)?;
    let (cases, mut skipped) = choose_cases(args)?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));

    let barewired = barewired::find(args.barewired.as_deref());
    let testpmd = testpmd::find(args.testpmd.as_deref());
    check_programs(&cases, barewired.as_ref(), args.before.as_ref(), testpmd.as_ref())?;

    let (memory, _reserved) = choose_memory(args, &root, &cases)?;
    let cases: Vec<Case> = cases
        .into_iter()
        .filter(|case| {
            let can_run = memory == Memory::Huge2M || !case.wiring.has_generator();
            if !can_run {
                let why = "vhost-user shares memory, which takes hugepages of 2 MiB".to_owned();
                skipped.push(Skipped { case: case.name.to_owned(), why });
            }
            can_run
        })
        .collect();

    let dir = tempfile::Builder::new()
        .prefix("barewire-bench-")
        .tempdir()
        .map_err(io("cannot make a temporary directory"))?;
    let capture = dir.path().join("frames.pcap");
    args.frames.write(&capture).map_err(io("cannot write the capture"))?;
    let settings = Settings {
        memory,
        burst: args.burst,
        descriptors: args.descriptors,
        buffers: args.buffers,
        cache: 256,
    };
    // Nothing of ours on the measured CPU: not this thread, and not those that it starts.
    linux::thread::pin(cpus.other).map_err(io("cannot stay off the measured CPU"))?;
    let mut report = Report::new(
        machine(&root, &allowed),
        cpus,
        settings,
        args.mode,
        args.frames.describe(),
        seed,
    );
    let lab = Lab {
        root,
        interrupt,
        cpus,
        allowed,
        settings,
        mode: args.mode,
        dir: dir.path().to_owned(),
        capture,
        barewired,
        before: args.before.clone(),
        testpmd,
    };
    let amount = amount(args);
    (report.blocks, report.rounds, report.slice_ms) = (amount.blocks, amount.rounds, args.slice_ms);
    report.skipped = skipped;
    for case in cases {
        report.cases.push(run::case(&lab, case, &amount, seed)?);
    }
    publish(args, &report)?;
    Ok(verdict_on_the_run(&report))
}

fn amount(args: &PeerArgs) -> Amount {
    let slice = Duration::from_millis(args.slice_ms);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clap bounds both: at most 600 s in slices of at least 10 ms"
    )]
    let rounds = (args.seconds / slice.as_secs_f64()).ceil().max(1.0) as usize;
    Amount { blocks: args.blocks, rounds, slice }
}

/// The last CPU is measured, the first does the rest, unless told otherwise.
fn choose_cpus(args: &PeerArgs, allowed: &CpuSet) -> Result<Cpus, PeerError> {
    let usage = |text: String| Err(PeerError::Usage(text));
    let (Some(first), Some(last)) = (allowed.first(), allowed.last()) else {
        return usage("this process may run on no CPU".to_owned());
    };
    let measured = args.cpu.unwrap_or(last);
    let other = args.other_cpu.unwrap_or(if measured == first { last } else { first });
    for cpu in [measured, other] {
        if !allowed.contains(cpu) {
            return usage(format!("cpu {cpu} is not among the CPUs of this process ({allowed})"));
        }
    }
    if measured == other {
        return usage(format!(
            "there have to be two CPUs: cpu {measured} can not be measured and do the rest (this process may use {allowed})"
        ));
    }
    Ok(Cpus { measured, other })
}

/// The cases asked for, with the arms asked for; and those of which no comparison is left.
fn choose_cases(args: &PeerArgs) -> Result<(Vec<Case>, Vec<Skipped>), PeerError> {
    let mut skipped = Vec::new();
    let mut cases = Vec::new();
    for mut case in case::all() {
        let is_wanted = args.case.iter().any(|name| match name {
            CaseName::All => true,
            CaseName::A => case.name.starts_with('a'),
            CaseName::B => case.name == "b",
            CaseName::C => case.name == "c",
            CaseName::Modes => case.name == "modes",
        });
        if !is_wanted {
            continue;
        }
        if args.before.is_some() {
            case = case.with_before();
        }
        if !args.arms.is_empty() {
            case = case.only(&args.arms);
        }
        if case.comparisons.is_empty() {
            let why = "none of its comparisons is between the arms asked for".to_owned();
            skipped.push(Skipped { case: case.name.to_owned(), why });
        } else {
            cases.push(case);
        }
    }
    if cases.is_empty() {
        return Err(PeerError::Usage("the arms asked for leave nothing to compare".to_owned()));
    }
    Ok((cases, skipped))
}

fn check_programs(
    cases: &[Case],
    barewired: Option<&PathBuf>,
    before: Option<&PathBuf>,
    testpmd: Option<&PathBuf>,
) -> Result<(), PeerError> {
    let takes_part = |is_testpmd| {
        cases.iter().any(|case| {
            (is_testpmd && case.wiring.has_generator())
                || case.arms.iter().any(|arm: &Arm| arm.is_testpmd() == is_testpmd)
        })
    };
    if takes_part(false) && barewired.is_none() {
        return Err(PeerError::Usage(
            "there is no barewired next to this program; build it, or say where it is with --barewired".to_owned(),
        ));
    }
    if takes_part(false) && before.is_some_and(|file| !file.is_file()) {
        return Err(PeerError::Usage("there is no program where --before says".to_owned()));
    }
    if takes_part(true) && testpmd.is_none() {
        return Err(PeerError::Usage(
            "there is no dpdk-testpmd; install Debian's package dpdk-dev, or say where it is with --testpmd".to_owned(),
        ));
    }
    Ok(())
}

/// The memory that both programs use, and the hugepages reserved for them.
fn choose_memory(
    args: &PeerArgs,
    root: &Root,
    cases: &[Case],
) -> Result<(Memory, Option<hugepages::Reserved>), PeerError> {
    if args.memory == MemoryChoice::None {
        return Ok((Memory::Ordinary, None));
    }
    let wanted = cases.iter().map(|case| pages(case, args.buffers)).max().unwrap_or(0);
    match hugepages::ensure(root, wanted) {
        Ok(reserved) => Ok((Memory::Huge2M, reserved)),
        Err(error) if args.memory == MemoryChoice::Huge2M => {
            Err(io("the hugepages asked for can not be had")(error))
        }
        Err(error) => {
            say::note(format_args!("ordinary pages instead of hugepages: {error}"));
            Ok((Memory::Ordinary, None))
        }
    }
}

/// Pages of 2 MiB for all arms of a case at once: buffers of 2.4 KiB, and 32 MiB for everything else of each program.
fn pages(case: &Case, buffers: u32) -> u64 {
    let of = |buffers: u32| u64::from(buffers) * 2432 / (2 << 20) + 16;
    let arms: u64 = case
        .arms
        .iter()
        .map(|&arm| of(if arm == Arm::TestpmdDefault { testpmd::DEFAULT_BUFFERS } else { buffers }))
        .sum();
    let generators = if case.wiring.has_generator() { case.arms.len() } else { 0 };
    arms + of(buffers) * u64::try_from(generators).unwrap_or(0)
}

fn machine(root: &Root, allowed: &CpuSet) -> Machine {
    let text = |path: &str| root.head(path, 64 * 1024).unwrap_or_else(|error| error.to_string());
    let cpuinfo = text("proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        cpu: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
        kernel: text("proc/sys/kernel/osrelease"),
        online: root
            .cpu_list("sys/devices/system/cpu/online")
            .map_or(allowed.len(), |cpus: CpuSet| cpus.len()),
        command_line: text("proc/cmdline"),
    }
}

fn publish(args: &PeerArgs, report: &Report) -> Result<(), PeerError> {
    if let Some(file) = &args.json {
        let text =
            serde_json::to_string_pretty(report).map_err(io("cannot write the report as JSON"))?;
        std::fs::write(file, text + "\n")
            .map_err(io(&format!("cannot write {}", file.display())))?;
    }
    let mut out = io::stdout();
    let table = report.table(args.color.is_on(&out));
    match out.write_all(table.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(io("cannot write the table")),
    }
}

fn verdict_on_the_run(report: &Report) -> Exit {
    let (slices, invalid) = report.validity();
    #[expect(clippy::cast_precision_loss, reason = "there are not 2^52 slices")]
    let is_unfit = slices > 0 && invalid as f64 > UNFIT * slices as f64;
    if is_unfit {
        say::note(format_args!(
            "{invalid} of {slices} slices do not count: this machine is not fit to measure on now"
        ));
        Exit::Unfit
    } else if report.skipped.is_empty() {
        Exit::Measured
    } else {
        Exit::Skipped
    }
}
