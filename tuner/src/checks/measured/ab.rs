//! What comparing runs with and without found.

use crate::{
    checks::{Context, Outcome, wording::lines},
    measured::Effect,
};

/// Runs of each kind that an interval needs.
const RUNS: u32 = 5;

pub(super) fn effects(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let effects = context
        .watched()?
        .effects
        .as_ref()
        .ok_or_else(|| Outcome::not_applicable("nothing was compared with and without"))?;
    let kept: Vec<&Effect> = effects.iter().filter(|effect| effect.is_kept).collect();
    let hurts = |effect: &&&Effect| effect.high < 0.0;
    let helps = |effect: &&&Effect| effect.low > 0.0 && effect.runs >= RUNS;
    let (hurting, helping) = (kept.iter().filter(hurts).count(), kept.iter().filter(helps).count());
    let seen = format!("{helping} of {} that are kept were measured to help", kept.len());
    let outcome = if hurting > 0 {
        Outcome::bad(seen).advice("roll back what was measured to hurt")
    } else if helping == kept.len() {
        Outcome::good(seen)
    } else {
        Outcome::warn(seen)
    };
    let details = lines(effects.iter().map(|effect| {
        let Effect { what, runs, gain, low, high, is_kept } = effect;
        let state = if *is_kept { "kept" } else { "not kept" };
        let [gain, low, high] = [gain, low, high].map(|share| share * 100.0);
        format!("{what}: {gain:+.1} % ({low:+.1} to {high:+.1}) in {runs} runs, {state}")
    }));
    Ok(outcome.wanted("all that is kept").details(details))
}
