//! What keeps others off the workers' CPUs: cpusets, nohz_full, workqueues, RCU.

use serde::Serialize;

use crate::Source;

/// What keeps others off the workers' CPUs: cpusets, nohz_full, workqueues, RCU.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Isolation {}

impl Isolation {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
