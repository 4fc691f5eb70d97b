//! Frequencies: who sets them, between which limits, and what the hardware makes of it.

use config::{CpuId, CpuSet, machine::Machine};
use serde::Serialize;

use crate::{Fact, Source};

/// Frequencies: who sets them, between which limits, and what the hardware makes of it.
#[derive(Debug, Clone, Serialize)]
pub struct Power {
    /// The groups of CPUs whose frequency is set together; absent without frequency scaling.
    pub policies: Fact<Vec<Policy>>,
    /// `intel_pstate/status`: `active`, `passive`, `off`.
    pub intel_pstate: Fact<String>,
    /// `intel_pstate/min_perf_pct`, in percent.
    pub min_performance: Fact<u32>,
    /// `amd_pstate/status`: `active`, `passive`, `guided`, `disable`.
    pub amd_pstate: Fact<String>,
    /// May cores go above their base frequency? Of `intel_pstate/no_turbo`, else of `cpufreq/boost`.
    pub turbo: Fact<bool>,
    /// `energy_perf_bias` of each CPU: 0 is performance, 15 is saving.
    pub bias: Fact<Vec<(CpuId, u32)>>,
    /// How often cores and packages were throttled since boot, in all.
    pub throttled: Fact<u64>,
    /// The uncore's frequency domains.
    pub uncore: Fact<Vec<Uncore>>,
    /// The limits of power that the kernel knows of (RAPL).
    pub limits: Fact<Vec<PowerLimit>>,
}

/// A limit of power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PowerLimit {
    /// What is limited: `package-0`.
    pub zone: String,
    /// Which of its limits: `long_term`, `short_term`.
    pub name: String,
    /// In watts.
    pub watts: u64,
}

/// CPUs whose frequency is set together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// `policy0`
    pub name: String,
    /// Its CPUs that are online.
    pub cpus: Fact<CpuSet>,
    /// `scaling_driver`
    pub driver: Fact<String>,
    /// `scaling_governor`
    pub governor: Fact<String>,
    /// `scaling_available_governors`
    pub governors: Fact<Vec<String>>,
    /// `energy_performance_preference`
    pub preference: Fact<String>,
    /// `scaling_min_freq`, in kHz.
    pub min_khz: Fact<u64>,
    /// `scaling_max_freq`, in kHz.
    pub max_khz: Fact<u64>,
    /// `base_frequency`, in kHz.
    pub base_khz: Fact<u64>,
}

/// A frequency domain of the uncore: caches, mesh, memory controllers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uncore {
    /// Its directory, from the root: `sys/devices/system/cpu/intel_uncore_frequency/package_00_die_00`.
    pub path: String,
    /// The least it may have, in kHz.
    pub min_khz: Fact<u64>,
    /// The most it may have, in kHz.
    pub max_khz: Fact<u64>,
}

/// The most policies and domains that are looked at: one for each CPU that Linux can have.
const MOST: usize = 8192;

const CPU: &str = "sys/devices/system/cpu";

impl Power {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>) -> Self {
        let at = |file: &str| format!("{CPU}/{file}");
        let no_turbo: Fact<u8> = source.parse(&at("intel_pstate/no_turbo"), "0 or 1");
        let turbo = match no_turbo {
            Fact::Absent => {
                source.parse::<u8>(&at("cpufreq/boost"), "0 or 1").map(|boost| boost != 0)
            }
            known => known.map(|no_turbo| no_turbo == 0),
        };
        let online = online(source, machine);
        Self {
            policies: policies(source),
            intel_pstate: source.text(&at("intel_pstate/status")),
            min_performance: source.parse(&at("intel_pstate/min_perf_pct"), "a percentage"),
            amd_pstate: source.text(&at("amd_pstate/status")),
            turbo,
            bias: each(&online, |cpu| {
                source.parse(&at(&format!("cpu{cpu}/power/energy_perf_bias")), "a number")
            }),
            throttled: throttled(source, &online),
            uncore: uncore(source),
            limits: limits(source),
        }
    }

    /// The policies that any of these CPUs belongs to.
    pub fn policies_of<'a>(&'a self, cpus: &'a CpuSet) -> impl Iterator<Item = &'a Policy> {
        let all = self.policies.value().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(move |policy| match &policy.cpus {
            Fact::Is(of) => !of.is_disjoint(cpus),
            // It may be one of theirs.
            Fact::Absent | Fact::Unknown { .. } => true,
        })
    }
}

