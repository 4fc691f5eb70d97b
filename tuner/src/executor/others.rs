//! Other tuners at work: two of them undo each other's work for ever.

use serde::Serialize;

use crate::hands::{Hands, HandsError};

/// Another tuner that is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// Its unit: `tuned.service`.
    pub unit: String,
    /// One of its processes.
    pub pid: u32,
    /// What it does, in a few words.
    pub does: String,
}

/// The tuners of other people, by unit, and what they do.
const TUNERS: [(&str, &str); 6] = [
    ("tuned.service", "applies its profile again at every start"),
    ("tuned-ppd.service", "switches TuneD's profiles when a desktop or a battery asks"),
    ("power-profiles-daemon.service", "sets governors and energy preferences"),
    ("thermald.service", "lowers frequencies by its own thresholds"),
    ("tlp.service", "sets governors, energy preferences and PCIe power saving"),
    ("auto-cpufreq.service", "sets governors by load"),
];

/// The most processes that are looked at: `pid_max` of 64-bit kernels.
const MOST: usize = 1 << 22;

/// Those that run: each process says in which unit it is (`/proc/PID/cgroup`), so that nobody has to be asked.
///
/// # Errors
/// [`HandsError`] when `/proc` can not be listed.
pub fn running(hands: &dyn Hands) -> Result<Vec<Other>, HandsError> {
    let mut found: Vec<Other> = Vec::new();
    for name in hands.names("proc")?.iter().take(MOST) {
        let Ok(pid) = name.parse::<u32>() else { continue };
        // Processes end while we look.
        let Ok(Some(groups)) = hands.text(&format!("proc/{pid}/cgroup")) else { continue };
        for (unit, does) in TUNERS {
            let is_in = groups.lines().any(|line| {
                let path = line.rsplit(':').next().unwrap_or_default();
                path.split('/').any(|part| part == unit)
            });
            if is_in && !found.iter().any(|other| other.unit == unit) {
                found.push(Other {
                    unit: unit.to_owned(),
                    pid,
                    does: described(hands, unit, does),
                });
            }
        }
    }
    found.sort_by(|one, other| one.unit.cmp(&other.unit));
    Ok(found)
}

/// TuneD says which profile it is about.
fn described(hands: &dyn Hands, unit: &str, does: &str) -> String {
    let profile = match unit {
        "tuned.service" => hands.text("etc/tuned/active_profile").ok().flatten(),
        _ => None,
    };
    match profile.filter(|profile| !profile.is_empty()) {
        Some(profile) => format!("{does} (profile {profile})"),
        None => does.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hands::Real;

    #[test]
    fn a_tuner_is_known_by_the_unit_that_its_process_is_in() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/7/cgroup", "0::/system.slice/tuned.service\n"),
            ("proc/8/cgroup", "0::/system.slice/tuned.service\n"),
            ("proc/9/cgroup", "1:name=systemd:/system.slice/thermald.service\n"),
            ("proc/10/cgroup", "0::/user.slice/not-tuned.service.d\n"),
            ("etc/tuned/active_profile", "balanced\n"),
        ] {
            let at = dir.path().join(path);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(at, text).unwrap();
        }

        let found = running(&Real::at(dir.path()).unwrap()).unwrap();

        let units: Vec<&str> = found.iter().map(|other| other.unit.as_str()).collect();
        assert_eq!(units, ["thermald.service", "tuned.service"]);
        assert!(found[1].does.contains("balanced"), "{}", found[1].does);
    }
}
