//! Measured: what really happens on the workers' CPUs.

use super::Check;

/// Measured: what really happens on the workers' CPUs.
pub(super) const CHECKS: &[Check] = &[];
