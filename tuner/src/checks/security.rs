//! What was traded for speed. Nothing here is ever changed by this program.

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording,
};
use crate::{Fact, Section, boot::grub, facts::boot::grub::Assignment};

/// What was traded for speed.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "SEC-01",
        section: Section::Security,
        title: "mitigations of the processor's vulnerabilities",
        why: "a poll loop makes no system calls, so mitigations cost it little and their absence exposes the host",
        explain: "Mitigations cost time where the kernel is entered and left, and where contexts change. A worker that polls \
                  does neither; housekeeping, SSH and guests over vhost do. We know of no published measurement in \
                  which mitigations=off helped a poll-mode driver, and of many reasons against it: a locally running \
                  program can then read the kernel's and other programs' memory.\n\nThis lists what the kernel says. It \
                  is never a recommendation, in either direction; who wants to know measures both on their host.",
        sources: &[
            "Linux Documentation/admin-guide/hw-vuln",
            "Linux Documentation/admin-guide/kernel-parameters.txt, mitigations",
        ],
        is_contested: true,
        look: mitigations,
        ..Check::PLAIN
    },
    Check {
        id: "SEC-02",
        section: Section::Security,
        title: "simultaneous multithreading",
        why: "two threads of a core share what some attacks read, and whatever a worker needs",
        explain: "Some vulnerabilities (L1TF, MDS) let a program observe the other thread of its core; where programs are not \
                  trusted the kernel's documentation has SMT off. For workers the sibling is a matter of its own: it \
                  takes half of the core's units when it runs, so it is left idle or taken offline (TOPO-03), which \
                  serves both ends.\n\nSwitching SMT off halves the threads of the whole machine. This lists the state \
                  and what the kernel says of SMT, and recommends nothing.",
        sources: &[
            "Linux Documentation/admin-guide/hw-vuln/l1tf.rst",
            "Linux Documentation/admin-guide/kernel-parameters.txt, nosmt",
        ],
        is_contested: true,
        look: smt,
        ..Check::PLAIN
    },
    Check {
        id: "SEC-03",
        section: Section::Security,
        title: "packet filters",
        why: "vendors' tuning scripts flush the firewall; this program does not touch it",
        explain: "Some vendor scripts stop the firewall and flush its rules to save some hundred nanoseconds on the kernel's \
                  path, or mask management agents. On a server whose data path bypasses the kernel that is all risk and \
                  no gain: rules are looked at for management traffic only.\n\nThis lists which filters are there, so \
                  that a report shows when they disappeared. Note what bypass means, though: a poll-mode port sees what \
                  no filter of the kernel does, and has to filter itself.",
        sources: &["Mellanox mlnx-tools, mlnx_tune (what not to do)"],
        look: filters,
        ..Check::PLAIN
    },
    Check {
        id: "SEC-04",
        section: Section::Security,
        title: "auditing and access control on the command line",
        why: "auditing and mandatory access control that are off for speed are off for compliance too",
        explain: "audit=0, selinux=0, enforcing=0 and apparmor=0 on the kernel command line switch off what compliance asks \
                  for, and what a poll loop never pays for: its system calls are none. Guides copy them from each other.\n\n\
                  Nothing of it is ever set by this program. If it stands in the file that belongs to this program, \
                  somebody edited that: a warning. Elsewhere it is somebody's decision, and information.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt, audit, selinux, enforcing, apparmor",
        ],
        look: off_switches,
        ..Check::PLAIN
    },
];

/// What switches something off.
const OFF: [&str; 4] = ["audit", "selinux", "enforcing", "apparmor"];

fn mitigations(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all =
            known(&context.facts.security.vulnerabilities, "this processor says nothing of it")?;
        let open = all.iter().filter(|(_, text)| text.starts_with("Vulnerable"));
        let open: Vec<&str> = open.map(|(name, _)| name.as_str()).collect();
        let switched = context.cmdline().ok().and_then(|line| line.value("mitigations"));
        let with = switched.map(|value| format!(", mitigations={value}")).unwrap_or_default();
        let seen = match open.as_slice() {
            [] => format!("none of {} is open{with}", all.len()),
            open => format!("open: {}{with}", open.join(", ")),
        };
        let lines = all.iter().map(|(name, text)| format!("{name}: {text}"));
        Ok(Outcome::info(seen).details(wording::lines(lines)))
    })
}

fn smt(context: &Context<'_>) -> Outcome {
    settled(|| {
        let control = known(&context.facts.security.smt, "this kernel has no such switch")?;
        if control.is_empty() {
            return Ok(Outcome::unknown("smt/control is empty"));
        }
        let about = context.facts.security.vulnerabilities.value().into_iter().flatten();
        let about = about.filter(|(_, text)| text.contains("SMT vulnerable"));
        let about: Vec<&str> = about.map(|(name, _)| name.as_str()).collect();
        let seen = match about.as_slice() {
            [] => control.clone(),
            names => format!("{control}; vulnerable with it: {}", names.join(", ")),
        };
        Ok(Outcome::info(seen))
    })
}

fn filters(context: &Context<'_>) -> Outcome {
    settled(|| {
        let security = &context.facts.security;
        let tables = known(&security.filter_tables, "this kernel has no packet filter")?;
        let mut found = Vec::new();
        if security.has_nftables {
            found.push("nftables".to_owned());
        }
        if !tables.is_empty() {
            found.push(format!("iptables ({})", tables.join(", ")));
        }
        let seen = if found.is_empty() { "none is loaded".to_owned() } else { found.join(", ") };
        Ok(Outcome::info(seen))
    })
}

fn off_switches(context: &Context<'_>) -> Outcome {
    settled(|| {
        let line = context.cmdline()?;
        let found = OFF.iter().filter(|key| matches!(line.value(key), Some("0" | "off")));
        let found: Vec<String> = found.map(|key| format!("{key}=0")).collect();
        if found.is_empty() {
            return Ok(Outcome::good("nothing is switched off").wanted("nothing switched off"));
        }
        let outcome = match ours(context) {
            true => Outcome::warn(format!("{}, in our own file", found.join(" "))),
            false => Outcome::info(format!("{}, set by somebody else", found.join(" "))),
        };
        Ok(outcome.wanted("nothing switched off"))
    })
}

/// Does the file that is ours switch something off?
fn ours(context: &Context<'_>) -> bool {
    let Fact::Is(grub) = &context.facts.boot.grub else { return false };
    let is_off = |one: &Assignment| {
        let words = one.value.split_ascii_whitespace();
        words.into_iter().any(|word| OFF.iter().any(|key| word == format!("{key}=0")))
    };
    let ours = grub.settings.iter().filter(|file| file.path == grub::DROP_IN);
    ours.filter_map(|file| file.assignments.value()).flatten().any(is_off)
}

#[cfg(test)]
mod tests;
