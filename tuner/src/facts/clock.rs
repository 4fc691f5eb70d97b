//! Clock sources, watchdogs, machine checks.

use serde::Serialize;

use crate::{Fact, Source};

/// Clock sources, watchdogs, machine checks.
#[derive(Debug, Clone, Serialize)]
pub struct Clock {
    /// `kernel.nmi_watchdog`
    pub nmi_watchdog: Fact<String>,
}

impl Clock {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        Self { nmi_watchdog: source.sysctl("kernel.nmi_watchdog") }
    }
}
