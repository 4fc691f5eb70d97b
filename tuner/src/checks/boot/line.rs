//! The kernel's command line: the one that counts and the next one.

use std::collections::BTreeMap;

use linux::cmdline::Cmdline;

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording,
};
use crate::{
    Fact, Section,
    facts::boot::{Entry, grub::Grub},
};

pub(super) const PENDING: Check = Check {
    id: "BOOT-01",
    section: Section::Boot,
    title: "command line of this boot and the next",
    why: "kernel parameters that were configured count only after a reboot, and may never count at all",
    explain: "Parameters are written into a boot loader's configuration and read by the kernel at its start. In between the \
              machine runs with something other than what its files say, and everybody who looks at the files is \
              misled. Worse is a setting that was written and never made it into the menu: update-grub was not \
              run, or the loader that starts this machine reads other files.\n\nThis compares the entry that starts \
              next with what is running, word by word, without what loaders add themselves (BOOT_IMAGE, initrd). A \
              difference is a pending reboot. GRUB's settings are compared with its menu as well: what is in the former \
              and not in the latter is bad.",
    sources: &["GRUB manual 2.12, Simple configuration handling", "Boot Loader Specification"],
    look: pending,
    ..Check::PLAIN
};

pub(super) const LENGTH: Check = Check {
    id: "BOOT-04",
    section: Section::Boot,
    title: "length of the command line",
    why: "the kernel cuts its command line off without a word, and what stood at the end is lost",
    explain: "x86 and arm64 keep 2048 bytes of command line, the final zero included. CPU lists of large machines, written \
              out for four parameters, get there. What is cut off is the end, which is where drop-ins add theirs; a \
              list that is cut in the middle of a number names another CPU.\n\nUp to 1800 bytes is good, more is a \
              warning, more than 2047 is bad. Ranges are shorter than single numbers, and nohz_full implies rcu_nocbs.",
    sources: &[
        "Linux arch/x86/include/asm/setup.h and arch/arm64/include/uapi/asm/setup.h, COMMAND_LINE_SIZE",
        "canonical rt-conf",
    ],
    is_proposed: true,
    look: length,
    ..Check::PLAIN
};

pub(super) const DUPLICATES: Check = Check {
    id: "BOOT-06",
    section: Section::Boot,
    title: "parameters that are given twice",
    why: "of two values for one parameter mostly the last one counts, and sometimes neither",
    explain: "Most parameters are set anew each time they appear, so the last one wins; hugepages= belongs to the hugepagesz= \
              before it; console= and a few others are meant to be repeated; isolcpus= and nohz_full= given twice with \
              different CPUs are partly refused. Two tools that each add their own produce such lines, and only one \
              of them gets what it wanted.\n\nGood is no parameter with two different values, but for those that are \
              meant to be repeated. Fix the file that is not meant to decide.",
    sources: &["Linux Documentation/admin-guide/kernel-parameters.txt", "canonical rt-conf"],
    look: duplicates,
    ..Check::PLAIN
};

/// `COMMAND_LINE_SIZE` without the zero at its end.
const MOST: usize = 2047;

/// What leaves room for a parameter more.
const ROOM: usize = 1800;

/// What loaders add by themselves.
const LOADERS: [&str; 4] = ["BOOT_IMAGE", "initrd", "EFI", "ostree"];

/// What is meant to be given more than once.
const REPEATED: [&str; 17] = [
    "console",
    "earlycon",
    "earlyprintk",
    "hugepages",
    "hugepagesz",
    "ip",
    "nameserver",
    "memmap",
    "mem",
    "memblock",
    "video",
    "root",
    "rootflags",
    "blacklist",
    "modprobe.blacklist",
    "initcall_blacklist",
    "crashkernel",
];

/// The words of a line, without what loaders add.
fn words(line: &str) -> Vec<String> {
    let line = Cmdline::parse(line);
    let ours = line.parameters().iter().filter(|one| !LOADERS.contains(&one.name.as_str()));
    ours.map(|one| match &one.value {
        Some(value) => format!("{}={value}", one.name),
        None => one.name.clone(),
    })
    .collect()
}

/// What is in the first list and not in the second, as often as it is.
fn missing<'a>(these: &'a [String], those: &[String]) -> Vec<&'a str> {
    let mut left: Vec<&String> = those.iter().collect();
    let mut found = Vec::new();
    for word in these {
        match left.iter().position(|other| *other == word) {
            Some(at) => drop(left.remove(at)),
            None => found.push(word.as_str()),
        }
    }
    found
}

