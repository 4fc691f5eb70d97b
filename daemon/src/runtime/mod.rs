//! From a plan to running workers, and back to nothing.
//!
//! ```text
//!  facts ─ plan ─ EAL ─ probe ─ plan again ─ pools ─ ports ─┬─ workers turn ─ READY ─ serve ─ drain ─┬─ ports stop ─ buffers counted
//!                                                           └──────────── thread::scope ─────────────┘
//! ```
//! Queues are lent to workers for the length of the scope, so a port can not stop under a worker.

mod assemble;
mod error;
mod serve;

use std::{
    cell::Cell,
    collections::VecDeque,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    thread,
    time::{Duration, Instant},
};

use config::{Config, Device};
use dpdk::{Configured, Eal, Mempool, MempoolConfig, Port, PortConfig, Stamps, Started};
use linux::{Root, clock::TickRate};
use sd_notify::NotifyState;

use crate::{
    control::Listener,
    eal_args::eal_args,
    exit::Exit,
    facts::{DeviceLimits, Facts},
    logging::{self, Logging},
    plan::{POOL_CACHE, Plan},
    state::{Clock, PortView, RingView, State, WorkerView},
    worker::Orders,
};

pub(crate) use error::RunError;

/// How long the clock is measured against the kernel's.
const CALIBRATION: Duration = Duration::from_millis(20);

/// The MTU that every Ethernet device takes.
const USUAL_MTU: u16 = 1500;

/// How long every worker may take to its first turn.
const FIRST_TURN: Duration = Duration::from_secs(5);

/// Runs until told to stop.
pub(crate) fn run(
    config: Config,
    path: &Path,
    started: Instant,
    logging: &mut Logging,
) -> Result<Exit, RunError> {
    let root = Root::system()?;
    let mut facts = Facts::read(&root, &config)?;
    let plan = Plan::new(&config, &facts).map_err(RunError::Plan)?;
    if !plan.shortages.is_empty() {
        return Err(RunError::Memory(plan.shortages));
    }
    // Every thread that is not a worker is started from here, and inherits this.
    linux::thread::set_affinity(plan.housekeeping())?;
    let rate = TickRate::calibrate(CALIBRATION)?;
    let listener = Listener::bind(&config.control)?;

    dpdk::set_log_level(dpdk::LogLevel::Notice);
    dpdk::log_to(logging::dpdk)?;
    let args = eal_args(&plan, &format!("barewire-{}", std::process::id()));
    tracing::debug!(args = %args.join(" "), "starting DPDK");
    let eal = Eal::init(args.iter().cloned())
        .map_err(|source| RunError::Eal { args: args.join(" "), source })?;

    let mut found = Vec::new();
    let mut infos = Vec::new();
    for port in &config.ports {
        let name = match &port.device {
            Device::Pci(address) => address.to_string(),
            Device::Vdev { name, .. } => name.clone(),
        };
        let at = |source| RunError::Port { port: port.name.clone(), device: name.clone(), source };
        let claimed = eal.port(&name).map_err(at)?;
        infos.push(claimed.info().map_err(at)?);
        found.push(claimed);
    }
    facts.limits = (infos.iter())
        .map(|info| DeviceLimits {
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            rx_ring: info.rx_ring_size,
            tx_ring: info.tx_ring_size,
        })
        .collect();
    let plan = Plan::new(&config, &facts).map_err(RunError::Plan)?;
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }

    let pools = make_pools(&eal, &plan)?;
    let stamps = Stamps::register(&eal)?;
    let mut ports = Vec::new();
    for (port, planned) in found.into_iter().zip(&plan.ports) {
        ports.push(start_port(port, planned, pools[planned.pool])?);
    }
    // What the devices' own rings can hold at most, by pool.
    let mut devices_hold = vec![0; pools.len()];
    for (port, planned) in ports.iter().zip(&plan.ports) {
        let made = port.settings();
        devices_hold[planned.pool] += u32::from(made.rx_queues) * u32::from(made.rx_descriptors)
            + u32::from(made.tx_queues) * u32::from(made.tx_descriptors);
    }
    for ((port, planned), info) in ports.iter().zip(&plan.ports).zip(&infos) {
        tracing::info!(
            port = %planned.name,
            device = %planned.device,
            driver = %info.driver,
            rx_queues = port.settings().rx_queues,
            tx_queues = port.settings().tx_queues,
            rx_ring = port.settings().rx_descriptors,
            tx_ring = port.settings().tx_descriptors,
            mtu = port.settings().mtu,
            "port started"
        );
    }

    let views = (infos.iter().zip(&ports).zip(&plan.ports))
        .map(|((info, port), planned)| PortView {
            name: planned.name.clone(),
            device: planned.device.to_string(),
            driver: info.driver.clone(),
            mac: info.mac,
            node: planned.node.map(|node| node.0),
            observer: port.observer(),
        })
        .collect();
    let mut state = State {
        started,
        ready_after: Duration::ZERO,
        config_path: path.to_owned(),
        generation: 1,
        plan: plan.to_api(args),
        workers: Vec::new(),
        ports: views,
        rings: Vec::new(),
        clock: Clock::new(rate),
        violations: Arc::new(AtomicU64::new(0)),
        warnings: plan.warnings.clone(),
        draining: false,
        config,
    };

    let clean = thread::scope(|scope| {
        let assembled = assemble::workers(&plan, &mut state, &mut ports, stamps)?;
        let mut orders = Vec::new();
        let mut handles = VecDeque::new();
        for (index, made) in assembled.into_iter().enumerate() {
            let cpu = plan.workers[index].cpu;
            let eal = &eal;
            let spawned = thread::Builder::new().name(format!("bw-worker-{index}")).spawn_scoped(
                scope,
                move || {
                    linux::thread::pin(cpu).map_err(|error| error.to_string())?;
                    made.worker.run(eal).map_err(|error| error.to_string())
                },
            );
            handles.push_back(spawned.map_err(RunError::Thread)?);
            orders.push(made.orders);
        }
        let served = (|| {
            wait_for_first_turns(&state, &handles)?;
            wait_for_links(&mut state);
            state.ready_after = started.elapsed();
            say_ready(&state);
            serve::until_stopped(&mut state, &orders, &listener, logging)
        })();
        state.draining = true;
        let in_time = drain(&state, &orders, handles);
        served.and(in_time)
    })?;
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
    for port in ports {
        // Closing gives the buffers of the device's rings back.
        let stopped = port.stop().map_err(dpdk::PortError::from);
        if let Err(error) = stopped.and_then(Port::<Configured>::close) {
            tracing::error!(%error, "a port did not close");
        }
    }
    let mut all_back = true;
    for (pool, &devices_hold) in pools.iter().zip(&devices_hold) {
        let missing = pool.in_use();
        let (pool, buffers) = (pool.name(), pool.capacity());
        if missing == 0 {
            tracing::info!(pool, buffers, missing, "all buffers are back in their pool");
        } else if missing <= devices_hold {
            // net_af_xdp does not empty its fill queue when it is closed.
            tracing::warn!(
                pool,
                buffers,
                missing,
                devices_hold,
                "a driver kept buffers of its rings"
            );
        } else {
            tracing::error!(pool, buffers, missing, devices_hold, "buffers are lost");
            all_back = false;
        }
    }
    let is_clean = clean && balance.balanced && balance.held == 0 && all_back;
    Ok(if is_clean { Exit::Success } else { Exit::Unclean })
}

