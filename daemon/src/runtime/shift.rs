//! One set of workers, from their first turns until they have drained.

use std::{
    collections::VecDeque,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use config::{Config, CpuId};
use dpdk::{Port, PortObserver, RxTimestamps, Started};
use linux::Root;
use sd_notify::NotifyState;

use super::{
    Front, Ground, RunError, assemble,
    fleet::Held,
    notify,
    restart::{Pending, Reply},
    serve,
    watchdog::{self, Watchdog},
};
use crate::{
    exit::Exit,
    plan::Plan,
    rx_clock::Keeper,
    state::State,
    witness::Subject,
    worker::{Hardware, Orders},
};

/// How long every worker may take to its first turn.
const FIRST_TURN: Duration = Duration::from_secs(5);

/// Between two looks at a link.
const LINK_PAUSE: Duration = Duration::from_millis(5);

/// How often the service manager is asked for more time while links are waited for …
const ASK_EVERY: Duration = Duration::from_secs(1);

/// … and for how much, in microseconds: looks may come late.
const MORE_TIME: u32 = 10_000_000;

type Handles<'scope> = VecDeque<thread::ScopedJoinHandle<'scope, Result<(), String>>>;

/// Why a shift ended.
pub(super) enum End<'eal> {
    /// The daemon is to stop.
    Stop,
    /// Ports are to be restarted for a new configuration.
    Restart(Box<Wanted<'eal>>),
}

/// A configuration that passed every check that can be made with another one in force.
pub(super) struct Wanted<'eal> {
    pub(super) config: Config,
    /// Its new devices.
    pub(super) scouts: Vec<Held<'eal>>,
    pub(super) changes: Vec<String>,
    pub(super) asked: Instant,
    pub(super) reply: Reply,
}

/// How a shift ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drained {
    /// When the workers were told to receive no more.
    pub(super) at: Instant,
    /// The same as a reading of the clock.
    pub(super) at_ticks: u64,
    /// Frames inside then.
    pub(super) in_flight: u64,
    /// Frames dropped from then on.
    pub(super) dropped: u64,
    /// Before the deadline.
    pub(super) in_time: bool,
}

/// A shift that began.
pub(super) struct Begun<'s> {
    pub(super) plan: &'s Plan,
    /// By port: from when on frames may have been waiting in it.
    pub(super) since: &'s [u64],
    /// Who waits to hear that it has begun.
    pub(super) pending: Option<Pending>,
}

/// Runs one.
///
/// # Errors
/// When the workers do not begin or end in a bad way; all of them have ended. [`Begun::pending`] is still there if it is
/// the beginning that failed.
pub(super) fn run<'p, 'eal: 'p>(
    ground: &mut Ground<'eal>,
    state: &mut State<'eal>,
    ports: impl Iterator<Item = &'p mut Port<'eal, Started>>,
    front: &mut Front<'_>,
    logging: &mut crate::logging::Logging,
    begun: &mut Begun<'_>,
) -> Result<(End<'eal>, Drained), RunError> {
    let (hardware, keeper) = hardware(ground, state)?;
    let made = assemble::workers(begun.plan, state, ports, begun.since, ground.stamps, &hardware)?;
    thread::scope(|scope| {
        // Dropped at the end, whatever that is.
        let (_keeping, stop) = mpsc::channel();
        let (_watching, unwatch) = mpsc::channel();
        if !keeper.is_idle() {
            let thread = thread::Builder::new().name("bw-rx-clocks".to_owned());
            thread.spawn_scoped(scope, move || keeper.run(&stop)).map_err(RunError::Thread)?;
        }
        let (mut orders, mut handles) = (Vec::new(), Handles::new());
        let mut spawned = Ok(());
        for (index, made) in made.into_iter().enumerate() {
            let (cpu, eal) = (begun.plan.workers[index].cpu, ground.eal);
            let thread = thread::Builder::new().name(watchdog::thread_name(index));
            let worker = thread.spawn_scoped(scope, move || {
                linux::thread::pin(cpu).map_err(|error| error.to_string())?;
                made.worker.run(eal).map_err(|error| error.to_string())
            });
            match worker {
                Ok(handle) => handles.push_back(handle),
                Err(error) => {
                    spawned = Err(RunError::Thread(error));
                    break;
                }
            }
            orders.push(made.orders);
        }
        let served = spawned.and_then(|()| {
            wait_for_first_turns(state, &handles)?;
            let (first_turns, turned) = (Instant::now(), linux::clock::ticks());
            let watch = watch(state, &ground.root, unwatch);
            let thread = thread::Builder::new().name("bw-witness".to_owned());
            thread.spawn_scoped(scope, watch).map_err(RunError::Thread)?;
            front.watchdog.begin(state);
            wait_for_links(state, front, &ground.root);
            ready(state, ground, begun.pending.take(), (first_turns, turned));
            serve::until_ended(ground, state, &orders, front, logging)
        });
        if matches!(served, Ok(End::Stop) | Err(_)) {
            notify(&[NotifyState::Stopping]);
        }
        let drained = drain(state, &orders, handles, &mut front.watchdog);
        served.and_then(|end| Ok((end, drained?)))
    })
}

