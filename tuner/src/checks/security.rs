//! What was traded for speed, and what must never be.

use super::Check;

/// What was traded for speed, and what must never be.
pub(super) const CHECKS: &[Check] = &[];
