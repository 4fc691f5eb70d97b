//! Boot: what is configured, what took effect, and how to get back.

use super::Check;

/// Boot: what is configured, what took effect, and how to get back.
pub(super) const CHECKS: &[Check] = &[];
