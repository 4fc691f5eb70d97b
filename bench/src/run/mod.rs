//! The kernel's paths against those around it: `barewire-bench run`.
//!
//! ```text
//!  plan ─► experiment ─┬─► start: namespaces (own), cables (link), a path's program, a probe that comes back
//!                      └─► trial: probes through a wire, counters, what makes it invalid
//!  trials ─► conclude ─► result ─► files, summary
//! ```
//! Everything happens in namespaces of our own, made by [`own`]: they are gone when we are, however we end.

pub mod attribution;
mod before;
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
pub mod standing;
pub mod start;
pub mod summary;
pub mod throughput;
pub mod trial;
pub mod work;
pub mod xdp;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

pub use bench_result::{arm, plan, run as result};
use config::CpuSet;
use dpdk::{Eal, EalError};
use linux::{Root, clock::TickRate};

use self::{
    own::OwnError,
    plan::{Plan, PlanError},
    replay::ReplayError,
    result::{End, LeftOut, RunResult, SCHEMA},
    start::Lab,
};
use crate::{
    cli::RunArgs,
    environment,
    exit::Exit,
    interrupt::Interrupt,
    peer::{barewired, case::Cpus, testpmd},
    qualify::{self, Class, Qualification},
    say,
    wire::{DpdkWireError, Generator},
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
    let mut plan = shortened(args, Plan::find(&args.plan)?)?;
    replay::resolve(&mut plan)?;
    if args.how_long {
        return told(&format!("{}\n", before::announced(&plan))).map(|()| Exit::Measured);
    }
    let now = SystemTime::now();
    let begun = jiff::Timestamp::try_from(now).map_err(io("the clock is wrong"))?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(format!("bench-{}-{}", plan.name, begun.strftime("%Y%m%dT%H%M%SZ"))),
    };
    // Made now, so that nobody waits for what can not be written; and opened from here on whatever is mounted above.
    std::fs::create_dir_all(&out).map_err(io(&format!("cannot make {}", out.display())))?;
    let out = out.canonicalize().map_err(io(&format!("cannot find {}", out.display())))?;
    let prepared = prepare(args, plan, &out)?;
    // DPDK is taken down when everything is written.
    let (result, _dpdk) = measure(prepared, begun.to_string())?;
    files::write(&result, now, &out).map_err(io("cannot write the result"))?;
    bench_report::write(&result, &out).map_err(io("cannot write the report"))?;
    print(args, &result, &out)?;
    Ok(verdict_on_the_run(&result))
}

/// The plan with what the command line changes of it.
fn shortened(args: &RunArgs, mut plan: Plan) -> Result<Plan, RunError> {
    plan.blocks = args.blocks.unwrap_or(plan.blocks);
    match args.minutes {
        None => Ok(plan),
        Some(minutes) => plan
            .within(Duration::from_secs_f64(60.0 * minutes))
            .map_err(|error| RunError::Usage(error.to_string())),
    }
}

/// Everything that a run takes.
struct Prepared {
    plan: Plan,
    left_out: Vec<LeftOut>,
    environment: BTreeMap<String, String>,
    host: Qualification,
    lab: Lab,
    buffers: u32,
    seed: u64,
}

/// Looks at the machine, and goes into namespaces of our own.
fn prepare(args: &RunArgs, plan: Plan, out: &Path) -> Result<Prepared, RunError> {
    let root = Root::system().map_err(io("cannot read the machine"))?;
    if linux::clock::is_steady(&root).into_known() == Some(false) && !args.unsteady_counter {
        return Err(RunError::Unsteady);
    }
    let allowed = linux::thread::affinity().map_err(io("cannot read this process's CPUs"))?;
    let cpus = before::choose_cpus(args, &allowed)?;
    // While the machine's own interfaces are seen.
    let mut environment = environment::read(&root);

    // A program that enters a namespace starts at its root.
    let whole = |file: PathBuf| file.canonicalize().ok();
    let barewired = barewired::find(args.barewired.as_deref()).and_then(whole);
    let testpmd = testpmd::find(args.testpmd.as_deref()).and_then(whole);
    environment.extend(environment::programs(barewired.as_deref(), testpmd.as_deref()));
    let (plan, left_out) = before::possible(plan, barewired.is_some(), testpmd.is_some());
    if plan.groups.is_empty() && plan.throughput.is_empty() {
        return Err(RunError::Usage("nothing of the plan can run here".to_owned()));
    }
    let buffers = before::buffers(&plan)?;
    let own = std::env::current_exe().map_err(io("cannot find this program"))?;
    let used: Vec<&Path> = [Some(&own), barewired.as_ref(), testpmd.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .chain([out])
        .collect();
    let dir = own::enter(&root, &used)?;

    let interrupt = Interrupt::install().map_err(io("cannot catch signals"))?;
    let host = look(&root, &plan, cpus)?;
    let rate = TickRate::calibrate(Duration::from_millis(200)).map_err(io("there is no clock"))?;
    let external = plan.external.clone();
    let lab = Lab { root, rate, interrupt, cpus, allowed, dir, barewired, testpmd, external };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    Ok(Prepared { plan, left_out, environment, host, lab, buffers, seed })
}

/// At the host; from then on nothing of ours is on the measured CPU.
fn look(root: &Root, plan: &Plan, cpus: Cpus) -> Result<Qualification, RunError> {
    say::progress(format_args!("looking at the host"));
    let both = CpuSet::from_iter([cpus.measured, cpus.other]);
    let over = Duration::from_millis(plan.qualify_ms);
    let host = qualify::qualify(root, cpus.measured, &both, over)?;
    say::end_of_progress();
    // Not this thread, and not those that it starts.
    linux::thread::pin(cpus.other).map_err(io("cannot stay off the measured CPU"))?;
    if let Err(error) = linux::thread::lock_memory() {
        say::note(format_args!("this program's memory can not be locked: {error}"));
    }
    Ok(host)
}

fn measure(prepared: Prepared, begun: String) -> Result<(RunResult, Option<Eal>), RunError> {
    let Prepared { plan, left_out, mut environment, host, lab, buffers, seed } = prepared;
    before::announce(&plan);
    let start = Instant::now();
    let eal = match before::needs_dpdk(&plan) {
        true => Some(before::start_dpdk(lab.cpus, buffers, plan.external.as_ref())?),
        false => None,
    };
    let generator = eal.as_ref().map(|eal| Generator::new(eal, buffers)).transpose()?;
    let (made, end) = experiment::run(&lab, generator, &plan, seed);
    environment.extend(environment::wires::told(&made.starts));

    let group = |group| conclude::group(&plan, group, &made.trials, seed);
    let groups = plan.groups.iter().map(group).collect();
    let across = conclude::across(&plan, &made.trials, seed);
    let rates = rates::rates(&plan.throughput, &made.throughput, plan.resolution);
    let result = RunResult {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        begun,
        seconds: start.elapsed().as_secs_f64(),
        end,
        seed,
        plan,
        cpus: lab.cpus,
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
    Ok((result, eal))
}

fn print(args: &RunArgs, result: &RunResult, dir: &Path) -> Result<(), RunError> {
    let text = if args.json {
        let text = serde_json::to_string(&result.groups).map_err(io("cannot write JSON"))?;
        format!("{text}\n")
    } else {
        let summary = summary::summary(result, args.color.is_on(&io::stdout()));
        let dir = dir.display();
        format!(
            "{summary}\n{}\nEverything is in {dir}; begin with {dir}/report.html\n",
            result.host
        )
    };
    told(&text)
}

fn told(text: &str) -> Result<(), RunError> {
    let mut out = io::stdout();
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
