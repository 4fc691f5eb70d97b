//! Kernel, distribution, and what the machine is.

use serde::{Deserialize, Serialize};

use crate::{Fact, Source};

/// Kernel, distribution, and what the machine is.
#[derive(Debug, Clone, Serialize)]
pub struct System {
    /// The kernel's release: `6.12.41-amd64`.
    pub release: Fact<String>,
    /// How it was built: `#1 SMP PREEMPT_DYNAMIC …`.
    pub build: Fact<String>,
    /// `/etc/os-release`.
    pub distribution: Fact<Distribution>,
    /// Who made the machine, and what they call it.
    pub product: Fact<String>,
    /// The hypervisor, where the kernel or the firmware names one.
    pub hypervisor: Fact<String>,
    /// Ticks of 1/100 s that a hypervisor kept from us since boot, and all ticks.
    pub stolen: Fact<Stolen>,
    /// The load average over 1, 5 and 15 minutes, as it is written.
    pub load: Fact<[String; 3]>,
    /// The control groups' version: 1 where no unified hierarchy is mounted at `/sys/fs/cgroup`.
    pub cgroups: Fact<u8>,
}

/// `/etc/os-release` (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// `debian`, `rhel`.
    pub id: String,
    /// What it is like, the nearest first.
    pub like: Vec<String>,
    /// `13`, `9.4`.
    pub version: String,
    /// For people.
    pub name: String,
}

/// What a hypervisor kept from us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stolen {
    /// Ticks in which we were ready and did not run.
    pub ticks: u64,
    /// All ticks.
    pub of: u64,
}

impl Stolen {
    /// The part, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a part of all ticks, for people")]
    pub fn part(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.ticks as f64 / self.of as f64 }
    }
}

/// `2.10 1.95 1.80 3/412 20311` (proc_loadavg(5)).
fn load(text: &str) -> Fact<[String; 3]> {
    let words: Vec<String> = text.split_whitespace().take(3).map(str::to_owned).collect();
    let is_number = |word: &String| word.parse::<f64>().is_ok_and(|load| load >= 0.0);
    match <[String; 3]>::try_from(words) {
        Ok(words) if words.iter().all(is_number) => Fact::Is(words),
        _ => Fact::unknown("/proc/loadavg does not begin with three numbers"),
    }
}

impl System {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let release = ["etc/os-release", "usr/lib/os-release"]
            .into_iter()
            .map(|path| source.text(path))
            .find(|text| !text.is_absent());
        let dmi = |name: &str| source.text(&format!("sys/class/dmi/id/{name}"));
        let product = match (dmi("sys_vendor"), dmi("product_name")) {
            (Fact::Is(vendor), Fact::Is(name)) => Fact::Is(format!("{vendor} {name}")),
            (Fact::Is(one), _) | (_, Fact::Is(one)) => Fact::Is(one),
            (other, _) => other,
        };
        Self {
            release: source.text("proc/sys/kernel/osrelease"),
            build: source.text("proc/sys/kernel/version"),
            distribution: release.unwrap_or(Fact::Absent).map(|text| distribution(&text)),
            product,
            load: source.text("proc/loadavg").and_then(|text| load(&text)),
            hypervisor: source.text("sys/hypervisor/type"),
            stolen: stolen(source),
            cgroups: match source.exists("sys/fs/cgroup/cgroup.controllers") {
                true => Fact::Is(2),
                false if source.exists("sys/fs/cgroup") => Fact::Is(1),
                false => Fact::Absent,
            },
        }
    }

    /// The kernel's version: `(6, 12)` of `6.12.41-amd64`.
    #[must_use]
    pub fn kernel(&self) -> Fact<(u32, u32)> {
        self.release.as_ref().and_then(|release| {
            let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(major)), Some(Ok(minor))) => Fact::Is((major, minor)),
                _ => Fact::unknown(format!("\"{release}\" is no kernel's release")),
            }
        })
    }
}

fn distribution(text: &str) -> Distribution {
    let field = |key: &str| {
        let lines = super::boot::grub::assignments(text);
        lines.into_iter().rfind(|one| one.key == key).map(|one| one.value).unwrap_or_default()
    };
    Distribution {
        id: field("ID"),
        like: field("ID_LIKE").split_ascii_whitespace().map(str::to_owned).collect(),
        version: field("VERSION_ID"),
        name: field("PRETTY_NAME"),
    }
}

/// The first line of `/proc/stat` (proc_stat(5)); time of guests is part of the time of users.
fn stolen(source: &Source) -> Fact<Stolen> {
    let text: Fact<String> = source.root().head("proc/stat", 64 * 1024).into();
    text.and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
        let ticks: Option<Vec<u64>> =
            line.map(|line| line.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect());
        match ticks {
            Some(ticks) if ticks.len() >= 8 => Fact::Is(Stolen {
                ticks: ticks[7],
                of: ticks[..8].iter().fold(0, |sum, &n| sum.saturating_add(n)),
            }),
            _ => Fact::unknown("/proc/stat has no line for all CPUs"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> System {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        System::read(&Source::at(dir.path()).unwrap())
    }

    #[test]
    fn a_machine_says_what_it_is() {
        let system = machine(&[
            ("proc/sys/kernel/osrelease", "6.12.41-amd64\n"),
            ("etc/os-release", "ID=rocky\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.4'\n"),
            ("sys/class/dmi/id/sys_vendor", "Dell Inc."),
            ("sys/class/dmi/id/product_name", "PowerEdge R750"),
            ("proc/stat", "cpu  10 0 10 70 0 0 0 10 0 0\ncpu0 1 2 3\n"),
        ]);

        assert_eq!(system.kernel(), Fact::Is((6, 12)));
        assert_eq!(system.distribution.value().unwrap().like, ["rhel", "centos", "fedora"]);
        assert_eq!(system.product, Fact::Is("Dell Inc. PowerEdge R750".to_owned()));
        assert!((system.stolen.value().unwrap().part() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_unknown_and_nothing_is_absent() {
        let odd = machine(&[("proc/sys/kernel/osrelease", "mainline"), ("proc/stat", "cpu 1 2")]);
        assert!(odd.kernel().is_unknown());
        assert!(odd.stolen.is_unknown());

        let empty = machine(&[]);
        assert!(empty.kernel().is_absent() && empty.stolen.is_absent());
    }
}
