//! What a result depends on besides the programs: names and values, flat, so that two of them can be compared.

pub mod nics;
pub mod wires;

use std::{collections::BTreeMap, path::Path, process::Command};

use linux::Root;

/// Reads it; what can not be read is said so in its place.
#[must_use]
pub fn read(root: &Root) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, path) in [
        ("kernel", "proc/sys/kernel/osrelease"),
        ("kernel.build", "proc/sys/kernel/version"),
        ("kernel.command_line", "proc/cmdline"),
        ("cpu.online", "sys/devices/system/cpu/online"),
        ("cpu.isolated", "sys/devices/system/cpu/isolated"),
        ("cpu.nohz_full", "sys/devices/system/cpu/nohz_full"),
        ("cpu.smt", "sys/devices/system/cpu/smt/control"),
        ("cpu.governor", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        ("cpu.idle_driver", "sys/devices/system/cpu/cpuidle/current_driver"),
        ("clock_source", "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        ("memory.transparent_hugepages", "sys/kernel/mm/transparent_hugepage/enabled"),
        ("network.default_qdisc", "proc/sys/net/core/default_qdisc"),
        ("network.busy_poll", "proc/sys/net/core/busy_poll"),
        ("network.bpf_jit", "proc/sys/net/core/bpf_jit_enable"),
        ("machine.product", "sys/class/dmi/id/product_name"),
        ("machine.firmware", "sys/class/dmi/id/bios_version"),
    ] {
        let value = root.head(path, 64 * 1024);
        let value = value.map_or_else(|error| format!("unknown: {error}"), |text| one_line(&text));
        all.insert(name.to_owned(), value);
    }
    let cpuinfo = root.head("proc/cpuinfo", 64 * 1024).unwrap_or_default();
    for (name, label) in [("cpu.model", "model name"), ("cpu.microcode", "microcode")] {
        if let Some(value) = field(&cpuinfo, label) {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    let is_guest = field(&cpuinfo, "flags")
        .is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    all.insert("machine.is_guest".to_owned(), is_guest.to_string());
    let folder = "sys/devices/system/cpu/vulnerabilities";
    for name in root.names(folder).unwrap_or_default() {
        if let Ok(text) = root.head(&format!("{folder}/{name}"), 4096) {
            all.insert(format!("mitigation.{name}"), one_line(&text));
        }
    }
    let memory = root.head("proc/meminfo", 64 * 1024).unwrap_or_default();
    if let Some(total) = field(&memory, "MemTotal") {
        all.insert("memory.total".to_owned(), total.to_owned());
    }
    all.extend(nics::of_devices(root));
    all.insert("dpdk".to_owned(), dpdk::Eal::version().to_owned());
    all.insert("barewire_bench".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    all.insert("barewire_bench.is_optimised".to_owned(), (!cfg!(debug_assertions)).to_string());
    all
}

/// The programs of paths: file, and what it says of its version. testpmd has no such word: it is that of its DPDK.
#[must_use]
pub fn programs(barewired: Option<&Path>, testpmd: Option<&Path>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: String| all.insert(name.to_owned(), value);
    if let Some(file) = barewired {
        add("barewired", version(file));
        add("barewired.file", file.display().to_string());
    }
    if let Some(file) = testpmd {
        add("testpmd.file", file.display().to_string());
    }
    all
}

fn version(file: &Path) -> String {
    match Command::new(file).arg("--version").output() {
        Ok(output) => {
            one_line(&String::from_utf8_lossy(&output.stdout)).chars().take(200).collect()
        }
        Err(error) => format!("unknown: {error}"),
    }
}

fn field<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == label).then_some(value.trim())
    })
}

fn one_line(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// What differs: name, and both values; one that only one of them has is empty in the other.
#[must_use]
pub fn differences(
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |all: &BTreeMap<String, String>, name| all.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| (name.clone(), of(a, name), of(b, name)))
        .filter(|(_, a, b)| a != b)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_files_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.18.0\n");
        write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: tsc hypervisor\n");
        write("sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");

        let all = read(&Root::at(dir.path()).unwrap());

        assert_eq!(all["kernel"], "6.18.0");
        assert_eq!(all["cpu.model"], "A CPU");
        assert_eq!(all["machine.is_guest"], "true");
        assert_eq!(all["mitigation.meltdown"], "Not affected");
        assert!(all["clock_source"].starts_with("unknown: "), "{}", all["clock_source"]);
    }

    #[test]
    fn only_what_differs_is_a_difference() {
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let found =
            differences(&of(&[("a", "1"), ("b", "2")]), &of(&[("a", "1"), ("b", "3"), ("c", "4")]));
        let expected =
            [("b", "2", "3"), ("c", "", "4")].map(|(n, a, b)| (n.into(), a.into(), b.into()));
        assert_eq!(found, expected);
    }
}
