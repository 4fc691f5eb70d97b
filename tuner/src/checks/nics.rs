//! The network interfaces that the kernel drives.

use super::Check;

/// The network interfaces that the kernel drives.
pub(super) const CHECKS: &[Check] = &[];
