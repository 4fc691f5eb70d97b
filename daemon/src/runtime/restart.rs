//! A restart of ports for a new configuration: drained, changed, begun again, reported. When the new ports do not come
//! up, the old configuration comes back.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{
    Drained, Ground, RunError,
    fleet::{Fitted, Fleet},
    shift::Wanted,
};
use crate::{
    control::{self, Refusal},
    logging::Logging,
    plan::Plan,
    state::State,
};

/// Where the answer to a reload goes.
pub(super) type Reply = oneshot::Sender<Result<Vec<u8>, Refusal>>;

/// A restart whose new workers have not turned yet.
pub(super) struct Pending {
    asked: Instant,
    drained: Drained,
    changes: Vec<String>,
    fitted: Fitted,
    reply: Reply,
    /// Why it is the old configuration that is in force again.
    failure: Option<String>,
    /// What to go back to, if these workers do not turn: the configuration and its number.
    old: config::Config,
    old_generation: u64,
}

/// What comes next.
pub(super) struct Next {
    pub(super) plan: Plan,
    /// By port: from when on frames may have been waiting in it.
    pub(super) since: Vec<u64>,
    pub(super) pending: Pending,
}

/// Puts a new configuration in force, or the old one again.
///
/// # Errors
/// When not even the old one can be had.
pub(super) fn change<'eal>(
    ground: &mut Ground<'eal>,
    fleet: &mut Fleet<'eal>,
    state: &mut State<'eal>,
    logging: &mut Logging,
    wanted: Wanted<'eal>,
    drained: Drained,
) -> Result<Next, RunError> {
    let Wanted { config, scouts, changes, asked, reply } = wanted;
    fleet.adopt(scouts);
    let old = std::mem::replace(&mut state.config, config);
    let (fitted, failure, old_generation) = (Fitted::default(), None, state.generation);
    let mut pending =
        Pending { asked, drained, changes, fitted, reply, failure, old, old_generation };
    match ground.bring_up(fleet, &state.config) {
        Ok((plan, fitted)) => {
            state.generation += 1;
            pending.fitted = fitted;
            Ok(next(fleet, state, logging, plan, pending))
        }
        Err(error) => back(ground, fleet, state, logging, pending, &error),
    }
}

/// Puts the configuration from before a restart in force again, after `why`.
///
/// # Errors
/// When it can not be had; who asked is told.
pub(super) fn back<'eal>(
    ground: &mut Ground<'eal>,
    fleet: &mut Fleet<'eal>,
    state: &mut State<'eal>,
    logging: &mut Logging,
    mut pending: Pending,
    why: &RunError,
) -> Result<Next, RunError> {
    tracing::error!(error = %why, "the new configuration can not be put in force: going back");
    pending.failure = Some(why.to_string());
    state.config = pending.old.clone();
    state.generation = pending.old_generation;
    match ground.bring_up(fleet, &state.config) {
        Ok((plan, fitted)) => {
            pending.fitted = fitted;
            Ok(next(fleet, state, logging, plan, pending))
        }
        Err(error) => {
            let refusal = Refusal::internal(
                "neither the new configuration nor the old one can be put in force; barewired ends",
            )
            .details([format!("new: {why}"), format!("old: {error}")]);
            // A client that has gone needs no answer.
            let _ = pending.reply.send(Err(refusal));
            Err(error)
        }
    }
}

fn next<'eal>(
    fleet: &Fleet<'eal>,
    state: &mut State<'eal>,
    logging: &mut Logging,
    plan: Plan,
    pending: Pending,
) -> Next {
    if let Err(error) = logging.set(&state.config.log.level) {
        tracing::error!(error, "the log level can not be changed");
    }
    super::describe(state, fleet, &plan);
    let now = linux::clock::ticks();
    let is_kept = |name: &String| pending.fitted.kept.contains(name);
    let since = plan.ports.iter().map(|port| {
        // One that went on was last polled just before the drain.
        if is_kept(&port.name) { pending.drained.at_ticks } else { now }
    });
    let since = since.collect();
    Next { plan, since, pending }
}

impl Pending {
    /// Whether it is the new configuration that was put in force.
    pub(super) fn is_new(&self) -> bool {
        self.failure.is_none()
    }

    /// The new workers turn: answers, and says so in the log.
    pub(super) fn report(self, state: &State<'_>, first_turns: Instant) {
        let Self { asked, drained, changes, fitted, reply, failure, .. } = self;
        let blackout = first_turns.duration_since(drained.at);
        let blackout_ms = blackout.as_secs_f64() * 1e3;
        let Drained { in_flight, dropped, in_time, .. } = drained;
        tracing::info!(
            generation = state.generation,
            ?changes,
            started = ?fitted.started,
            kept = ?fitted.kept,
            blackout_ms,
            in_flight,
            dropped,
            failure,
            "ports restarted"
        );
        let answer = match failure {
            None => control::json(&api::Reload {
                schema: api::SCHEMA,
                generation: state.generation,
                changes,
                took_ms: asked.elapsed().as_secs_f64() * 1e3,
                longest_gap_ns: u64::try_from(blackout.as_nanos()).unwrap_or(u64::MAX),
                ports_restarted: true,
                restart: Some(api::Restart {
                    started: fitted.started,
                    kept: fitted.kept,
                    blackout_ms,
                    in_flight,
                    dropped,
                    in_time,
                }),
            }),
            Some(failure) => Err(Refusal::internal(
                "the new configuration can not be put in force; the old one is in force again",
            )
            .details([
                failure,
                format!(
                    "no frame was received for {blackout_ms:.1} ms, and {dropped} were dropped"
                ),
            ])
            .help("correct the file and reload again; the log says what DPDK said")),
        };
        // A client that has gone needs no answer.
        let _ = reply.send(answer);
    }
}
