//! How deep idle CPUs sleep, and who forbids it.

use std::{fs::File, io::Read as _};

use config::{CpuId, machine::Machine};
use serde::{Deserialize, Serialize};

use super::power::{each, online};
use crate::{Fact, Source};

/// How deep idle CPUs sleep, and who forbids it.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// Who puts CPUs to sleep: `intel_idle`, `acpi_idle`, `none`.
    pub driver: Fact<String>,
    /// The states of each CPU; absent where no CPU has any.
    pub states: Fact<Vec<(CpuId, Vec<State>)>>,
    /// What may be waited for any CPU to wake up, in µs (`/dev/cpu_dma_latency`); [`NO_LIMIT`] when nobody asks.
    pub global_limit_us: Fact<i32>,
    /// The same for each CPU alone.
    pub limits: Fact<Vec<(CpuId, Limit)>>,
}

/// A state that an idle CPU may be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `state2`
    pub directory: String,
    /// `C1E`
    pub name: String,
    /// What waking up takes, in µs.
    pub latency_us: u64,
    /// Was it switched off?
    pub is_disabled: bool,
}

/// What may be waited for one CPU to wake up: `pm_qos_resume_latency_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Anything: the file says `0`.
    None,
    /// So long, in µs.
    Us(u64),
    /// Nothing: the file says `n/a`, and the CPU does not sleep at all.
    Zero,
}

/// What `/dev/cpu_dma_latency` says when nobody limits anything: 2000 s (`PM_QOS_CPU_LATENCY_DEFAULT_VALUE`).
pub const NO_LIMIT: i32 = 2_000_000_000;

/// The most states of a CPU: the kernel has room for ten.
const MOST_STATES: usize = 32;

const CPU: &str = "sys/devices/system/cpu";

impl Idle {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>) -> Self {
        let online = online(source, machine);
        Self {
            driver: source.text(&format!("{CPU}/cpuidle/current_driver")),
            states: each(&online, |cpu| states(source, cpu)),
            global_limit_us: source.ask("power/cpu_dma_latency", global_limit),
            limits: each(&online, |cpu| {
                let file = format!("{CPU}/cpu{cpu}/power/pm_qos_resume_latency_us");
                source.root().parse_with(&file, "a time in µs or n/a", Limit::parse).into()
            }),
        }
    }

    /// What may be waited for this CPU, if anything is said.
    #[must_use]
    pub fn limit(&self, cpu: CpuId) -> Option<Limit> {
        self.limits.value()?.iter().find(|(of, _)| *of == cpu).map(|(_, limit)| *limit)
    }
}

impl Limit {
    /// Reads the notation, in which 0 means that there is no limit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "n/a" => Some(Self::Zero),
            text => Some(match text.parse().ok()? {
                0 => Self::None,
                us => Self::Us(us),
            }),
        }
    }

    /// In µs, where there is a limit.
    #[must_use]
    pub fn us(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Us(us) => Some(us),
            Self::Zero => Some(0),
        }
    }
}

fn states(source: &Source, cpu: CpuId) -> Fact<Vec<State>> {
    let top = format!("{CPU}/cpu{cpu}/cpuidle");
    let names = match source.names(&top) {
        Fact::Is(names) => names,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let mut states = Vec::new();
    for directory in names.into_iter().filter(|name| name.starts_with("state")).take(MOST_STATES) {
        let at = |file: &str| format!("{top}/{directory}/{file}");
        let latency = source.parse::<u64>(&at("latency"), "a time in µs");
        let disabled = source.parse::<u64>(&at("disable"), "0 or more");
        match (latency, disabled) {
            (Fact::Unknown { why }, _) | (_, Fact::Unknown { why }) => {
                return Fact::Unknown { why };
            }
            (Fact::Is(latency_us), disabled) => states.push(State {
                name: source.text(&at("name")).into_value().unwrap_or_else(|| directory.clone()),
                latency_us,
                is_disabled: disabled.value().is_some_and(|&disabled| disabled != 0),
                directory,
            }),
            // The CPU went away meanwhile.
            (Fact::Absent, _) => {}
        }
    }
    if states.is_empty() { Fact::Absent } else { Fact::Is(states) }
}

/// Reading it asks for nothing: a file that was opened and not written to has no say.
fn global_limit() -> Fact<i32> {
    const FILE: &str = "/dev/cpu_dma_latency";
    let mut file = match File::open(FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Fact::Absent,
        Err(error) => return Fact::unknown(format!("cannot open {FILE}: {error}")),
    };
    let mut value = [0; 4];
    match file.read_exact(&mut value) {
        Ok(()) => Fact::Is(i32::from_ne_bytes(value)),
        Err(error) => Fact::unknown(format!("cannot read {FILE}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn zero_means_without_limit_and_not_applicable_means_zero() {
        assert_eq!(Limit::parse("0"), Some(Limit::None));
        assert_eq!(Limit::parse("n/a"), Some(Limit::Zero));
        assert_eq!(Limit::parse("2"), Some(Limit::Us(2)));
        for odd in ["", "-1", "n/a ", "auto"] {
            assert_eq!(Limit::parse(odd), None, "{odd}");
        }
        assert_eq!(
            [Limit::None.us(), Limit::Us(2).us(), Limit::Zero.us()],
            [None, Some(2), Some(0)]
        );
    }

    #[test]
    fn states_are_read_and_nonsense_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(CPU).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("online", "0-1");
        for (state, name, latency, disable) in [(0, "POLL", "0", "0"), (1, "C6", "133", "1")] {
            write(&format!("cpu0/cpuidle/state{state}/name"), name);
            write(&format!("cpu0/cpuidle/state{state}/latency"), latency);
            write(&format!("cpu0/cpuidle/state{state}/disable"), disable);
        }
        let read = || Idle::read(&Source::at(dir.path()).unwrap(), None).states;

        let states = read().into_value().unwrap();
        assert_eq!(states.len(), 1);
        let [poll, c6] = &states[0].1[..] else { panic!("{states:?}") };
        assert_eq!((poll.name.as_str(), poll.latency_us, poll.is_disabled), ("POLL", 0, false));
        assert_eq!((c6.name.as_str(), c6.latency_us, c6.is_disabled), ("C6", 133, true));

        write("cpu1/cpuidle/state0/latency", "soon");
        assert!(read().is_unknown());
    }
}
