//! What a host can be believed about: its class, and what it is from.
//!
//! | class | longest gap of the measured CPU |
//! |---|---|
//! | A | below 10 µs |
//! | B | below 50 µs |
//! | C | below 1 ms |
//! | D | longer |
//!
//! The classes are this program's own proposal: no standard names any. From C and D hosts only ratios are worth telling.

use std::{collections::BTreeMap, fmt};

use config::CpuId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words;

/// A host's class.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Class {
    /// Below 10 µs.
    A,
    /// Below 50 µs.
    B,
    /// Below 1 ms.
    C,
    /// Longer.
    D,
}

impl Class {
    /// The class of a longest gap.
    #[must_use]
    pub fn of(longest_ns: u64) -> Self {
        match longest_ns {
            0..10_000 => Self::A,
            10_000..50_000 => Self::B,
            50_000..1_000_000 => Self::C,
            _ => Self::D,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qualification {
    /// The class of the measured CPU.
    pub class: Class,
    /// The CPU that is measured.
    #[schemars(with = "u32")]
    pub measured: CpuId,
    /// For how long each was looked at, in seconds.
    pub seconds: f64,
    /// Each CPU.
    #[schemars(with = "BTreeMap<String, CpuQuality>")]
    pub cpus: BTreeMap<CpuId, CpuQuality>,
    /// How late a sleeping thread wakes up on the measured CPU.
    pub wake_up: WakeUp,
    /// Does the CPU's counter run at one rate, whatever the CPU does? None when the kernel does not say.
    pub is_counter_steady: Option<bool>,
    /// How far its rate is known, in millionths.
    pub counter_error_ppm: u64,
}

/// One CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuQuality {
    /// The longest gap, in ns.
    pub longest_ns: u64,
    /// Gaps a second, of 1 µs and more.
    pub gaps_per_second: f64,
    /// The share of the time that was taken, in percent.
    pub taken_percent: f64,
    /// Timer interrupts a second. A CPU without ticks has about one. None when the kernel does not say.
    pub ticks_per_second: Option<f64>,
    /// The time that the hypervisor gave to somebody else, in ms. None when the kernel does not say.
    pub stolen_ms: Option<u64>,
}

/// Lateness of wake-ups, in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WakeUp {
    /// How many there were.
    pub count: u64,
    /// The median.
    pub p50_ns: u64,
    /// The 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl fmt::Display for Qualification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, measured, wake_up, .. } = self;
        writeln!(
            f,
            "class {class} (longest gap of cpu {measured}; A below 10 µs, B 50 µs, C 1 ms; this program's own proposal)"
        )?;
        for (cpu, quality) in &self.cpus {
            let CpuQuality { longest_ns, gaps_per_second, taken_percent, .. } = quality;
            let ticks = match quality.ticks_per_second {
                Some(ticks) => format!("{ticks:.0} ticks/s"),
                None => "ticks unknown".to_owned(),
            };
            let stolen = match quality.stolen_ms {
                Some(ms) => format!("{ms} ms stolen"),
                None => "steal unknown".to_owned(),
            };
            writeln!(
                f,
                "  cpu {cpu}: longest gap {}, {gaps_per_second:.0} gaps/s, {taken_percent:.3} % taken, {ticks}, {stolen}",
                words::time(*longest_ns),
            )?;
        }
        writeln!(
            f,
            "  a sleeping thread wakes up late by {} (median), {} (99 %), {} at most, of {}",
            words::time(wake_up.p50_ns),
            words::time(wake_up.p99_ns),
            words::time(wake_up.max_ns),
            wake_up.count
        )?;
        let steady = match self.is_counter_steady {
            Some(true) => "steady",
            Some(false) => "NOT steady: times are not to be trusted",
            None => "of unknown steadiness",
        };
        write!(
            f,
            "  the CPU's counter is {steady}, its rate known to {} ppm",
            self.counter_error_ppm
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_end_where_they_say() {
        for (ns, class) in [
            (0, Class::A),
            (9_999, Class::A),
            (10_000, Class::B),
            (49_999, Class::B),
            (50_000, Class::C),
            (999_999, Class::C),
            (1_000_000, Class::D),
            (u64::MAX, Class::D),
        ] {
            assert_eq!(Class::of(ns), class, "{ns}");
        }
    }
}
