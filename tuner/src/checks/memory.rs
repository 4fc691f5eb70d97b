//! Memory: hugepages where they are needed, and no work behind the back.

use super::Check;

/// Memory: hugepages where they are needed, and no work behind the back.
pub(super) const CHECKS: &[Check] = &[];