/// Who looks at what the kernel counts while these workers turn, until `stop` is dropped.
fn watch(state: &State<'_>, root: &Root, stop: mpsc::Receiver<()>) -> impl FnOnce() + Send + use<> {
    let subjects = state.workers.iter().enumerate().filter_map(|(number, worker)| {
        let (cpu, thread) = (CpuId::new(worker.cpu)?, watchdog::thread_number(root, number)?);
        let (counters, stalls) = (worker.counters.clone(), worker.stalls.clone());
        Some(Subject { worker: number, cpu, thread, counters, stalls })
    });
    let (subjects, root, rate) = (subjects.collect(), root.clone(), state.clock.rate);
    let witness = state.witness.clone();
    witness.want(state.config.latency.stall_causes);
    move || witness.watch(root, subjects, rate, &stop)
}

/// By port, how its device stamps frames, if it does; and who gets to know the clocks of those that do.
fn hardware<'eal>(
    ground: &Ground<'eal>,
    state: &State<'eal>,
) -> Result<(Vec<Option<Hardware<'eal>>>, Keeper<PortObserver<'eal>>), RunError> {
    let mut keeper = Keeper::new(state.clock.rate);
    let mut hardware = Vec::new();
    for port in &state.ports {
        let clock = port.is_stamping.then(|| keeper.keep(&port.name, port.observer, &port.stamps));
        hardware.push(match clock.flatten() {
            Some(clock) => {
                let field = RxTimestamps::register(ground.eal)?;
                Some(Hardware { field, stamps: ground.stamps, clock })
            }
            None => None,
        });
    }
    Ok((hardware, keeper))
}

/// Workers turn before anybody hears READY.
fn wait_for_first_turns(state: &State<'_>, handles: &Handles<'_>) -> Result<(), RunError> {
    let deadline = Instant::now() + FIRST_TURN;
    for (index, worker) in state.workers.iter().enumerate() {
        while worker.counters.turns() == 0 {
            if handles[index].is_finished() || Instant::now() > deadline {
                return Err(RunError::Worker { worker: index, cpu: worker.cpu });
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}

/// Ports may take a while to negotiate a link. What has none in time is said, and does not keep the others waiting; nor
/// does it keep the daemon from being stopped.
///
/// `link_timeout` may be longer than systemd's `TimeoutStartSec=`, which would end a start that only waits for a link, and
/// the next one after it: so systemd hears that it goes on (sd_notify(3)).
fn wait_for_links(state: &State<'_>, front: &mut Front<'_>, root: &Root) {
    let deadline = Instant::now() + state.config.control.link_timeout;
    let mut ask = Instant::now();
    for port in &state.ports {
        loop {
            match port.observer.link() {
                Ok(link) if link.up => break,
                Ok(_) if Instant::now() < deadline => {
                    if Instant::now() >= ask {
                        notify(&[NotifyState::ExtendTimeoutUsec(MORE_TIME)]);
                        ask = Instant::now() + ASK_EVERY;
                    }
                    if front.pause(LINK_PAUSE) {
                        return;
                    }
                    front.watchdog.look_in_time(state, root);
                }
                Ok(_) => {
                    tracing::warn!(port = %port.name, "no link yet");
                    break;
                }
                Err(error) => {
                    tracing::warn!(port = %port.name, %error, "the link can not be read");
                    break;
                }
            }
        }
    }
}

/// Says so: to the service manager, and to who asked for the restart. `first_turns` is one moment on both clocks.
fn ready(
    state: &mut State<'_>,
    ground: &Ground<'_>,
    pending: Option<Pending>,
    first_turns: (Instant, u64),
) {
    let status = format!("{} workers, {} ports", state.workers.len(), state.ports.len());
    let (workers, ports) = (state.workers.len(), state.ports.len());
    match pending {
        None => {
            state.ready_after = state.started.elapsed();
            let ms = state.ready_after.as_millis();
            let blackout = ground.note.take(&ground.root, first_turns.1, state.clock.rate);
            let blackout_ms = blackout.map(|time| time.as_secs_f64() * 1e3);
            tracing::info!(workers, ports, ms, blackout_ms, "ready");
        }
        Some(pending) => pending.report(state, first_turns.0),
    }
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Lets the workers finish; after the deadline what is left is dropped and counted.
fn drain(
    state: &State<'_>,
    orders: &[Orders<'_>],
    handles: Handles<'_>,
    watchdog: &mut Watchdog,
) -> Result<Drained, RunError> {
    let before = crate::answers::balance(state);
    tracing::info!(in_flight = before.held, "stopping the workers");
    let (at, at_ticks) = (Instant::now(), linux::clock::ticks());
    let all_done = || handles.iter().all(thread::ScopedJoinHandle::is_finished);
    let mut wait = |limit: Duration| {
        let deadline = Instant::now() + limit;
        while !all_done() && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(500));
            watchdog.while_draining();
        }
        all_done()
    };
    orders.iter().for_each(Orders::drain);
    let in_time = wait(state.config.control.stop_timeout);
    if !in_time {
        tracing::error!("the stop timeout passed: dropping what is left");
        orders.iter().for_each(Orders::abandon);
        if !wait(Duration::from_secs(1)) {
            let stuck = handles.iter().position(|handle| !handle.is_finished());
            tracing::error!(worker = stuck, "a worker is stuck; leaving without it");
            #[expect(clippy::exit, reason = "a thread that never returns can not be joined")]
            std::process::exit(Exit::Unclean as i32);
        }
    }
    let mut failed = None;
    for (worker, handle) in handles.into_iter().enumerate() {
        let error = match handle.join() {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(_) => "it panicked".to_owned(),
        };
        failed.get_or_insert(RunError::WorkerFailed { worker, error });
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let dropped = crate::answers::balance(state).dropped - before.dropped;
    Ok(Drained { at, at_ticks, in_flight: before.held, dropped, in_time })
}
