//! Whether a trial says something about the path, or about the generator.

pub use bench_result::generator::{Fault, Limits};

use super::run::Trial;

/// What is wrong with a trial; nothing when it counts.
#[must_use]
pub fn faults(trial: &Trial, limits: &Limits) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (intended, sent) = (trial.intended, trial.counts.sent);
    if intended == 0 {
        faults.push(Fault::Nothing);
    }
    #[expect(clippy::cast_precision_loss, reason = "compared with a share")]
    let missing = intended.saturating_sub(sent) as f64;
    #[expect(clippy::cast_precision_loss, reason = "compared with a share")]
    let allowed = intended as f64 * limits.unsent;
    if missing > allowed {
        faults.push(Fault::Unsent { intended, sent });
    }
    let p999_ns = trial.latency.lateness.value_at_quantile(0.999);
    if p999_ns > limits.lateness_ns {
        faults.push(Fault::Late { p999_ns, allowed_ns: limits.lateness_ns });
    }
    if trial.counts.unexpected > 0 {
        faults.push(Fault::Unexpected { frames: trial.counts.unexpected });
    }
    faults
}