fn make_pools<'eal>(eal: &'eal Eal, plan: &Plan) -> Result<Vec<Mempool<'eal>>, RunError> {
    let make = |pool: &crate::plan::PoolPlan| {
        let config = MempoolConfig {
            buffers: pool.buffers,
            cache: POOL_CACHE.min(pool.buffers / 4),
            data_room: pool.data_room,
            socket: pool.node.map(|node| node.0),
        };
        Mempool::create(eal, &pool.name, config).map_err(RunError::Pool)
    };
    plan.pools.iter().map(make).collect()
}

fn start_port<'eal>(
    port: Port<'eal, dpdk::Found>,
    planned: &crate::plan::PortPlan,
    pool: Mempool<'eal>,
) -> Result<Port<'eal, Started>, RunError> {
    let at = |source| RunError::Port {
        port: planned.name.clone(),
        device: planned.device.to_string(),
        source,
    };
    let config = PortConfig {
        rx_queues: planned.rx_queues,
        tx_queues: planned.tx_queues,
        rx_descriptors: planned.rx_ring,
        tx_descriptors: planned.tx_ring,
        mtu: planned.mtu,
        keep_interface_mtu: false,
        promiscuous: planned.promiscuous,
        rss: planned.rx_queues > 1,
        rx_timestamps: false,
        multi_segment: true,
    };
    let configured = port.configure(&config, |_| pool);
    let is_virtual = matches!(planned.device, Device::Vdev { .. });
    let configured = match configured {
        // net_af_packet and its like claim 1518 bytes at most, whatever their interface and buffers hold.
        Err(failed) if is_virtual && planned.mtu > USUAL_MTU => {
            tracing::warn!(
                port = %planned.name,
                mtu = planned.mtu,
                error = %failed.error,
                "the driver does not take this MTU; trying {USUAL_MTU}, with buffers for the larger frames"
            );
            let usual = PortConfig { mtu: USUAL_MTU, keep_interface_mtu: true, ..config };
            failed.port.configure(&usual, |_| pool)
        }
        other => other,
    };
    let configured = configured.map_err(|failed| at(failed.error))?;
    configured.start().map_err(|failed| at(failed.error))
}

/// Workers turn before anybody hears READY.
fn wait_for_first_turns(
    state: &State<'_>,
    handles: &VecDeque<thread::ScopedJoinHandle<'_, Result<(), String>>>,
) -> Result<(), RunError> {
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

/// Ports may take a while to negotiate a link. What has none in time is said, and does not keep the others waiting.
fn wait_for_links(state: &mut State<'_>) {
    let deadline = Instant::now() + state.config.control.link_timeout;
    for port in &state.ports {
        loop {
            match port.observer.link() {
                Ok(link) if link.up => break,
                Ok(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
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

fn say_ready(state: &State<'_>) {
    let ms = state.ready_after.as_millis();
    tracing::info!(workers = state.workers.len(), ports = state.ports.len(), ms, "ready");
    let status = format!("{} workers, {} ports", state.workers.len(), state.ports.len());
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Tells systemd, if it is there.
fn notify(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "systemd can not be notified");
    }
}

/// Lets the workers finish; after the deadline what is left is dropped and counted. Says whether that was in time.
fn drain(
    state: &State<'_>,
    orders: &[Orders<'_>],
    handles: VecDeque<thread::ScopedJoinHandle<'_, Result<(), String>>>,
) -> Result<bool, RunError> {
    let in_flight = crate::answers::balance(state).held;
    tracing::info!(in_flight, "stopping");
    notify(&[NotifyState::Stopping]);
    let all_done = || handles.iter().all(thread::ScopedJoinHandle::is_finished);
    let wait = |limit: Duration| {
        let deadline = Instant::now() + limit;
        while !all_done() && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(500));
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
    for (worker, handle) in handles.into_iter().enumerate() {
        match handle.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(RunError::WorkerFailed { worker, error }),
            Err(_) => {
                return Err(RunError::WorkerFailed { worker, error: "it panicked".to_owned() });
            }
        }
    }
    Ok(in_time)
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
