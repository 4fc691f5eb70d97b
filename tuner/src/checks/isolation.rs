//! Isolation: nothing else can run on the workers' CPUs.

use super::Check;

/// Isolation: nothing else can run on the workers' CPUs.
pub(super) const CHECKS: &[Check] = &[];
