//! What the processors' own counters say: how fast they ran, and how often the firmware took them.

use std::collections::BTreeMap;

use config::{CpuId, CpuSet};
use serde::{Deserialize, Serialize};

use crate::{
    Fact, Source,
    facts::{
        msr,
        processor::{Architecture, Processor},
    },
};

/// How far one CPU's clocks went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// The time-stamp counter: always.
    pub tsc: u64,
    /// At the same rate, while the CPU was awake.
    pub mperf: u64,
    /// At the CPU's own frequency, while it was awake.
    pub aperf: u64,
}

impl Clocks {
    /// The mean frequency while it was awake, in percent of the base frequency; none when it slept all the time.
    #[must_use]
    pub fn percent_of_base(&self) -> Option<u64> {
        percent(self.aperf, self.mperf)
    }

    /// The share of the time it was awake, in percent.
    #[must_use]
    pub fn percent_awake(&self) -> Option<u64> {
        percent(self.mperf, self.tsc)
    }
}

fn percent(part: u64, whole: u64) -> Option<u64> {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole))?;
    Some(u64::try_from(percent).unwrap_or(u64::MAX))
}

/// One reading.
#[derive(Debug)]
pub(super) struct Registers {
    clocks: Fact<BTreeMap<CpuId, Clocks>>,
    firmware_interrupts: Fact<u64>,
}

impl Registers {
    /// Reads the clocks of these CPUs. Each costs them an interrupt, which is why it is done before and after a
    /// measurement and not in it.
    pub(super) fn read(source: &Source, cpus: &Fact<CpuSet>) -> Self {
        let (clocks, firmware_interrupts) = match Processor::read(source) {
            Fact::Is(processor) if processor.architecture == Architecture::X86 => (
                match (processor.has("aperfmperf"), cpus) {
                    (false, _) | (true, Fact::Absent) => Fact::Absent,
                    (true, Fact::Unknown { why }) => Fact::unknown(why),
                    (true, Fact::Is(cpus)) => clocks(cpus),
                },
                match (processor.is_intel() && !processor.is_virtual(), CpuId::new(0)) {
                    (true, Some(first)) => msr::read(first, msr::SMI_COUNT),
                    _ => Fact::Absent,
                },
            ),
            Fact::Is(_) | Fact::Absent => (Fact::Absent, Fact::Absent),
            Fact::Unknown { why } => (Fact::unknown(&why), Fact::Unknown { why }),
        };
        Self { clocks, firmware_interrupts }
    }

    /// How far the clocks went until a later reading.
    pub(super) fn clocks_until(&self, later: &Self) -> Fact<BTreeMap<CpuId, Clocks>> {
        self.clocks.as_ref().and_then(|from| {
            later.clocks.as_ref().map(|to| {
                let went =
                    to.iter().filter_map(|(cpu, to)| Some((*cpu, since(*from.get(cpu)?, *to))));
                went.collect()
            })
        })
    }

    /// How often the firmware took the CPUs until a later reading.
    pub(super) fn firmware_interrupts_until(&self, later: &Self) -> Fact<u64> {
        self.firmware_interrupts.as_ref().and_then(|from| {
            // The register has 32 bits.
            later.firmware_interrupts.as_ref().map(|to| to.wrapping_sub(*from) & 0xFFFF_FFFF)
        })
    }
}

fn since(from: Clocks, to: Clocks) -> Clocks {
    // They go round at 2⁶⁴, which takes centuries, or begin anew when a CPU was off.
    Clocks {
        tsc: to.tsc.wrapping_sub(from.tsc),
        mperf: to.mperf.wrapping_sub(from.mperf),
        aperf: to.aperf.wrapping_sub(from.aperf),
    }
}

fn clocks(cpus: &CpuSet) -> Fact<BTreeMap<CpuId, Clocks>> {
    let mut all = BTreeMap::new();
    for cpu in cpus.iter() {
        let of = |register| msr::read(cpu, register);
        match (of(msr::TSC), of(msr::MPERF), of(msr::APERF)) {
            (Fact::Is(tsc), Fact::Is(mperf), Fact::Is(aperf)) => {
                all.insert(cpu, Clocks { tsc, mperf, aperf });
            }
            (Fact::Unknown { why }, ..)
            | (_, Fact::Unknown { why }, _)
            | (.., Fact::Unknown { why }) => {
                return Fact::Unknown { why };
            }
            (Fact::Absent, ..) | (_, Fact::Absent, _) | (.., Fact::Absent) => return Fact::Absent,
        }
    }
    Fact::Is(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_and_wakefulness_are_quotients_of_the_clocks() {
        let clocks = Clocks { tsc: 1000, mperf: 500, aperf: 600 };
        assert_eq!((clocks.percent_of_base(), clocks.percent_awake()), (Some(120), Some(50)));

        let asleep = Clocks { tsc: 1000, ..Clocks::default() };
        assert_eq!((asleep.percent_of_base(), asleep.percent_awake()), (None, Some(0)));

        let most = Clocks { tsc: 1, mperf: 1, aperf: u64::MAX };
        assert_eq!(most.percent_of_base(), Some(u64::MAX));
    }

    #[test]
    fn a_counter_of_the_firmware_goes_round_at_32_bits() {
        let at = |count| Registers { clocks: Fact::Absent, firmware_interrupts: Fact::Is(count) };

        assert_eq!(at(0xFFFF_FFFF).firmware_interrupts_until(&at(1)), Fact::Is(2));
        assert_eq!(at(7).firmware_interrupts_until(&at(7)), Fact::Is(0));
    }

    #[test]
    fn clocks_of_a_cpu_that_was_not_there_before_are_left_out() {
        let at = |cpus: &[(u32, u64)]| Registers {
            clocks: Fact::Is(
                cpus.iter()
                    .map(|&(cpu, tsc)| {
                        (CpuId::new(cpu).unwrap(), Clocks { tsc, ..Clocks::default() })
                    })
                    .collect(),
            ),
            firmware_interrupts: Fact::Absent,
        };

        let went = at(&[(2, 10)]).clocks_until(&at(&[(2, 25), (3, 99)])).into_value().unwrap();

        assert_eq!(went.len(), 1);
        assert_eq!(went[&CpuId::new(2).unwrap()].tsc, 15);
    }
}
