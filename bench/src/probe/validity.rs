//! Whether a trial says something about the path, or about the generator.

use serde::{Deserialize, Serialize};

use super::run::Trial;

/// What a generator must keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The share of the probes that may be missing from what should have left: 0.00001 on bare metal, 0.001 in a VM.
    pub unsent: f64,
    /// How late the 99.9th percentile of the departures may be, in nanoseconds.
    pub lateness_ns: u64,
}

impl Limits {
    /// For bare metal: what siitperf allows.
    pub const METAL: Self = Self { unsent: 0.00001, lateness_ns: 10_000 };
    /// For a virtual machine, which is not left alone.
    pub const VIRTUAL: Self = Self { unsent: 0.001, lateness_ns: 1_000_000 };
}

/// Why a trial does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The generator did not send what it should.
    Unsent {
        /// What should have left.
        intended: u64,
        /// What did.
        sent: u64,
    },
    /// It sent it too late.
    Late {
        /// The 99.9th percentile, in nanoseconds.
        p999_ns: u64,
        /// What is allowed.
        allowed_ns: u64,
    },
    /// Something came back that was never sent.
    Unexpected {
        /// How often.
        frames: u64,
    },
    /// Nothing was sent at all.
    Nothing,
}

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
