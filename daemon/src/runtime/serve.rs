//! The daemon's loop while workers turn: clients, signals, and a look at the balance every second.

use std::time::Instant;

use sd_notify::NotifyState;

use super::{
    Front, Ground, RunError,
    front::Event,
    links::Links,
    notify,
    reload::{self, Reloaded},
    shift::{End, Wanted},
};
use crate::{
    answers,
    control::{self, Ask, Refusal, Request},
    logging::Logging,
    state::State,
    worker::Orders,
};

/// Serves until a signal or a client ends the shift.
pub(super) fn until_ended<'eal>(
    ground: &mut Ground<'eal>,
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    front: &mut Front<'_>,
    logging: &mut Logging,
) -> Result<End<'eal>, RunError> {
    let mut links = Links::of(state);
    loop {
        let mut stop = None;
        match front.wait() {
            Event::Closed(ended) => {
                ended.map_err(RunError::Loop)?;
                return Ok(End::Stop);
            }
            Event::Asked(Request { ask: Ask::Reload(asked), reply }) => {
                let began = Instant::now();
                say_reloading();
                let answer = match reload::reload(ground, state, orders, logging, &asked) {
                    Ok(Reloaded::Live(report)) => control::json(&report),
                    Ok(Reloaded::Wants { config, scouts, changes }) => {
                        let config = *config;
                        let wanted = Wanted { config, scouts, changes, asked: began, reply };
                        return Ok(End::Restart(Box::new(wanted)));
                    }
                    Err(refusal) => Err(refusal),
                };
                notify(&[NotifyState::Ready]);
                // A client that has gone needs no answer.
                let _ = reply.send(answer);
            }
            Event::Asked(request) => {
                if request.ask == Ask::Stop {
                    stop = Some("a client");
                }
                answer(state, logging, request);
            }
            Event::Signal(name) => stop = Some(name),
            Event::HangUp => hang_up(ground, state, orders, logging),
            Event::Beat => {
                front.watchdog.look(state, &ground.root);
                links.look(state);
                // Says itself what it finds wrong.
                let balance = answers::balance(state);
                if !state.draining {
                    front.watchdog.headline(state, &balance);
                }
            }
        }
        if let Some(by) = stop
            && !state.draining
        {
            tracing::info!(by, "told to stop");
            state.draining = true;
            front.close();
        }
    }
}

fn answer(state: &State<'_>, logging: &mut Logging, request: Request) {
    let Request { ask, reply } = request;
    let answer = control::answer(state, &ask).unwrap_or_else(|| match &ask {
        Ask::LogLevel => level(logging),
        Ask::SetLogLevel(filter) => match logging.set(filter) {
            Ok(()) => level(logging),
            Err(error) => Err(Refusal::bad_request(error)),
        },
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

/// SIGHUP: there is nobody to answer, so the log is told. Nor can it allow a restart of ports.
fn hang_up<'eal>(
    ground: &mut Ground<'eal>,
    state: &mut State<'eal>,
    orders: &[Orders<'eal>],
    logging: &mut Logging,
) {
    say_reloading();
    let asked = api::ReloadRequest { restart_ports: false };
    if let Err(refusal) = reload::reload(ground, state, orders, logging, &asked) {
        let problem = refusal.problem;
        tracing::error!(error = %problem.error, details = ?problem.details, help = problem.help, "the old configuration stays");
    }
    notify(&[NotifyState::Ready]);
}

/// `Type=notify-reload` wants to know when, too (sd_notify(3)).
fn say_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::debug!(%error, "the monotonic clock can not be read");
            notify(&[NotifyState::Reloading]);
        }
    }
}
