//! What measuring threads saw: the shapes that the checks judge.

use serde::{Deserialize, Serialize};

pub use ::noise::{Cause, CpuNoise, Gap, Noise};

/// What one knob or group of knobs did, by runs with and without it in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// What was switched.
    pub what: String,
    /// Runs of each kind.
    pub runs: u32,
    /// By how much the tail became shorter, as a share of what it was: 0.2 is a fifth. Negative when it became longer.
    pub gain: f64,
    /// The lower end of the 95 % interval of the gain.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Is it in force now?
    pub is_kept: bool,
}
