//! Boot loader and kernel command line.

use linux::cmdline::Cmdline;
use serde::Serialize;

use crate::{Fact, Source};

/// Boot loader and kernel command line.
#[derive(Debug, Clone, Serialize)]
pub struct Boot {
    /// What the running kernel was started with.
    pub cmdline: Fact<Cmdline>,
}

impl Boot {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        Self { cmdline: Cmdline::read(source.root()).into() }
    }
}