impl Policy {
    /// One of its files, from the root.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        format!("{CPU}/cpufreq/{}/{name}", self.name)
    }
}

/// The CPUs that are online: of the machine if it is known, else of the file.
pub(super) fn online(source: &Source, machine: Option<&Machine>) -> CpuSet {
    match machine {
        Some(machine) => machine.cpus_where(|cpu| cpu.online),
        None => source.cpu_list(&format!("{CPU}/online")).into_value().unwrap_or_default(),
    }
}

/// A fact about each CPU: absent where no CPU has it, unknown as soon as one is.
pub(super) fn each<T>(cpus: &CpuSet, read: impl Fn(CpuId) -> Fact<T>) -> Fact<Vec<(CpuId, T)>> {
    let mut found = Vec::new();
    for cpu in cpus.iter() {
        match read(cpu) {
            Fact::Is(value) => found.push((cpu, value)),
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    }
    if found.is_empty() { Fact::Absent } else { Fact::Is(found) }
}

fn policies(source: &Source) -> Fact<Vec<Policy>> {
    source.names(&format!("{CPU}/cpufreq")).and_then(|names| {
        let is_policy = |name: &String| {
            name.strip_prefix("policy").is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let policies: Vec<Policy> = names
            .into_iter()
            .filter(is_policy)
            .take(MOST)
            .map(|name| policy(source, name))
            .collect();
        if policies.is_empty() { Fact::Absent } else { Fact::Is(policies) }
    })
}

fn policy(source: &Source, name: String) -> Policy {
    let at = |file: &str| format!("{CPU}/cpufreq/{name}/{file}");
    let khz = |file: &str| source.parse(&at(file), "a frequency in kHz");
    let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect();
    let cpus = source.text(&at("affected_cpus")).and_then(|text| {
        // Separated by blanks, unlike every other list of CPUs.
        match text.split_ascii_whitespace().map(str::parse).collect::<Result<CpuSet, _>>() {
            Ok(cpus) => Fact::Is(cpus),
            Err(error) => Fact::unknown(format!("affected_cpus of {name}: {error}")),
        }
    });
    Policy {
        cpus,
        driver: source.text(&at("scaling_driver")),
        governor: source.text(&at("scaling_governor")),
        governors: source.text(&at("scaling_available_governors")).map(words),
        preference: source.text(&at("energy_performance_preference")),
        min_khz: khz("scaling_min_freq"),
        max_khz: khz("scaling_max_freq"),
        base_khz: khz("base_frequency"),
        name,
    }
}

fn throttled(source: &Source, online: &CpuSet) -> Fact<u64> {
    let mut all = Fact::Absent;
    for cpu in online.iter() {
        for kind in ["core", "package"] {
            let file = format!("{CPU}/cpu{cpu}/thermal_throttle/{kind}_throttle_count");
            all = match (all, source.parse::<u64>(&file, "a number")) {
                (Fact::Unknown { why }, _) | (_, Fact::Unknown { why }) => {
                    return Fact::Unknown { why };
                }
                (Fact::Is(sum), Fact::Is(count)) => Fact::Is(sum.saturating_add(count)),
                (Fact::Absent, other) | (other, Fact::Absent) => other,
            };
        }
    }
    all
}

fn uncore(source: &Source) -> Fact<Vec<Uncore>> {
    let top = format!("{CPU}/intel_uncore_frequency");
    source.names(&top).and_then(|names| {
        let domains: Vec<Uncore> = names
            .into_iter()
            .take(MOST)
            .map(|name| {
                let path = format!("{top}/{name}");
                let khz =
                    |file: &str| source.parse(&format!("{path}/{file}"), "a frequency in kHz");
                Uncore { min_khz: khz("min_freq_khz"), max_khz: khz("max_freq_khz"), path }
            })
            .filter(|domain| !domain.min_khz.is_absent())
            .collect();
        if domains.is_empty() { Fact::Absent } else { Fact::Is(domains) }
    })
}

/// The limits of whole packages; what is below them (`intel-rapl:0:0`) is left out.
fn limits(source: &Source) -> Fact<Vec<PowerLimit>> {
    const TOP: &str = "sys/class/powercap";
    /// A zone has two or three.
    const MOST_LIMITS: u32 = 4;
    source.names(TOP).and_then(|zones| {
        let is_package = |zone: &&String| {
            zone.strip_prefix("intel-rapl:").is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let mut limits = Vec::new();
        for zone in zones.iter().filter(is_package).take(MOST) {
            let at = |file: &str| format!("{TOP}/{zone}/{file}");
            for number in 0..MOST_LIMITS {
                let file = at(&format!("constraint_{number}_power_limit_uw"));
                match source.parse::<u64>(&file, "a power in µW") {
                    Fact::Is(microwatts) => limits.push(PowerLimit {
                        zone: source.text(&at("name")).into_value().unwrap_or_else(|| zone.clone()),
                        name: source
                            .text(&at(&format!("constraint_{number}_name")))
                            .into_value()
                            .unwrap_or_else(|| number.to_string()),
                        watts: microwatts / 1_000_000,
                    }),
                    Fact::Absent => break,
                    Fact::Unknown { why } => return Fact::Unknown { why },
                }
            }
        }
        if limits.is_empty() { Fact::Absent } else { Fact::Is(limits) }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(CPU).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = Source::at(dir.path()).unwrap();
        (dir, source)
    }

    #[test]
    fn a_machine_without_frequency_scaling_has_no_policies() {
        let (_dir, source) = machine(&[("online", "0-1"), ("cpufreq/boost", "1")]);

        let power = Power::read(&source, None);

        assert_eq!(power.policies, Fact::Absent);
        assert_eq!(power.turbo, Fact::Is(true));
        assert_eq!(power.throttled, Fact::Absent);
        assert_eq!(power.bias, Fact::Absent);
    }

    #[test]
    fn a_policy_lists_its_cpus_with_blanks() {
        let (_dir, source) = machine(&[
            ("cpufreq/policy0/affected_cpus", "0 1 2\n"),
            ("cpufreq/policy4/affected_cpus", "4 x\n"),
            ("cpufreq/policyx/affected_cpus", "5\n"),
        ]);

        let policies = policies(&source).into_value().unwrap();

        assert_eq!(policies.len(), 2);
        assert_eq!(policies[0].cpus, Fact::Is("0-2".parse().unwrap()));
        assert!(policies[1].cpus.is_unknown());
    }

    #[test]
    fn throttling_is_summed_up_and_one_that_can_not_be_read_hides_the_sum() {
        let (_dir, source) = machine(&[
            ("online", "0-1"),
            ("cpu0/thermal_throttle/core_throttle_count", "3"),
            ("cpu1/thermal_throttle/package_throttle_count", "4"),
        ]);
        assert_eq!(Power::read(&source, None).throttled, Fact::Is(7));

        let (_dir, source) = machine(&[
            ("online", "0-1"),
            ("cpu0/thermal_throttle/core_throttle_count", "3"),
            ("cpu1/thermal_throttle/package_throttle_count", "hot"),
        ]);
        assert!(Power::read(&source, None).throttled.is_unknown());
    }

    #[test]
    fn power_limits_are_of_packages() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("intel-rapl:0/name", "package-0"),
            ("intel-rapl:0/constraint_0_name", "long_term"),
            ("intel-rapl:0/constraint_0_power_limit_uw", "205000000"),
            ("intel-rapl:0/constraint_1_power_limit_uw", "246999999"),
            ("intel-rapl:0:0/constraint_0_power_limit_uw", "1"),
        ] {
            let path = dir.path().join("sys/class/powercap").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        let limits = limits(&Source::at(dir.path()).unwrap()).into_value().unwrap();

        let limit = |name: &str, watts| PowerLimit {
            zone: "package-0".to_owned(),
            name: name.to_owned(),
            watts,
        };
        assert_eq!(limits, [limit("long_term", 205), limit("1", 246)]);
    }

    #[test]
    fn turbo_is_what_the_driver_says_before_what_cpufreq_says() {
        let turbo = |files: &[(&str, &str)]| Power::read(&machine(files).1, None).turbo;

        assert_eq!(
            turbo(&[("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "1")]),
            Fact::Is(false)
        );
        assert_eq!(turbo(&[("intel_pstate/no_turbo", "0")]), Fact::Is(true));
        assert_eq!(turbo(&[("cpufreq/boost", "0")]), Fact::Is(false));
        assert_eq!(turbo(&[]), Fact::Absent);
    }
}
