//! From what is meant to what is written: no step is more than one write.

use std::collections::{BTreeMap, BTreeSet};

use super::{ByHand, Chosen, Draft, Scope};
use crate::{
    Risk,
    boot::{self, ArgumentTool, Arguments, KernelArguments, MenuTool, shell::KERNEL_INSTALL},
    change::{BootValue, Change, Form, SYSCTL_FILE, sysctl_path},
    facts::boot::Loader,
};

/// The longest command line that the kernel takes (`COMMAND_LINE_SIZE` is 2048 on x86 and arm64, one for the NUL).
const LONGEST_LINE: usize = 2047;

impl Draft<'_> {
    /// Sysctls become a write and one file, kernel parameters one file or one command.
    pub(super) fn lower(&mut self) {
        self.lower_sysctls();
        self.lower_parameters();
    }

    fn lower_sysctls(&mut self) {
        let mut lasting: Vec<(String, String)> = Vec::new();
        let mut checks = BTreeSet::new();
        let mut kept = Vec::new();
        for chosen in std::mem::take(&mut self.chosen) {
            let Change::Sysctl { key, value } = &chosen.change else {
                kept.push(chosen);
                continue;
            };
            if self.source.text(&sysctl_path(key)).is_absent() {
                for check in &chosen.checks {
                    self.leave_out(check, chosen.change.clone(), "this kernel has no such sysctl");
                }
                continue;
            }
            lasting.retain(|(known, _)| known != key);
            lasting.push((key.clone(), value.clone()));
            checks.extend(chosen.checks.clone());
            let change = Change::Kernel {
                path: sysctl_path(key),
                value: value.clone(),
                form: Form::of_sysctl(key),
            };
            kept.push(Chosen { change, scope: Some(Scope::Both), ..chosen });
        }
        self.chosen = kept;
        if lasting.is_empty() {
            return;
        }
        self.find_later_sysctls(&lasting);
        let change =
            Change::File { path: SYSCTL_FILE.to_owned(), content: self.sysctl_file(&lasting) };
        self.chosen.push(Chosen {
            checks: checks.into_iter().collect(),
            change,
            scope: Some(Scope::Boot),
            risk: Risk::None,
            is_bad: false,
            why: "what is set now is set again at every boot".to_owned(),
        });
    }

    /// Says which other file sets one of them at boot after ours: files are read in the order of their names, whatever
    /// directory they are in (sysctl.d(5)).
    fn find_later_sysctls(&mut self, lasting: &[(String, String)]) {
        let ours = SYSCTL_FILE.rsplit('/').next().unwrap_or_default();
        for dir in ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"] {
            for name in self.source.names(dir).into_value().unwrap_or_default() {
                if !name.ends_with(".conf") || name.as_str() <= ours {
                    continue;
                }
                let text = self.source.text(&format!("{dir}/{name}")).into_value();
                for line in text.unwrap_or_default().lines() {
                    let Some((key, value)) = line.split_once('=') else { continue };
                    let path = sysctl_path(key.trim().trim_start_matches('-'));
                    let known = lasting.iter().find(|(known, _)| sysctl_path(known) == path);
                    if let Some((known, wanted)) = known
                        && !Form::of_sysctl(known).is_same(value, wanted)
                    {
                        self.notes.push(format!(
                            "/{dir}/{name} sets {known} to {} at boot, after our file: take that line out",
                            value.trim()
                        ));
                    }
                }
            }
        }
    }

    /// Our file of sysctls with these lines; what is in it already stays.
    fn sysctl_file(&self, lasting: &[(String, String)]) -> String {
        let there = self.source.text(SYSCTL_FILE).into_value().unwrap_or_default();
        let mut lines: BTreeMap<String, String> = there
            .lines()
            .filter(|line| !line.trim_start().starts_with(['#', ';']))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        lines.extend(lasting.iter().cloned());
        let mut text = "# Written by barewire-tune, which owns this file.\n".to_owned();
        for (key, value) in lines {
            text.push_str(&format!("{key} = {value}\n"));
        }
        text
    }

    /// Can the kernel's command line be written here?
    pub(super) fn writes_command_line(&self) -> bool {
        matches!(
            self.facts.boot.loader(),
            Some(Loader::Grub { .. } | Loader::GrubBls { .. } | Loader::SystemdBoot { .. })
        )
    }

    fn lower_parameters(&mut self) {
        let (parameters, rest): (Vec<Chosen>, Vec<Chosen>) = std::mem::take(&mut self.chosen)
            .into_iter()
            .partition(|chosen| matches!(chosen.change, Change::BootParameter { .. }));
        self.chosen = rest;
        // What is bad is said last, and so wins over what is a warning.
        let (bad, warned): (Vec<&Chosen>, Vec<&Chosen>) =
            parameters.iter().partition(|chosen| chosen.is_bad);
        let mut wanted = Arguments::default();
        for chosen in warned.into_iter().chain(bad) {
            if let Change::BootParameter { key, value } = &chosen.change {
                wanted.set(key, value.clone());
            }
        }
        if wanted.is_empty() {
            return;
        }
        let line = self.base_line();
        let length = boot::rewrite(&line, &wanted).len();
        if length > LONGEST_LINE {
            let why = format!(
                "refused: the kernel's command line would have {length} bytes, and {LONGEST_LINE} is the most"
            );
            for chosen in parameters {
                self.leave_out(&chosen.checks[0], chosen.change, why.clone());
            }
            return;
        }
        let mut checks: Vec<String> = Vec::new();
        for check in parameters.iter().flat_map(|chosen| &chosen.checks) {
            if !checks.contains(check) {
                checks.push(check.clone());
            }
        }
        let risk = parameters.iter().map(|chosen| chosen.risk).max().unwrap_or(Risk::Low);
        let reasons: BTreeSet<&str> = parameters.iter().map(|chosen| chosen.why.as_str()).collect();
        let why = reasons.into_iter().collect::<Vec<_>>().join("; ");
        let is_bad = parameters.iter().any(|chosen| chosen.is_bad);
        let step = |change: Change| Chosen {
            checks: checks.clone(),
            change,
            scope: Some(Scope::Boot),
            risk,
            is_bad,
            why: why.clone(),
        };
        match self.by_loader(&wanted) {
            Ok(changes) => self.chosen.extend(changes.into_iter().map(step)),
            Err(by_hand) => {
                if !self.has_already(&wanted) {
                    self.by_hand.push(ByHand { checks, ..by_hand });
                }
            }
        }
    }

    /// What the next boot starts the kernel with, as far as it is known.
    pub(super) fn base_line(&self) -> String {
        let boot = &self.facts.boot;
        let next = boot.next.value().map(|entry| entry.line.clone());
        next.or_else(|| boot.line.value().cloned()).unwrap_or_default()
    }

    /// Does the next boot have all of it already?
    fn has_already(&self, wanted: &Arguments) -> bool {
        let line = self.base_line();
        let rewritten = boot::rewrite(&line, wanted);
        let sorted = |line: &str| {
            let mut words = Arguments::from_line(line).words();
            words.sort();
            words
        };
        sorted(&line) == sorted(&rewritten)
    }

    /// The changes that set kernel arguments on this machine; or what a person has to do.
    fn by_loader(&self, wanted: &Arguments) -> Result<Vec<Change>, ByHand> {
        let by_hand = |what: String, commands: Vec<String>| ByHand {
            checks: Vec::new(),
            what: format!("{what}: {wanted}"),
            commands,
        };
        let boot = &self.facts.boot;
        let elsewhere = boot::shell::by_hand(boot.loader());
        match boot.loader() {
            Some(Loader::Grub { has_drop_ins: true, .. }) => Ok(self.grub_drop_in(wanted)),
            Some(Loader::Grub { has_drop_ins: false, menu }) => {
                self.grub_settings(wanted, menu).ok_or_else(|| {
                    let what = "/etc/default/grub is made in a way that only a shell understands, so its \
                                GRUB_CMDLINE_LINUX_DEFAULT is set by hand";
                    let tool = MenuTool::GrubMkconfig { menu: menu.clone() };
                    let commands = vec![tool.command().join(" ")];
                    by_hand(what.to_owned(), commands)
                })
            }
            Some(Loader::GrubBls { .. }) => Ok(self.by_grubby(wanted)),
            Some(Loader::SystemdBoot { .. }) => Ok(self.kernel_install(wanted)),
            Some(Loader::Ostree) => {
                let arguments = KernelArguments::with(ArgumentTool::RpmOstree, wanted);
                Err(by_hand(elsewhere, arguments.shell()))
            }
            Some(Loader::Bootc) => {
                let arguments = KernelArguments::with(ArgumentTool::Bootc, wanted);
                Err(by_hand(elsewhere, arguments.shell()))
            }
            Some(Loader::Zipl) => Err(by_hand(elsewhere, vec!["zipl".to_owned()])),
            Some(Loader::Uki { .. } | Loader::RaspberryPi { .. }) | None => {
                Err(by_hand(elsewhere, Vec::new()))
            }
        }
    }

    fn grub_drop_in(&self, wanted: &Arguments) -> Vec<Change> {
        // What an earlier plan set stays, unless this one says otherwise.
        let there = self.source.text(boot::grub::DROP_IN).into_value().unwrap_or_default();
        let mut all = boot::grub::read(&there);
        all.merge(wanted);
        let has_rivals = match self.facts.boot.grub.value() {
            None => true,
            Some(grub) => {
                let mut others = grub.clone();
                others.settings.retain(|file| file.path != boot::grub::DROP_IN);
                [boot::grub::EVERY_ENTRY, boot::grub::NORMAL_ENTRIES].iter().any(|variable| {
                    let is_assigned = others.settings.iter().any(|file| {
                        file.assignments
                            .value()
                            .is_none_or(|all| all.iter().any(|one| one.key == *variable))
                    });
                    match others.setting(variable) {
                        Some(line) => boot::touches(&line, &all),
                        None => is_assigned,
                    }
                })
            }
        };
        vec![
            Change::File {
                path: boot::grub::DROP_IN.to_owned(),
                content: boot::grub::drop_in(&all, has_rivals),
            },
            Change::BootMenu { tool: MenuTool::UpdateGrub },
        ]
    }

    fn grub_settings(&self, wanted: &Arguments, menu: &str) -> Option<Vec<Change>> {
        let grub = self.facts.boot.grub.value()?;
        let set = |variable: &str, value: String| Change::Setting {
            path: "etc/default/grub".to_owned(),
            key: variable.to_owned(),
            value,
        };
        let mut changes = Vec::new();
        let normal = grub.setting(boot::grub::NORMAL_ENTRIES).unwrap_or_default();
        changes.push(set(boot::grub::NORMAL_ENTRIES, boot::rewrite(&normal, wanted)));
        if let Some(every) = grub.setting(boot::grub::EVERY_ENTRY)
            && boot::touches(&every, wanted)
        {
            changes.push(set(boot::grub::EVERY_ENTRY, boot::without(&every, wanted)));
        }
        // What a shell would have to run has no value to write over.
        let is_plain = grub.settings.iter().all(|file| {
            file.assignments.value().is_some_and(|all| {
                all.iter().all(|one| {
                    !one.key.starts_with(boot::grub::EVERY_ENTRY) || !one.value.contains(['$', '`'])
                })
            })
        });
        changes.push(Change::BootMenu { tool: MenuTool::GrubMkconfig { menu: menu.to_owned() } });
        is_plain.then_some(changes)
    }

    /// The entries that are there; and, where a file says what new ones are made with, that file.
    fn by_grubby(&self, wanted: &Arguments) -> Vec<Change> {
        let arguments = KernelArguments::with(ArgumentTool::Grubby, wanted);
        let mut changes = vec![Change::KernelArguments(arguments)];
        if let Some(there) = self.source.text(KERNEL_INSTALL).into_value() {
            changes.push(Change::File {
                path: KERNEL_INSTALL.to_owned(),
                content: format!("{}\n", boot::rewrite(&there, wanted)),
            });
        }
        changes
    }

    fn kernel_install(&self, wanted: &Arguments) -> Vec<Change> {
        let there = self.source.text(KERNEL_INSTALL).into_value();
        let base = there.unwrap_or_else(|| {
            // Without the file, kernel-install takes what the running kernel was started with.
            let mut passed = Arguments::default();
            for key in ["BOOT_IMAGE", "initrd"] {
                passed.set(key, BootValue::Absent);
            }
            boot::without(&self.base_line(), &passed)
        });
        let version = self.source.text("proc/sys/kernel/osrelease").into_value();
        let mut changes = vec![Change::File {
            path: KERNEL_INSTALL.to_owned(),
            content: format!("{}\n", boot::rewrite(&base, wanted)),
        }];
        changes.extend(
            version.map(|version| Change::BootMenu { tool: MenuTool::KernelInstall { version } }),
        );
        changes
    }
}
