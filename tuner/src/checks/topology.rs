//! Topology: whole cores, near the devices.

use super::Check;

/// Topology: whole cores, near the devices.
pub(super) const CHECKS: &[Check] = &[];
