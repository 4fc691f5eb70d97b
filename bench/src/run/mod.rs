//! The kernel's paths against those around it: `barewire-bench run`.
//!
//! ```text
//!  plan ─► experiment ─┬─► start: namespaces (own), cables (link), a path's program, a probe that comes back
//!                      └─► trial: probes through a wire, counters, what makes it invalid
//!  trials ─► conclude ─► result ─► files, summary
//! ```
//! Everything happens in namespaces of our own, made by [`own`]: they are gone when we are, however we end.

pub mod attribution;
pub mod conclude;
pub mod configuration;
pub mod counters;
pub mod echo;
pub mod enough;
pub mod experiment;
pub mod files;
pub mod first;
pub mod kernel;
pub mod link;
pub mod own;
pub mod rates;
pub mod replay;
pub mod start;
pub mod summary;
pub mod throughput;
pub mod trial;
pub mod work;
pub mod xdp;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use bench_result::generator::Via;
pub use bench_result::{arm, plan, run as result};
use config::CpuSet;
use dpdk::{Eal, EalError};
use linux::{Root, clock::TickRate};

use self::{
    arm::{Arm, Driver},
    own::OwnError,
    plan::{External, Member, Plan, PlanError},
    replay::ReplayError,
    result::{End, LeftOut, RunResult, SCHEMA},
    start::Lab,
    throughput::ThroughputPlan,
};
use crate::{
    cli::RunArgs,
    environment,
    exit::Exit,
    interrupt::Interrupt,
    peer::{barewired, case::Cpus, testpmd},
    qualify::{self, Class},
    say,
    wire::{
        DpdkWireError, Generator,
        dpdk::{BUFFERS, KEPT},
    },
};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The clock is none.
    #[error(
        "this CPU's counter does not run at one rate, so times would not be to be trusted (--unsteady-counter measures all the same)"
    )]
    Unsteady,
    /// A capture of the plan.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The command line asks for what can not be.
    #[error("{0}")]
    Usage(String),
    /// No place of our own.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// DPDK did not start.
    #[error("DPDK does not start in this process")]
    Dpdk(#[from] EalError),
    /// It has no buffers.
    #[error(transparent)]
    Wire(#[from] DpdkWireError),
    /// The host could not be looked at.
    #[error("the host could not be qualified")]
    Qualify(#[from] noise::MeasureError),
    /// The machine can not be read, or a file not be written.
    #[error("{what}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl RunError {
    /// How the program ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Plan(_) | Self::Replay(_) | Self::Usage(_) => Exit::Usage,
            Self::Unsteady
            | Self::Own(_)
            | Self::Dpdk(_)
            | Self::Wire(_)
            | Self::Qualify(_)
            | Self::Io { .. } => Exit::Failure,
        }
    }
}

fn io<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &str,
) -> impl FnOnce(E) -> RunError + use<E> {
    let what = what.to_owned();
    move |source| RunError::Io { what, source: io::Error::other(source) }
}

