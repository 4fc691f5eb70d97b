//! Who starts the kernel.

use serde::{Deserialize, Serialize};

use super::grub;
use crate::{Fact, Source};

/// Who starts the kernel, and so where its command line is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Loader {
    /// GRUB with a menu that is generated from `/etc/default/grub` (Debian, Ubuntu, SUSE).
    Grub {
        /// The generated menu, from the root, without a slash in front: `boot/grub/grub.cfg`.
        menu: String,
        /// Are drop-ins in `/etc/default/grub.d` read? (Debian's and Ubuntu's grub-mkconfig does.)
        has_drop_ins: bool,
    },
    /// GRUB that reads Boot Loader Specification entries, edited by `grubby` (Fedora, RHEL and their family).
    GrubBls {
        /// The directory of the entries, from the root, without a slash in front.
        entries: String,
    },
    /// systemd-boot: `/etc/kernel/cmdline` and kernel-install.
    SystemdBoot {
        /// The directory of the entries, from the root, without a slash in front.
        entries: String,
    },
    /// An ostree deployment: `rpm-ostree kargs`.
    Ostree,
    /// A bootable container: `bootc loader-entries`.
    Bootc,
    /// A unified kernel image, which carries its (signed) command line.
    Uki {
        /// Images that were found, from the root, without a slash in front.
        images: Vec<String>,
    },
    /// zipl, on s390x.
    Zipl,
    /// The Raspberry Pi's firmware.
    RaspberryPi {
        /// The file with the command line.
        file: String,
    },
}

impl Loader {
    /// As it is printed.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Grub { has_drop_ins: true, .. } => "GRUB with drop-ins",
            Self::Grub { has_drop_ins: false, .. } => "GRUB",
            Self::GrubBls { .. } => "GRUB with BLS entries",
            Self::SystemdBoot { .. } => "systemd-boot",
            Self::Ostree => "ostree",
            Self::Bootc => "bootc",
            Self::Uki { .. } => "unified kernel image",
            Self::Zipl => "zipl",
            Self::RaspberryPi { .. } => "Raspberry Pi firmware",
        }
    }
}

/// Where the EFI system partition is mounted, by custom.
const ESP: [&str; 3] = ["efi", "boot/efi", "boot"];

/// systemd's vendor GUID, under which boot loaders leave notes (Boot Loader Interface).
const LOADER_INFO: &str =
    "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const STUB_INFO: &str = "sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Every loader whose files are there; the one that started this machine, or that a distribution of this kind uses,
/// first.
pub(super) fn find(source: &Source) -> Vec<Loader> {
    let mut found = Vec::new();
    if source.exists("run/ostree-booted") {
        let is_bootc = source.exists("usr/bin/bootc") && !source.exists("usr/bin/rpm-ostree");
        found.push(if is_bootc { Loader::Bootc } else { Loader::Ostree });
        // GRUB or systemd-boot below it are ostree's business.
        return found;
    }
    let grub = grub(source);
    let systemd = systemd_boot(source);
    let started_by = efi_text(source, LOADER_INFO).unwrap_or_default();
    if started_by.starts_with("systemd-boot") {
        found.extend(systemd);
        found.extend(grub);
    } else {
        found.extend(grub);
        found.extend(systemd);
    }
    let images = images(source);
    let is_uki = efi_text(source, STUB_INFO).is_some();
    if is_uki {
        found.insert(0, Loader::Uki { images });
    } else if !images.is_empty() && found.is_empty() {
        found.push(Loader::Uki { images });
    }
    if source.exists("etc/zipl.conf") && source.exists("sys/firmware/ipl") {
        found.push(Loader::Zipl);
    }
    let pi = ["boot/firmware", "boot"].into_iter().find(|dir| {
        source.exists(&format!("{dir}/cmdline.txt")) && source.exists(&format!("{dir}/config.txt"))
    });
    found.extend(pi.map(|dir| Loader::RaspberryPi { file: format!("{dir}/cmdline.txt") }));
    found
}

fn grub(source: &Source) -> Option<Loader> {
    let menu = grub::MENUS.into_iter().find(|menu| source.exists(menu))?;
    let settings = source.text("etc/default/grub").into_value().unwrap_or_default();
    let entries = "boot/loader/entries";
    let has_entries = source
        .names(entries)
        .value()
        .is_some_and(|names| names.iter().any(|name| name.ends_with(".conf")));
    let wants_bls = grub::assignments(&settings)
        .iter()
        .rfind(|one| one.key == "GRUB_ENABLE_BLSCFG")
        .is_some_and(|one| one.value == "true");
    if wants_bls && has_entries {
        return Some(Loader::GrubBls { entries: entries.to_owned() });
    }
    // grub-mkconfig of Debian and Ubuntu sources /etc/default/grub.d/*.cfg; the directory comes with the package.
    let has_drop_ins = source.exists("etc/default/grub.d");
    Some(Loader::Grub { menu: menu.to_owned(), has_drop_ins })
}

fn systemd_boot(source: &Source) -> Option<Loader> {
    let has_loader = |esp: &&str| {
        let loaders = source.names(&format!("{esp}/EFI/systemd"));
        let is_it = |name: &String| name.starts_with("systemd-boot") && name.ends_with(".efi");
        loaders.value().is_some_and(|names| names.iter().any(is_it))
    };
    let esp = ESP.into_iter().find(has_loader)?;
    let entries = |dir: &str| format!("{dir}/loader/entries");
    // The extended boot partition, if there is one, has the entries.
    let dir = [esp, "boot"].into_iter().map(entries).find(|dir| source.exists(dir));
    Some(Loader::SystemdBoot { entries: dir.unwrap_or_else(|| entries(esp)) })
}

fn images(source: &Source) -> Vec<String> {
    let mut images = Vec::new();
    for esp in ESP {
        let dir = format!("{esp}/EFI/Linux");
        let names = source.names(&dir).into_value().unwrap_or_default();
        images.extend(names.iter().filter(|n| n.ends_with(".efi")).map(|n| format!("{dir}/{n}")));
    }
    images
}

/// The text of an EFI variable: four bytes of attributes, then UTF-16.
fn efi_text(source: &Source, path: &str) -> Option<String> {
    let Fact::Is(bytes) = source.binary(path, 4096) else { return None };
    let units: Vec<u16> = bytes
        .get(4..)?
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|&unit| unit != 0)
        .collect();
    Some(String::from_utf16_lossy(&units))
}
