//! What of a finding is about one network interface.

use crate::{Facts, Finding, Verdict, change::Change};

/// A network interface, by all the names that findings call it.
#[derive(Debug)]
pub(super) struct About {
    interface: String,
    /// Its PCI function.
    function: Option<String>,
    /// The numbers of its interrupts.
    interrupts: Vec<u32>,
}

impl About {
    /// The interface of this name; or which there are.
    pub(super) fn new(facts: &Facts, name: &str) -> Result<Self, String> {
        let all = facts.nics.all.value().map(Vec::as_slice).unwrap_or_default();
        let Some(interface) = all.iter().find(|interface| interface.name == name) else {
            let names: Vec<&str> = all.iter().map(|interface| interface.name.as_str()).collect();
            let there = match names.as_slice() {
                [] => "none is known".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            return Err(format!("there is no interface called {name:?}; {there}"));
        };
        let irqs = facts.interrupts.interfaces.get(name).map(|interface| interface.irqs.clone());
        Ok(Self {
            interface: name.to_owned(),
            function: interface.pci.map(|address| address.to_string()),
            interrupts: irqs.unwrap_or_default(),
        })
    }

    /// The part of a finding that is about it; none where nothing is.
    pub(super) fn part_of(&self, mut finding: Finding) -> Option<Finding> {
        let is_several = !finding.details.is_empty();
        finding.details.retain(|line| self.is_in(line));
        finding.fix.retain(|change| self.is_changed_by(change));
        let is_about = self.is_in(&finding.seen);
        if finding.details.is_empty() && finding.fix.is_empty() && !is_about {
            return None;
        }
        if is_several && !finding.details.is_empty() {
            // Where each line has its verdict, the worst of those that are left is the finding's.
            let judged: Vec<(Verdict, &str)> =
                finding.details.iter().filter_map(|line| judged(line)).collect();
            if judged.len() == finding.details.len() {
                let worst = Verdict::ALL.iter().find_map(|verdict| {
                    judged.iter().find(|(of, _)| of == verdict).map(|(of, line)| (*of, *line))
                });
                if let Some((verdict, seen)) = worst {
                    (finding.verdict, finding.seen) = (verdict, seen.to_owned());
                }
                if finding.details.len() == 1 {
                    finding.details.clear();
                }
            }
        }
        finding.needs_reboot = finding.fix.iter().any(Change::needs_reboot);
        Some(finding)
    }

    fn is_in(&self, text: &str) -> bool {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || "-_.:@".contains(c)));
        words.any(|word| {
            let word = word.trim_end_matches([':', '.']);
            word == self.interface || self.function.as_deref() == Some(word)
        }) || self.interrupts.iter().any(|irq| {
            // Lines about an interrupt begin with its number, as rows of /proc/interrupts do.
            text.strip_prefix(&irq.to_string()).is_some_and(|rest| rest.starts_with(' '))
        })
    }

    fn is_changed_by(&self, change: &Change) -> bool {
        let is_part = |path: &str| {
            let irq = |number: &u32| path.starts_with(&format!("proc/irq/{number}/"));
            let name = |part| part == self.interface || Some(part) == self.function.as_deref();
            path.split('/').any(name) || self.interrupts.iter().any(irq)
        };
        match change {
            Change::Ethtool { interface, .. } => *interface == self.interface,
            Change::Driver { device, .. } => {
                self.function.as_deref() == Some(device.to_string().as_str())
            }
            Change::Kernel { path, .. } => is_part(path),
            Change::File { path, content } => is_part(path) || self.is_in(content),
            Change::Sysctl { key, .. } => key.split(['.', '/']).any(|part| part == self.interface),
            Change::BootParameter { .. }
            | Change::Setting { .. }
            | Change::Unit { .. }
            | Change::Affinity { .. }
            | Change::Partition { .. }
            | Change::Hugepages { .. }
            | Change::KernelArguments(_)
            | Change::BootMenu { .. } => false,
        }
    }
}

/// `BAD     eno1: 256 of 4096`
fn judged(line: &str) -> Option<(Verdict, &str)> {
    Verdict::ALL.iter().find_map(|verdict| {
        let rest = line.strip_prefix(verdict.label())?;
        rest.starts_with(' ').then(|| (*verdict, rest.trim_start()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            interface: "eno1".to_owned(),
            function: Some("0000:02:00.0".to_owned()),
            interrupts: vec![60],
        }
    }

    #[test]
    fn an_interface_is_found_by_all_its_names_and_only_by_whole_ones() {
        let about = about();
        for text in ["eno1: 256", "BAD     eno1 rx-0: cpu 1", "0000:02:00.0: ice", "60 eno9: cpu 1"]
        {
            assert!(about.is_in(text), "{text}");
        }
        for text in ["eno10: 256", "xeno1: 1", "0000:02:00.01", "600 nvme0q1", "cpu 60", ""] {
            assert!(!about.is_in(text), "{text}");
        }
    }

    #[test]
    fn a_line_with_a_verdict_is_taken_apart() {
        assert_eq!(judged("BAD     eno1: short"), Some((Verdict::Bad, "eno1: short")));
        assert_eq!(judged("N/A     x"), Some((Verdict::NotApplicable, "x")));
        assert_eq!(judged("BADLY done"), None);
        assert_eq!(judged("60 eno1: cpu 1"), None);
    }
}
