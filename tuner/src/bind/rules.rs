//! What brings a binding back at boot: a udev rule of ours, or a file of driverctl where that is installed.

use config::PciAddress;
use linux::pci::Function;

use crate::{change::Change, facts::pci::vfio::Vfio};

/// Our rules.
pub const FILE: &str = "etc/udev/rules.d/90-barewire-vfio.rules";

/// What stands at the beginning of it.
const HEADER: &str = "\
# Gives these PCI functions to vfio-pci when they appear. Written by barewire-tune bind; unbind takes them out again.
# A card that moved to another slot, or a card of another model in the same slot, is left alone.
";

/// What driverctl calls the file of a function.
#[must_use]
pub fn driverctl_name(device: PciAddress) -> String {
    format!("pci-{device}")
}

/// The files that bring these functions' binding back. `there` are the lines of all rules, with their files.
#[must_use]
pub fn keep(vfio: &Vfio, functions: &[&Function]) -> Vec<Change> {
    if vfio.has_driverctl {
        let file = |function: &&Function| Change::File {
            path: format!("etc/driverctl.d/{}", driverctl_name(function.address)),
            content: "vfio-pci\n".to_owned(),
        };
        return functions.iter().map(file).collect();
    }
    if functions.is_empty() { Vec::new() } else { vec![add(&vfio.rules, functions)] }
}

/// Our file, with the functions that are in it and these.
fn add(there: &[(String, String)], functions: &[&Function]) -> Change {
    let mut rules: Vec<String> = ours(there).map(str::to_owned).collect();
    rules.retain(|rule| !functions.iter().any(|function| names(rule, function.address)));
    rules.extend(functions.iter().map(|function| rule(function)));
    rules.sort();
    Change::File { path: FILE.to_owned(), content: render(&rules) }
}

/// Our file without these functions; none when nothing is left in it.
#[must_use]
pub fn without(there: &[(String, String)], devices: &[PciAddress]) -> Option<String> {
    let rules = ours(there).filter(|rule| !devices.iter().any(|device| names(rule, *device)));
    let rules: Vec<String> = rules.map(str::to_owned).collect();
    (!rules.is_empty()).then(|| render(&rules))
}

/// Is the function in our file?
#[must_use]
pub fn has(there: &[(String, String)], device: PciAddress) -> bool {
    ours(there).any(|rule| names(rule, device))
}

fn ours(there: &[(String, String)]) -> impl Iterator<Item = &str> {
    there.iter().filter(|(file, _)| file == FILE).map(|(_, rule)| rule.as_str())
}

fn names(rule: &str, device: PciAddress) -> bool {
    rule.contains(&format!("KERNEL==\"{device}\""))
}

fn render(rules: &[String]) -> String {
    let mut text = HEADER.to_owned();
    for rule in rules {
        text.push_str(rule);
        text.push('\n');
    }
    text
}

/// One line for one function.
///
/// Setting the attribute happens while the rules are read, before the driver's module is loaded; what is run comes
/// after that. A driver that was there already (from the initramfs) lets go; one that is vfio-pci stays.
fn rule(function: &Function) -> String {
    let Function { address, vendor, device, .. } = function;
    format!(
        "ACTION==\"add\", SUBSYSTEM==\"pci\", KERNEL==\"{address}\", ATTR{{vendor}}==\"0x{vendor:04x}\", \
         ATTR{{device}}==\"0x{device:04x}\", ATTR{{driver_override}}=\"vfio-pci\", \
         RUN{{builtin}}+=\"kmod load vfio-pci\", \
         RUN+=\"/bin/sh -c 'test -e /sys/bus/pci/drivers/vfio-pci/%k || {{ test ! -e /sys%p/driver || echo %k \
         >/sys%p/driver/unbind; echo %k >/sys/bus/pci/drivers_probe; }}'\""
    )
}

#[cfg(test)]
mod tests {
    use linux::Known;

    use super::*;

    fn function(address: &str) -> Function {
        Function {
            address: address.parse().unwrap(),
            vendor: 0x8086,
            device: 0x1592,
            class: 0x02_0000,
            driver: Some("ice".to_owned()),
            node: Known::Known(None),
            local_cpus: Known::Known(config::CpuSet::new()),
            iommu_group: Some(1),
            netdevs: Vec::new(),
        }
    }

    fn lines(change: &Change) -> Vec<(String, String)> {
        let Change::File { path, content } = change else { panic!("{change:?}") };
        let rules = content.lines().filter(|line| !line.starts_with('#'));
        rules.map(|line| (path.clone(), line.to_owned())).collect()
    }

    #[test]
    fn functions_are_added_once_and_taken_out_again() {
        let (one, other) = (function("0000:3b:00.0"), function("0000:3b:00.1"));

        let first = lines(&add(&[], &[&one]));
        let both = lines(&add(&first, &[&other]));
        let again = lines(&add(&both, &[&one]));

        assert_eq!((first.len(), both.len()), (1, 2));
        assert_eq!(both, again);
        assert!(has(&both, one.address) && !has(&first, other.address));
        let left = without(&both, &[one.address]).unwrap();
        assert!(!left.contains("0000:3b:00.0") && left.contains("0000:3b:00.1"));
        assert_eq!(without(&both, &[one.address, other.address]), None);
    }

    #[test]
    fn rules_of_others_are_not_ours() {
        let theirs = vec![(
            "etc/udev/rules.d/10-x.rules".to_owned(),
            "KERNEL==\"0000:3b:00.0\", ATTR{driver_override}=\"vfio-pci\"".to_owned(),
        )];

        assert!(!has(&theirs, "0000:3b:00.0".parse().unwrap()));
        assert_eq!(lines(&add(&theirs, &[&function("0000:5e:00.0")])).len(), 1);
    }

    #[test]
    fn what_a_rule_runs_is_a_shell_command_without_a_mistake() {
        let rule = rule(&function("0000:3b:00.0"));
        let script = rule.split("-c '").nth(1).unwrap().split('\'').next().unwrap();
        let script = script.replace("%k", "0000:3b:00.0").replace("%p", "/devices/x");

        let output = std::process::Command::new("sh").args(["-n", "-c", &script]).output().unwrap();

        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        // udev ends a value at the next quote, and knows no others than these substitutions.
        assert_eq!(rule.matches('"').count() % 2, 0);
        assert!(!rule.contains('$'));
    }
}