/// Measures a plan, writes the files and prints the summary.
///
/// It has to be called before this process has a second thread.
///
/// # Errors
/// [`RunError`]; nothing is left then.
pub fn run(args: &RunArgs) -> Result<Exit, RunError> {
    let mut plan = Plan::find(&args.plan)?;
    replay::resolve(&mut plan)?;
    let now = SystemTime::now();
    let begun = jiff::Timestamp::try_from(now).map_err(io("the clock is wrong"))?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("bench-{}-{}", plan.name, begun.strftime("%Y%m%dT%H%M%SZ"))),
    };
    // Made now, so that nobody waits for what can not be written; and opened from here on whatever is mounted above.
    std::fs::create_dir_all(&out).map_err(io(&format!("cannot make {}", out.display())))?;
    let out = out.canonicalize().map_err(io(&format!("cannot find {}", out.display())))?;
    let root = Root::system().map_err(io("cannot read the machine"))?;
    if linux::clock::is_steady(&root).into_known() == Some(false) && !args.unsteady_counter {
        return Err(RunError::Unsteady);
    }
    let allowed = linux::thread::affinity().map_err(io("cannot read this process's CPUs"))?;
    let cpus = choose_cpus(args, &allowed)?;
    // While the machine's own interfaces are seen.
    let mut environment = environment::read(&root);

    // A program that enters a namespace starts at its root.
    let whole = |file: PathBuf| file.canonicalize().ok();
    let barewired = barewired::find(args.barewired.as_deref()).and_then(whole);
    let testpmd = testpmd::find(args.testpmd.as_deref()).and_then(whole);
    environment.extend(environment::programs(barewired.as_deref(), testpmd.as_deref()));
    let (plan, left_out) = possible(plan, barewired.is_some(), testpmd.is_some());
    if plan.groups.is_empty() && plan.throughput.is_empty() {
        return Err(RunError::Usage("nothing of the plan can run here".to_owned()));
    }
    let own = std::env::current_exe().map_err(io("cannot find this program"))?;
    let used: Vec<&Path> = [Some(&out), Some(&own), barewired.as_ref(), testpmd.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    let dir = own::enter(&root, &used)?;

    let interrupt = Interrupt::install().map_err(io("cannot catch signals"))?;
    say::progress(format_args!("looking at the host"));
    let host = qualify::qualify(
        &root,
        cpus.measured,
        &CpuSet::from_iter([cpus.measured, cpus.other]),
        Duration::from_millis(plan.qualify_ms),
    )?;
    say::end_of_progress();
    // Nothing of ours on the measured CPU: not this thread, and not those that it starts.
    linux::thread::pin(cpus.other).map_err(io("cannot stay off the measured CPU"))?;
    if let Err(error) = linux::thread::lock_memory() {
        say::note(format_args!("this program's memory can not be locked: {error}"));
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let rate = TickRate::calibrate(Duration::from_millis(200)).map_err(io("there is no clock"))?;
    let lab = Lab {
        root,
        rate,
        interrupt,
        cpus,
        allowed,
        dir,
        barewired,
        testpmd,
        external: plan.external.clone(),
    };
    announce(&plan);
    let start = Instant::now();
    let buffers = buffers(&plan)?;
    let is_dpdk = plan.groups.iter().any(|group| group.generator.is_dpdk());
    let eal = match is_dpdk || plan.needs(takes_dpdk) {
        true => Some(start_dpdk(cpus, buffers, plan.external.as_ref())?),
        false => None,
    };
    let generator = eal.as_ref().map(|eal| Generator::new(eal, buffers)).transpose()?;
    let (made, end) = experiment::run(&lab, generator, &plan, seed);
    environment.extend(environment::wires::told(&made.starts));

    let groups =
        plan.groups.iter().map(|group| conclude::group(&plan, group, &made.trials, seed)).collect();
    let across = conclude::across(&plan, &made.trials, seed);
    let rates = rates::rates(&plan.throughput, &made.throughput, plan.resolution);
    let result = RunResult {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        begun: begun.to_string(),
        seconds: start.elapsed().as_secs_f64(),
        end,
        seed,
        plan,
        cpus,
        host,
        environment,
        left_out: left_out.into_iter().chain(made.left_out).collect(),
        starts: made.starts,
        trials: made.trials,
        groups,
        across,
        throughput: made.throughput,
        rates,
    };
    files::write(&result, now, &out).map_err(io("cannot write the result"))?;
    bench_report::write(&result, &out).map_err(io("cannot write the report"))?;
    print(args, &result, &out)?;
    Ok(verdict_on_the_run(&result))
}

/// What is going to happen, and for how long.
fn announce(plan: &Plan) {
    let trials = plan.trials();
    let again =
        plan.trial() * u32::try_from(trials.div_ceil(experiment::SPARE)).unwrap_or(u32::MAX);
    let searches: usize = plan.throughput.iter().map(ThroughputPlan::searches).sum();
    say::note(format_args!(
        "plan {}: {trials} trials and {searches} searches in about {}; trials that do not count are made again, in {} at most",
        plan.name,
        say::duration(plan.expected()),
        say::duration(again)
    ));
}

/// What virtual devices of DPDK's are marked with in plans.
const VDEV: &str = "vdev:";

/// Is the generator DPDK's, with this path?
fn takes_dpdk(arm: Arm) -> bool {
    matches!(arm, Arm::Ring | Arm::Memory | Arm::External)
        || arm.driver() == Some(Driver::VirtioUser)
}

/// More would be too much memory.
const MOST_BUFFERS: u32 = 1 << 18;

/// Buffers for everything that a plan starts.
fn buffers(plan: &Plan) -> Result<u32, RunError> {
    let groups = plan.groups.iter().filter(|group| group.generator == Via::DpdkAfXdp);
    let devices: usize = groups
        .map(|group| {
            let ends = if group.kind == arm::Group::Forward { 2 } else { 1 };
            ends * group.members().len() * plan.blocks
        })
        .sum();
    let kept = u32::try_from(devices).unwrap_or(u32::MAX).saturating_mul(KEPT);
    let buffers = BUFFERS.saturating_add(kept);
    if buffers > MOST_BUFFERS {
        let most = (MOST_BUFFERS - BUFFERS) / KEPT;
        return Err(RunError::Usage(format!(
            "{devices} devices of net_af_xdp, which keeps buffers of each: {most} are possible; take fewer blocks"
        )));
    }
    Ok(buffers)
}

/// DPDK in this process. Without NICs on ordinary pages: nothing of it can be left behind. NICs want hugepages, which have
/// to be there.
fn start_dpdk(cpus: Cpus, buffers: u32, external: Option<&External>) -> Result<Eal, RunError> {
    // Three KiB for a buffer, and some for everything else.
    let memory = (32 + buffers / 300).to_string();
    let prefix = format!("--file-prefix=bwgen-{}", std::process::id());
    let lcores = format!("0@{}", cpus.other);
    // net_ring tries to make a ring that it then finds is there, and says so each time.
    let levels = ["--log-level=error", "--log-level=lib.ring:critical"];
    let mut words = vec!["--lcores", &lcores, "--no-telemetry", levels[0], levels[1], &prefix];
    let all = external.iter().flat_map(|external| [&external.out, &external.back]);
    let (virtual_ones, nics): (Vec<&String>, Vec<&String>) =
        all.partition(|port| port.starts_with(VDEV));
    if nics.is_empty() {
        words.extend(["--no-pci", "--no-huge", "--no-shconf", "-m", &memory]);
    } else {
        words.push("--in-memory");
    }
    let devices = virtual_ones.iter().filter_map(|port| port.strip_prefix(VDEV));
    for (option, device) in devices
        .map(|device| ("--vdev", device))
        .chain(nics.iter().map(|port| ("--allow", port.as_str())))
    {
        if !words.contains(&device) {
            words.extend([option, device]);
        }
    }
    Ok(Eal::init(words.into_iter().map(str::to_owned))?)
}

/// The last CPU is measured, the first does the rest, unless told otherwise.
fn choose_cpus(args: &RunArgs, allowed: &CpuSet) -> Result<Cpus, RunError> {
    let usage = |text: String| Err(RunError::Usage(text));
    let (Some(first), Some(last)) = (allowed.first(), allowed.last()) else {
        return usage("this process may run on no CPU".to_owned());
    };
    let measured = args.cpu.unwrap_or(last);
    let other = args.other_cpu.unwrap_or(if measured == first { last } else { first });
    if let Some(cpu) = [measured, other].into_iter().find(|cpu| !allowed.contains(*cpu)) {
        return usage(format!("cpu {cpu} is not among the CPUs of this process ({allowed})"));
    }
    if measured == other {
        return usage(format!("there have to be two CPUs, and this process may use {allowed}"));
    }
    Ok(Cpus { measured, other })
}

/// What is left of a plan where programs are missing.
fn possible(plan: Plan, has_barewired: bool, has_testpmd: bool) -> (Plan, Vec<LeftOut>) {
    let missing = |arm: Arm| {
        if arm.is_barewired() && !has_barewired {
            Some("there is no barewired next to this program; see --barewired")
        } else if arm.is_testpmd() && !has_testpmd {
            Some("there is no dpdk-testpmd (Debian: dpdk-dev); see --testpmd")
        } else {
            None
        }
    };
    let mut left_out = Vec::new();
    for search in &plan.throughput {
        for arm in &search.arms {
            if let Some(why) = missing(*arm) {
                let member = Some(Member { arm: *arm, is_twin: false });
                left_out.push(LeftOut { group: search.kind, member, why: why.to_owned() });
            }
        }
    }
    for group in &plan.groups {
        for member in group.members() {
            if let Some(why) = missing(member.arm) {
                let why = why.to_owned();
                left_out.push(LeftOut { group: group.kind, member: Some(member), why });
            }
        }
        if missing(group.reference).is_some() {
            let why = "its reference can not run".to_owned();
            left_out.push(LeftOut { group: group.kind, member: None, why });
        }
    }
    (plan.without(|arm| missing(arm).is_some()), left_out)
}

fn print(args: &RunArgs, result: &RunResult, dir: &Path) -> Result<(), RunError> {
    let mut out = io::stdout();
    let text = if args.json {
        let text = serde_json::to_string(&result.groups).map_err(io("cannot write JSON"))?;
        format!("{text}\n")
    } else {
        let summary = summary::summary(result, args.color.is_on(&out));
        let dir = dir.display();
        format!(
            "{summary}\n{}\nEverything is in {dir}; begin with {dir}/report.html\n",
            result.host
        )
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(io("cannot write the summary")),
    }
}

fn verdict_on_the_run(result: &RunResult) -> Exit {
    let short = enough::short(result);
    if result.end == End::Complete {
        short.iter().for_each(|short| say::note(format_args!("{short}")));
    }
    if result.host.class >= Class::C {
        say::note(format_args!(
            "a host of class {}: its ratios are worth something, its times are not",
            result.host.class
        ));
    }
    match &result.end {
        End::Interrupted => Exit::Interrupted,
        End::Failed { .. } => Exit::Failure,
        End::Complete if !short.is_empty() => Exit::Unfit,
        End::Complete if !result.left_out.is_empty() => Exit::Skipped,
        End::Complete => Exit::Measured,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_buffers_for_what_drivers_keep_and_no_end_of_memory() {
        let plan = |blocks: usize, generator: &str| {
            let text = format!(
                "name = \"t\"\nblocks = {blocks}\nmeasure_ms = 100\n[[group]]\nkind = \"forward\"\n\
                 arms = [\"kernel-route\"]\nreference = \"kernel-route\"\nloads = [1000]\n\
                 generator = \"{generator}\"\n"
            );
            buffers(&Plan::parse(&text, "t").unwrap())
        };
        assert_eq!(plan(5, "dpdk-af-packet").unwrap(), BUFFERS);
        assert_eq!(plan(5, "dpdk-af-xdp").unwrap(), BUFFERS + 10 * KEPT);
        assert_eq!(plan(49, "dpdk-af-xdp").unwrap(), BUFFERS + 98 * KEPT);
        assert!(matches!(plan(50, "dpdk-af-xdp"), Err(RunError::Usage(_))));
    }

    #[test]
    fn a_machine_without_programs_still_measures_the_kernel() {
        let (plan, left_out) = possible(Plan::find("standard").unwrap(), false, false);
        assert!(!plan.needs(Arm::is_bypass));
        assert_eq!(plan.groups.len(), 4);
        // Six paths of barewired, seven of testpmd with a twin, and the group whose reference was among them.
        assert_eq!(left_out.len(), 14);
        let (plan, left_out) = possible(Plan::find("standard").unwrap(), true, true);
        assert_eq!((plan, left_out), (Plan::find("standard").unwrap(), vec![]));
    }
}