fn pending(context: &Context<'_>) -> Outcome {
    settled(|| {
        let boot = &context.facts.boot;
        let none = "no boot loader of this system starts its kernel";
        let next = known(&boot.next, none)?;
        let running = words(known(&boot.line, "there is no /proc/cmdline")?);
        let wanted = "what runs is what is configured";
        if let Some(forgotten) = boot.grub.value().and_then(|grub| forgotten(grub, next)) {
            let seen = format!("configured, but not in the menu: {}", forgotten.join(" "));
            return Ok(Outcome::bad(seen).wanted(wanted).advice("update-grub"));
        }
        let next = words(&next.line);
        let (comes, goes) = (missing(&next, &running), missing(&running, &next));
        let outcome = match (comes.is_empty(), goes.is_empty()) {
            (true, true) => Outcome::good("the same"),
            _ => {
                let comes = comes.iter().map(|word| format!("+{word}"));
                let goes = goes.iter().map(|word| format!("-{word}"));
                let all: Vec<String> = comes.chain(goes).collect();
                Outcome::warn(format!("pending reboot: {}", all.join(" "))).advice("reboot")
            }
        };
        Ok(outcome.wanted(wanted))
    })
}

/// The words of GRUB's settings that the entry in its menu has not.
fn forgotten(grub: &Grub, next: &Entry) -> Option<Vec<String>> {
    // The setting for all entries is in recovery entries too, the one for normal entries is not.
    let mut settings = words(&grub.setting("GRUB_CMDLINE_LINUX").unwrap_or_default());
    if !next.is_rescue {
        settings.extend(words(&grub.setting("GRUB_CMDLINE_LINUX_DEFAULT").unwrap_or_default()));
    }
    // Entries of the Boot Loader Specification are not made from these settings.
    let is_generated = next.file == grub.menu_file;
    let found = missing(&settings, &words(&next.line));
    let found: Vec<String> = found.into_iter().map(str::to_owned).collect();
    (is_generated && !found.is_empty()).then_some(found)
}

fn length(context: &Context<'_>) -> Outcome {
    settled(|| {
        let boot = &context.facts.boot;
        let running = known(&boot.line, "there is no /proc/cmdline")?.len();
        let next = boot.next.value().map_or(0, |entry| entry.line.len());
        let longest = running.max(next);
        let seen = match next {
            0 => format!("{running} bytes"),
            next => format!("{running} bytes, {next} at the next boot"),
        };
        let outcome = if longest <= ROOM {
            Outcome::good(seen)
        } else if longest <= MOST {
            Outcome::warn(seen)
        } else {
            Outcome::bad(seen)
        };
        Ok(match longest {
            ..=ROOM => outcome,
            _ => outcome.advice(
                "write CPU lists as ranges, and leave out rcu_nocbs where nohz_full says the same",
            ),
        }
        .wanted("at most 2047 bytes, 1800 to leave room"))
    })
}

fn duplicates(context: &Context<'_>) -> Outcome {
    settled(|| {
        let boot = &context.facts.boot;
        let running = known(&boot.cmdline, "there is no /proc/cmdline")?;
        let mut found = conflicts(running, "now");
        if let Fact::Is(next) = &boot.next {
            let parameter = |line: &str| line.split(':').next().map(str::to_owned);
            let known: Vec<Option<String>> = found.iter().map(|line| parameter(line)).collect();
            let at_next = conflicts(&Cmdline::parse(&next.line), "at the next boot");
            found.extend(at_next.into_iter().filter(|line| !known.contains(&parameter(line))));
        }
        Ok(match found.first() {
            None => Outcome::good("none"),
            Some(first) => Outcome::bad(first.clone())
                .details(wording::lines(found))
                .advice("find the file that should not decide, and take the parameter out of it"),
        }
        .wanted("one value for each"))
    })
}

/// Parameters with different values, one line each.
fn conflicts(line: &Cmdline, when: &str) -> Vec<String> {
    let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in line.parameters() {
        let name = one.name.replace('-', "_");
        // Names of modules, of systemd and of the initramfs have a dot and rules of their own.
        let may_repeat = REPEATED.contains(&one.name.as_str()) || one.name.contains('.');
        let Some(value) = one.value.as_deref().filter(|_| !may_repeat) else { continue };
        let all = values.entry(name).or_default();
        if !all.contains(&value) {
            all.push(value);
        }
    }
    let several = values.into_iter().filter(|(_, all)| all.len() > 1);
    several.map(|(name, all)| format!("{name}: {} ({when})", all.join(" and "))).collect()
}
