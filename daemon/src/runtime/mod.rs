//! From a plan to running workers, and back to nothing.
//!
//! ```text
//!  facts ─ plan ─ EAL ─┬─ devices ─ plan again ─ pools ─ ports ─┬─ workers turn ─ READY ─ serve ─ drain ─┬─ ports stop ─ buffers counted
//!                      │                                        └───────────── shift: a scope ───────────┘   │
//!                      └───────────────────────── restart of ports: the next plan ──────────────────────────┘
//! ```
//! Queues are lent to workers for the length of a shift, so a port can not stop under a worker. DPDK, the pools, the
//! control socket and the totals outlive it.

mod assemble;
mod error;
mod fleet;
mod front;
mod ground;
mod leftovers;
mod links;
mod note;
mod pools;
mod reload;
mod restart;
mod serve;
mod shift;
mod watchdog;

use std::{
    cell::Cell,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use config::Config;
use dpdk::{Eal, Stamps};
use linux::{Root, clock::TickRate};
use sd_notify::NotifyState;

use self::{
    fleet::Fleet,
    front::Front,
    ground::Ground,
    note::Note,
    pools::Pools,
    shift::{Begun, Drained, End},
};
use crate::{
    control::Listener,
    eal_args::eal_args,
    exit::Exit,
    facts::Facts,
    logging::{self, Logging},
    plan::Plan,
    state::{Clock, Past, RingView, State, WorkerView},
    witness::Witness,
};

pub(crate) use error::RunError;

/// How long the clock is measured against the kernel's.
const CALIBRATION: Duration = Duration::from_millis(20);

/// Runs until told to stop.
pub(crate) fn run(
    config: Config,
    path: &Path,
    started: Instant,
    logging: &mut Logging,
) -> Result<Exit, RunError> {
    let root = Root::system()?;
    let facts = Facts::read(&root, &config)?;
    let plan = Plan::new(&config, &facts).map_err(RunError::Plan)?;
    if !plan.shortages.is_empty() {
        return Err(RunError::Memory(plan.shortages));
    }
    // Every thread that is not a worker is started from here, and inherits this.
    linux::thread::set_affinity(plan.housekeeping())?;
    let rate = TickRate::calibrate(CALIBRATION)?;
    let listener = Listener::bind(&config.control)?;
    let mut front = Front::open(&listener)?;

    dpdk::set_log_level(dpdk::LogLevel::Notice);
    dpdk::log_to(logging::dpdk)?;
    let args = eal_args(&plan, &leftovers::prefix(std::process::id()));
    tracing::debug!(args = %args.join(" "), "starting DPDK");
    let eal = Eal::init(args.iter().cloned())
        .map_err(|source| RunError::Eal { args: args.join(" "), source })?;
    leftovers::sweep(eal.runtime_dir(), &root);
    let (pools, stamps) = (Pools::new(&eal), Stamps::register(&eal)?);
    let workers = plan.workers.iter().map(|worker| worker.cpu).collect();
    let housekeeping = plan.housekeeping().difference(&workers);
    let (known, note) = (Vec::new(), Note::of_this_service(&root));
    let mut ground = Ground { eal: &eal, root, facts, pools, stamps, housekeeping, known, note };
    let mut fleet = Fleet::new(&eal);
    let (plan, _) = ground.bring_up(&mut fleet, &config)?;
    let mut state = State {
        started,
        ready_after: Duration::ZERO,
        config_path: path.to_owned(),
        generation: 1,
        plan: plan.to_api(args),
        workers: Vec::new(),
        ports: Vec::new(),
        rings: Vec::new(),
        past: Past::default(),
        witness: Witness::default(),
        clock: Clock::new(rate),
        violations: Arc::new(AtomicU64::new(0)),
        warnings: Vec::new(),
        draining: false,
        config,
    };
    describe(&mut state, &fleet, &plan);
    let shifts = shifts(&mut ground, &mut fleet, &mut state, &mut front, logging, plan);
    // Whatever happened, who asked has an answer coming.
    front.finish();
    let drained = shifts?;
    ground.note.leave(drained.at_ticks);
    drop(listener);

    let balance = crate::answers::balance(&state);
    tracing::info!(
        received = balance.received,
        sent = balance.sent,
        dropped = balance.dropped,
        held = balance.held,
        balanced = balance.balanced,
        "the balance: received = sent + dropped + held, if balanced"
    );
    fleet.close(&mut ground.pools);
    let all_back = ground.pools.are_whole();
    let is_clean = drained.in_time && balance.balanced && balance.held == 0 && all_back;
    Ok(if is_clean { Exit::Success } else { Exit::Unclean })
}

/// One set of workers after the other, until the daemon is to stop.
fn shifts<'eal>(
    ground: &mut Ground<'eal>,
    fleet: &mut Fleet<'eal>,
    state: &mut State<'eal>,
    front: &mut Front<'_>,
    logging: &mut Logging,
    plan: Plan,
) -> Result<Drained, RunError> {
    let since = vec![linux::clock::ticks(); plan.ports.len()];
    let (mut plan, mut since, mut pending) = (plan, since, None);
    loop {
        let mut begun = Begun { plan: &plan, since: &since, pending };
        let ended = shift::run(ground, state, fleet.ports(), front, logging, &mut begun);
        let unreported = begun.pending;
        let next = match (ended, unreported) {
            (Ok((End::Stop, drained)), _) => return Ok(drained),
            (Ok((End::Restart(wanted), drained)), _) => {
                front.watchdog.before_restart();
                state.retire();
                restart::change(ground, fleet, state, logging, *wanted, drained)?
            }
            // The new workers did not turn.
            (Err(error), Some(pending)) if pending.is_new() => {
                front.watchdog.before_restart();
                state.retire();
                restart::back(ground, fleet, state, logging, pending, &error)?
            }
            (Err(error), _) => return Err(error),
        };
        plan = next.plan;
        since = next.since;
        pending = Some(next.pending);
    }
}

/// What readers see of a plan and its ports.
fn describe<'eal>(state: &mut State<'eal>, fleet: &Fleet<'eal>, plan: &Plan) {
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    state.warnings.clone_from(&plan.warnings);
    state.plan = plan.to_api(std::mem::take(&mut state.plan.eal_args));
    state.ports = fleet.views(plan);
}

/// Tells systemd, if it is there.
fn notify(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "systemd can not be notified");
    }
}

/// A reading for the first time to overflow.
fn ring_view(from: usize, to: usize, gauge: ring::Gauge) -> RingView {
    let earlier = Cell::new((Instant::now(), gauge.read()));
    RingView { from, to, gauge, earlier }
}

/// One worker, for readers.
fn worker_view(
    planned: &crate::plan::WorkerPlan,
    readers: crate::worker::Readers,
    stages: pipeline::StageCounterSet,
) -> WorkerView {
    WorkerView {
        cpu: planned.cpu.get(),
        node: planned.node.map(|node| node.0),
        role: planned.role,
        counters: readers.counters,
        stages,
        stalls: readers.stalls,
        latency: readers.latency,
    }
}
