//! Frequency, idle states, firmware: a worker's core is always awake and fast.

use super::Check;

/// Frequency, idle states, firmware: a worker's core is always awake and fast.
pub(super) const CHECKS: &[Check] = &[];
