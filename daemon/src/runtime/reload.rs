//! A new configuration for workers that turn, or a wish for a restart of their ports.

use std::{
    thread,
    time::{Duration, Instant},
};

use config::Config;

use super::{Ground, assemble, fleet::Held};
use crate::{control::Refusal, logging::Logging, reload::Changes, state::State, worker::Orders};

/// How long the workers may take to change to a new graph.
const SWAP: Duration = Duration::from_secs(1);

/// What came of a request.
pub(super) enum Reloaded<'eal> {
    /// The new configuration is in force.
    Live(api::Reload),
    /// It can be put in force with a restart of ports, which is allowed.
    Wants {
        config: Box<Config>,
        /// Its new devices.
        scouts: Vec<Held<'eal>>,
        changes: Vec<String>,
    },
}

/// Validates first, keeps the old configuration on any error, changes all workers over, and says what it did.
pub(super) fn reload<'eal>(
    ground: &mut Ground<'eal>,
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    logging: &mut Logging,
    asked: &api::ReloadRequest,
) -> Result<Reloaded<'eal>, Refusal> {
    if state.draining {
        return Err(Refusal::unavailable("barewired is stopping"));
    }
    let started = Instant::now();
    let new = config::load(&state.config_path).map_err(|errors| {
        let details = errors.to_string();
        Refusal::new(422, "the configuration file has errors; the old configuration stays")
            .details(details.lines().map(str::to_owned))
            .help("barewired check --config FILE shows the same")
    })?;
    let changes = Changes::between(&state.config, &new);
    let obstacles = changes.obstacles(asked.restart_ports);
    if !obstacles.is_empty() {
        let help = if changes.process.is_empty() {
            "barewire reload --restart-ports; no frame is received meanwhile"
        } else {
            "systemctl restart barewired"
        };
        let refusal = Refusal::conflict("some changes need a restart; the old configuration stays");
        return Err(refusal.details(obstacles).help(help));
    }
    if changes.ports.is_empty() {
        return swap(state, orders, logging, new, changes.live, started).map(Reloaded::Live);
    }
    let scouts = ground.rehearse(&new).map_err(|error| {
        let refusal =
            Refusal::conflict("the ports can not be as they should; the old configuration stays");
        let refusal = refusal.details(error.to_string().lines().map(str::to_owned));
        match error.help() {
            Some(help) => refusal.help(help),
            None => refusal,
        }
    })?;
    Ok(Reloaded::Wants { config: Box::new(new), scouts, changes: changes.possible() })
}

/// Gives every worker its new program between two turns.
fn swap<'eal>(
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    logging: &mut Logging,
    new: Config,
    changes: Vec<String>,
    started: Instant,
) -> Result<api::Reload, Refusal> {
    let mut programs = Vec::new();
    for worker in &state.workers {
        let made = assemble::program(state, &new, worker.role, &worker.stages);
        programs.push(made.map_err(|error| Refusal::internal(error.to_string()))?);
    }
    if state.config.log.level != new.log.level {
        logging.set(&new.log.level).map_err(Refusal::bad_request)?;
    }
    // From here on nothing can fail: every worker gets its program.
    let mut numbers = Vec::new();
    for ((orders, worker), (program, stages)) in orders.iter().zip(&mut state.workers).zip(programs)
    {
        numbers.push(orders.program(program));
        worker.stages = stages;
    }
    state.config = new;
    state.witness.want(state.config.latency.stall_causes);
    state.generation += 1;
    let deadline = started + SWAP;
    for (index, (orders, number)) in orders.iter().zip(numbers).enumerate() {
        while !orders.is_done(number) {
            if Instant::now() > deadline {
                tracing::error!(
                    worker = index,
                    "the worker has not taken the new configuration in time"
                );
                let what = format!(
                    "worker {index} has not taken the new configuration within {SWAP:?}; it will"
                );
                return Err(Refusal::unavailable(what));
            }
            thread::sleep(Duration::from_micros(50));
        }
        orders.collect();
    }
    let gap = orders.iter().map(Orders::gap).max().unwrap_or(0);
    let reload = api::Reload {
        schema: api::SCHEMA,
        generation: state.generation,
        changes,
        took_ms: started.elapsed().as_secs_f64() * 1e3,
        longest_gap_ns: state.clock.rate.to_ns(gap),
        ports_restarted: false,
        restart: None,
    };
    tracing::info!(
        generation = reload.generation,
        changes = ?reload.changes,
        took_ms = reload.took_ms,
        longest_gap_ns = reload.longest_gap_ns,
        "reloaded"
    );
    Ok(reload)
}
