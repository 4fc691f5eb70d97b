//! RFC 2544: frame loss, latency and back-to-back frames, and RFC 8219's latency and delay variation, as they write them.

use std::time::Duration;

use bench_result::throughput::{
    BackToBack, LoadTrial, Repeated, Rfc2544Plan, Rfc8219Plan, Spread, StrictLatency,
};

use super::{
    float, ms,
    offer::{Offer, Terms, is_kept_back, told},
};
use crate::{probe::latency::percentile, run::trial::TrialError};

impl Offer<'_, '_> {
    /// RFC 2544, 26.3.
    pub(super) fn frame_loss(
        &mut self,
        most: f64,
        plan: &Rfc2544Plan,
    ) -> Result<Vec<LoadTrial>, TrialError> {
        let time = ms(plan.trial_ms);
        let mut trials: Vec<LoadTrial> = Vec::new();
        for tenths in (1..=10_u32).rev() {
            let load = most * f64::from(tenths) / 10.0;
            let made = self.offer(Terms::strict(load, time, plan))?;
            trials.push(told(load, time, &made));
            let is_done = trials.len() >= 2
                && trials.iter().rev().take(2).all(|trial| trial.returned == trial.intended);
            if is_done {
                break;
            }
        }
        Ok(trials)
    }

    /// RFC 2544, 26.2.
    pub(super) fn latency(
        &mut self,
        load: f64,
        plan: &Rfc2544Plan,
    ) -> Result<StrictLatency, TrialError> {
        let time = ms(plan.latency_ms);
        let mut times = Vec::new();
        for _ in 0..plan.latency_repeats {
            let terms = Terms { tagged: Some(time / 2), ..Terms::strict(load, time, plan) };
            times.extend(self.offer(terms)?.tagged.map(|flight| float(flight.response())));
        }
        let samples = times.len();
        let mean_ns = (samples > 0).then(|| times.iter().sum::<f64>() / float(samples as u64));
        Ok(StrictLatency { load, samples, lost: plan.latency_repeats - samples, mean_ns })
    }

    /// RFC 2544, 26.4: the longest burst without a loss, found by halving.
    pub(super) fn back_to_back(
        &mut self,
        rate: f64,
        plan: &Rfc2544Plan,
    ) -> Result<BackToBack, TrialError> {
        let most = frames(rate, ms(plan.burst_ms));
        let (mut sum, mut lossy) = (0, Vec::new());
        for _ in 0..plan.burst_repeats {
            let (mut carried, mut lost) = (0, most + 1);
            // The whole first: mostly it is carried, and then nothing is left to look for.
            let mut next = most;
            while lost - carried > 1 {
                let time = Duration::from_secs_f64(float(next) / rate);
                let terms = Terms { warm_up: Duration::ZERO, ..Terms::strict(rate, time, plan) };
                let made = self.offer(terms)?;
                if made.counts.returned == made.intended {
                    carried = next;
                } else {
                    lost = next;
                    lossy.push(told(rate, time, &made));
                }
                next = carried + (lost - carried) / 2;
            }
            sum += carried;
        }
        let repeats = plan.burst_repeats;
        let frames = float(sum) / float(repeats as u64);
        let is_generator_limited = is_kept_back(&lossy, rate);
        Ok(BackToBack { rate, most, repeats, frames, is_generator_limited })
    }
}

impl Offer<'_, '_> {
    /// RFC 8219, 7.2 and 7.3.1.
    pub(super) fn repeated(
        &mut self,
        load: f64,
        plan: &Rfc8219Plan,
    ) -> Result<Repeated, TrialError> {
        let half = ms(plan.stream_ms) / 2;
        let (mut sent, mut lost) = (0, 0);
        let (mut typical, mut worst, mut variation) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.repeats {
            let made = self.offer(Terms { warm_up: half, ..Terms::new(load, half) })?;
            let (times, missing) = (&made.latency.response, made.counts.lost());
            let at = |wanted| percentile(times, missing, wanted).and_then(|found| found.ns);
            sent += made.counts.sent;
            lost += missing;
            typical.push(at(50.0));
            worst.push(at(99.9));
            variation.push(at(99.9).map(|ns| ns.saturating_sub(times.min())));
        }
        let [typical, worst, variation] = [typical, worst, variation].map(Spread::of);
        Ok(Repeated { load, repeats: plan.repeats, sent, lost, typical, worst, variation })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of at most 1e8 for at most a minute"
)]
fn frames(rate: f64, time: Duration) -> u64 {
    (rate * time.as_secs_f64()).max(1.0) as u64
}
