//! The kernel's network stack: what is folklore, and what is harmful.

use super::Check;

/// The kernel's network stack: what is folklore, and what is harmful.
pub(super) const CHECKS: &[Check] = &[];
