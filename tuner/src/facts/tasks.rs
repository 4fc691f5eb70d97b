//! Threads of the kernel and of others.

use serde::Serialize;

use crate::Source;

/// Threads of the kernel and of others.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tasks {}

impl Tasks {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
