//! The daemon's loop: signals, the control socket, and a look at the balance every second.

use std::{
    thread,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

use super::{RunError, assemble, notify};
use crate::{
    answers,
    control::{self, Ask, Listener, Refusal, Request},
    logging::Logging,
    reload::Changes,
    state::State,
    worker::Orders,
};

/// How long the workers may take to change to a new graph.
const SWAP: Duration = Duration::from_secs(1);

/// Serves until a signal or a client says stop. Returns whether that went as it should.
pub(super) fn until_stopped<'eal>(
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    listener: &Listener,
    logging: &mut Logging,
) -> Result<bool, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Loop)?;
    runtime.block_on(serve(state, orders, listener, logging))
}

async fn serve<'eal>(
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    listener: &Listener,
    logging: &mut Logging,
) -> Result<bool, RunError> {
    let on = |kind| signal(kind).map_err(RunError::Loop);
    let (mut term, mut int, mut hup): (Signal, Signal, Signal) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    let (ask, mut asked) = mpsc::channel::<Request>(64);
    let (shut, shutdown) = oneshot::channel::<()>();
    let mut shut = Some(shut);
    let server = listener.serve(ask, async move {
        // An error means that the sender is gone, which is a reason to stop, too.
        let _ = shutdown.await;
    });
    tokio::pin!(server);
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut stop = None;
        tokio::select! {
            ended = &mut server => {
                ended.map_err(RunError::Loop)?;
                return Ok(true);
            }
            Some(request) = asked.recv() => {
                if request.ask == Ask::Stop {
                    stop = Some("a client");
                }
                answer(state, orders, logging, request);
            }
            _ = term.recv() => stop = Some("SIGTERM"),
            _ = int.recv() => stop = Some("SIGINT"),
            _ = hup.recv() => hang_up(state, orders, logging),
            _ = every_second.tick() => {
                // Says itself what it finds wrong.
                let _balance = answers::balance(state);
            }
        }
        if let (Some(by), Some(shut)) = (stop, shut.take_if(|_| stop.is_some())) {
            tracing::info!(by, "told to stop");
            state.draining = true;
            // The server ends by itself if this fails.
            let _ = shut.send(());
        }
    }
}

fn answer<'eal>(
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    logging: &mut Logging,
    request: Request,
) {
    let Request { ask, reply } = request;
    let answer = control::answer(state, &ask).unwrap_or_else(|| match &ask {
        Ask::LogLevel => level(logging),
        Ask::SetLogLevel(filter) => match logging.set(filter) {
            Ok(()) => level(logging),
            Err(error) => Err(Refusal::bad_request(error)),
        },
        Ask::Reload(asked) => {
            reload(state, orders, logging, asked).and_then(|reload| control::json(&reload))
        }
        _ => {
            let deadline = state.config.control.stop_timeout;
            control::json(&api::Stopping {
                schema: api::SCHEMA,
                pid: std::process::id(),
                deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            })
        }
    });
    // A client that has gone needs no answer.
    let _ = reply.send(answer);
}

fn level(logging: &Logging) -> Result<Vec<u8>, Refusal> {
    control::json(&api::LogLevel { schema: api::SCHEMA, level: logging.level().to_owned() })
}

/// SIGHUP: there is nobody to answer, so the log is told.
fn hang_up<'eal>(state: &mut State<'eal>, orders: &[Orders<'eal>], logging: &mut Logging) {
    notify(&[NotifyState::Reloading]);
    if let Err(refusal) = reload(state, orders, logging, &api::ReloadRequest::default()) {
        let problem = refusal.problem;
        tracing::error!(error = %problem.error, details = ?problem.details, "the old configuration stays");
    }
    notify(&[NotifyState::Ready]);
}

/// Validates first, keeps the old configuration on any error, changes all workers over, and says what it did.
fn reload<'eal>(
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    logging: &mut Logging,
    asked: &api::ReloadRequest,
) -> Result<api::Reload, Refusal> {
    let started = Instant::now();
    let new = config::load(&state.config_path).map_err(|errors| {
        let details = errors.to_string();
        Refusal::new(422, "the configuration file has errors; the old configuration stays")
            .details(details.lines().map(str::to_owned))
            .help("barewired check --config FILE shows the same")
    })?;
    let changes = Changes::between(&state.config, &new);
    if !changes.restart.is_empty() {
        let help = if asked.restart_ports {
            "restarting ports in a running daemon is not possible yet: systemctl restart barewired"
        } else {
            "systemctl restart barewired"
        };
        let refusal = Refusal::conflict("some changes need a restart; the old configuration stays");
        return Err(refusal.details(changes.restart).help(help));
    }
    if state.config.log.level != new.log.level {
        logging.set(&new.log.level).map_err(Refusal::bad_request)?;
    }
    let mut programs = Vec::new();
    for worker in &state.workers {
        let made = assemble::program(state, &new, worker.role, &worker.stages);
        programs.push(made.map_err(|error| Refusal::internal(error.to_string()))?);
    }
    // From here on nothing can fail: every worker gets its program.
    let mut numbers = Vec::new();
    for ((orders, worker), (program, stages)) in orders.iter().zip(&mut state.workers).zip(programs)
    {
        numbers.push(orders.program(program));
        worker.stages = stages;
    }
    state.config = new;
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
        changes: changes.live,
        took_ms: started.elapsed().as_secs_f64() * 1e3,
        longest_gap_ns: state.clock.rate.to_ns(gap),
        ports_restarted: false,
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
