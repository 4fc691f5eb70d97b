//! The boot loader: who it is, who has the last word, and what is left when something goes wrong.

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
};
use crate::{
    Fact, Section,
    boot::grub::{DROP_IN, EVERY_ENTRY, NORMAL_ENTRIES},
    facts::boot::{Loader, grub::SettingsFile},
};

pub(super) const LOADER: Check = Check {
    id: "BOOT-02",
    section: Section::Boot,
    title: "boot loader",
    why: "kernel parameters written for a loader that does not start this machine change nothing",
    explain: "Each family of distributions configures its kernel's parameters elsewhere: Debian and Ubuntu generate GRUB's \
              menu from /etc/default/grub and drop-ins; Fedora and RHEL have one file per kernel, edited by grubby, and \
              ignore /etc/default/grub until told otherwise; systemd-boot has /etc/kernel/cmdline; ostree and bootc \
              keep them with the deployment; a unified kernel image carries them signed.\n\nGood is one loader that this \
              program can configure. Two whose files are both there are a warning: one of them is a leftover, and which \
              one the firmware says. What can not be written is printed as a command instead.",
    sources: &["Boot Loader Specification", "Boot Loader Interface", "GRUB manual 2.12"],
    look: loader,
    ..Check::PLAIN
};

pub(super) const OVERWRITTEN: Check = Check {
    id: "BOOT-03",
    section: Section::Boot,
    title: "drop-ins that undo others",
    why: "a drop-in that assigns instead of adding throws away what every file before it said",
    explain: "grub-mkconfig sources /etc/default/grub and then each file of grub.d in the order of their names; they are \
              shell. A file that says GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\" replaces what was there; one that says \
              \"$GRUB_CMDLINE_LINUX_DEFAULT quiet\" adds. Cloud images ship such files, and packages add them \
              later.\n\nOurs is called zz-90-barewire.cfg so that it is read late. A file that is read after it and \
              assigns is bad, because our parameters are gone without a trace.",
    sources: &["grub-mkconfig of Debian 12 and Ubuntu 24.04", "bencher issue on drop-in order"],
    look: overwritten,
    ..Check::PLAIN
};

pub(super) const FALLBACK: Check = Check {
    id: "BOOT-05",
    section: Section::Boot,
    title: "a way back from a bad boot",
    why: "kernel parameters are the one change that can leave a machine that does not come up",
    explain: "Parameters are tried once: the tuned entry is chosen for the next boot only, and becomes the default after the \
              machine came up and was found right. If it hangs, a power cycle brings the old one. For that GRUB has to be \
              able to forget the choice by writing its environment block, which it can only do on a plain partition \
              with a simple file system: on RAID, LVM or btrfs the choice for one boot stays for ever.\n\nGood is \
              a second entry and an environment block that GRUB can write. Without the latter parameters can still be \
              applied, but somebody should be near the console.",
    sources: &[
        "grub-reboot(8), NOTE",
        "GRUB manual 2.12, Environment block",
        "systemd automatic boot assessment",
    ],
    look: fallback,
    ..Check::PLAIN
};

fn is_virtual(context: &Context<'_>) -> bool {
    context.facts.processor.value().is_some_and(|processor| processor.is_virtual())
}

fn loader(context: &Context<'_>) -> Outcome {
    let loaders = &context.facts.boot.loaders;
    let outcome = match loaders.as_slice() {
        [] if is_virtual(context) => {
            return Outcome::not_applicable("the hypervisor starts the kernel itself");
        }
        [] => Outcome::unknown("no boot loader was recognised: parameters can only be printed"),
        [one @ (Loader::Uki { .. } | Loader::RaspberryPi { .. } | Loader::Zipl)] => {
            Outcome::info(format!("{}: parameters are printed, not written", one.label()))
        }
        [one] => Outcome::good(one.label()),
        several => {
            let labels: Vec<&str> = several.iter().map(Loader::label).collect();
            Outcome::warn(format!("{}; the first one is taken to decide", labels.join(" and ")))
                .advice("remove what is left of the loader that does not start this machine")
        }
    };
    outcome.wanted("one that can be configured")
}

fn overwritten(context: &Context<'_>) -> Outcome {
    settled(|| {
        let grub = known(&context.facts.boot.grub, "GRUB does not start this machine")?;
        if !matches!(context.facts.boot.loader(), Some(Loader::Grub { has_drop_ins: true, .. })) {
            return Ok(Outcome::not_applicable("GRUB's settings have no drop-ins here"));
        }
        let blind = grub.settings.iter().find_map(|file| file.assignments.why());
        if let Some(why) = blind {
            return Ok(Outcome::unknown(why));
        }
        let later = grub.settings.iter().filter(|file| file.path.as_str() > DROP_IN);
        let later = later.filter(|file| file.path.starts_with("etc/default/grub.d/"));
        let later: Vec<String> = later.filter_map(assigns).collect();
        Ok(match later.first() {
            None => Outcome::good("no file is read after ours and assigns"),
            Some(first) => Outcome::bad(first.clone())
                .details(later)
                .advice("have it add: GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX …\", or rename it"),
        }
        .wanted("whoever is read later adds"))
    })
}

/// Where a file replaces what others said of the command line.
fn assigns(file: &SettingsFile) -> Option<String> {
    let mut all = file.assignments.value()?.iter();
    let bad = all.find(|one| {
        [EVERY_ENTRY, NORMAL_ENTRIES].contains(&one.key.as_str()) && !one.keeps_earlier
    })?;
    Some(format!("/{}:{} assigns {}", file.path, bad.line, bad.key))
}

fn fallback(context: &Context<'_>) -> Outcome {
    settled(|| {
        let boot = &context.facts.boot;
        let none = "no boot loader of this system starts its kernel";
        let entries = known(&boot.entries, none)?;
        let wanted = "a second entry, and an environment block that GRUB can write";
        let outcome = match boot.loader() {
            Some(Loader::Grub { .. } | Loader::GrubBls { .. }) => grub_fallback(context)?,
            // Boot counting renames the entry's file, and needs no more than that.
            Some(Loader::SystemdBoot { .. }) => match entries.len() {
                0 => Outcome::bad("there is no entry"),
                1 => Outcome::warn("one entry: nothing to fall back to"),
                count => Outcome::good(format!("{count} entries, boot counting")),
            },
            Some(Loader::Ostree | Loader::Bootc) => match entries.len() {
                0 => Outcome::bad("there is no entry"),
                1 => Outcome::warn("one deployment: nothing to fall back to"),
                count => Outcome::good(format!("{count} deployments")),
            },
            Some(Loader::Uki { .. } | Loader::Zipl | Loader::RaspberryPi { .. }) | None => {
                Outcome::not_applicable("this program does not write for this loader")
            }
        };
        Ok(outcome.wanted(wanted))
    })
}

fn grub_fallback(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let boot = &context.facts.boot;
    let grub = known(&boot.grub, "GRUB does not start this machine")?;
    match &grub.environment {
        Fact::Is(_) => {}
        Fact::Absent => {
            return Ok(Outcome::bad("GRUB has no environment block: nothing can be tried once"));
        }
        Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
    }
    let storage = known(&boot.storage, "what /boot is on is not known")?;
    let on = format!("{} on {}", storage.filesystem, storage.device);
    Ok(match storage.is_writable_by_grub() {
        true => Outcome::good(format!("an environment block, {on}")),
        false => Outcome::warn(format!("GRUB can not write its environment block: {on}"))
            .advice("stay near the console for the first boot with new parameters"),
    })
}
