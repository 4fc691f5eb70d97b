//! Interrupts and who serves them.

use config::CpuSet;
use serde::Serialize;

use crate::{Fact, Source};

/// Interrupts and who serves them.
#[derive(Debug, Clone, Serialize)]
pub struct Interrupts {
    /// The CPUs that new interrupts are given.
    pub default_mask: Fact<CpuSet>,
}

impl Interrupts {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        Self { default_mask: source.cpu_mask("proc/irq/default_smp_affinity") }
    }
}
