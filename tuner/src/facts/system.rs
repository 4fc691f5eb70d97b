//! Kernel, distribution, virtualisation.

use serde::Serialize;

use crate::Source;

/// Kernel, distribution, virtualisation.
#[derive(Debug, Clone, Default, Serialize)]
pub struct System {}

impl System {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
