//! Interrupts: none lands on a worker's CPU.

use super::Check;

/// Interrupts: none lands on a worker's CPU.
pub(super) const CHECKS: &[Check] = &[];
