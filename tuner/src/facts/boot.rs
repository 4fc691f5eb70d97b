//! Boot loader and kernel command line: what the kernel runs with, and what it will be started with next time.
//!
//! ```text
//!  /proc/cmdline ─► cmdline                 what counts now
//!  loaders ─► the first one decides ─► entries ─► next    what will count after a reboot
//! ```

pub mod bls;
pub mod grub;
mod loader;

use linux::cmdline::Cmdline;
use serde::{Deserialize, Serialize};

pub use loader::Loader;

use crate::{Fact, Source};

/// Boot loader and kernel command line.
#[derive(Debug, Clone, Serialize)]
pub struct Boot {
    /// What the running kernel was started with, taken apart.
    pub cmdline: Fact<Cmdline>,
    /// The same as it is written.
    pub line: Fact<String>,
    /// The boot loaders whose files are there, the one that decides first. None where something else starts the
    /// kernel: a hypervisor, a network.
    pub loaders: Vec<Loader>,
    /// What can be started, as the first loader has it: generated menu, BLS entries, `/etc/kernel/cmdline`.
    pub entries: Fact<Vec<Entry>>,
    /// The entry that is started next if nobody chooses.
    pub next: Fact<Entry>,
    /// GRUB's own files; absent without GRUB.
    pub grub: Fact<grub::Grub>,
    /// Was the machine started by UEFI?
    pub is_efi: bool,
    /// What `/boot` is on.
    pub storage: Fact<Storage>,
}

/// Something that the boot loader can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name for the loader: GRUB's menu entry id, the entry file's name without `.conf`.
    pub id: String,
    /// What people see.
    pub title: String,
    /// Where it stands in a menu: `[0]`, or `[1, 2]` for the third one of the second entry, a submenu.
    pub place: Vec<usize>,
    /// The kernel's image.
    pub kernel: String,
    /// The command line that it gives to the kernel, as it is written.
    pub line: String,
    /// The file that says so, from the root, without a slash in front.
    pub file: String,
    /// Is it for repairs, and to be left alone?
    pub is_rescue: bool,
}

/// What a file system is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Where it is mounted.
    pub mounted_at: String,
    /// Its type: `ext4`.
    pub filesystem: String,
    /// The device, as `/proc/self/mountinfo` names it.
    pub device: String,
    /// What kind of device that is.
    pub kind: StorageKind,
}

/// What kind of device a file system is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageKind {
    /// A disk or a partition.
    Plain,
    /// A logical volume.
    Lvm,
    /// A RAID of the kernel's.
    Mdraid,
    /// Another device-mapper device: encrypted, multipath.
    Mapped,
    /// No block device: a network, a memory disk, or a file system with devices of its own.
    Other,
}

impl Storage {
    /// Can GRUB write a file here when the machine starts (a one-shot choice must be forgotten by the one who made it)?
    ///
    /// It can not on LVM and RAID, nor on file systems where it would have to write more than one block in place.
    #[must_use]
    pub fn is_writable_by_grub(&self) -> bool {
        self.kind == StorageKind::Plain
            && matches!(self.filesystem.as_str(), "ext2" | "ext3" | "ext4" | "xfs" | "vfat")
    }
}

impl Boot {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let loaders = loader::find(source);
        let grub = grub::Grub::read(source);
        let bls = bls::Bls::read(source);
        let (entries, next) = match loaders.first() {
            None => (Fact::Absent, Fact::Absent),
            Some(Loader::Grub { .. }) => match &grub {
                Fact::Is(grub) => (grub.menu.clone(), grub.next()),
                other => (other.as_ref().map(|_| Vec::new()), Fact::unknown("there is no menu")),
            },
            Some(Loader::GrubBls { .. }) => {
                let chosen = grub.value().and_then(grub::Grub::chosen);
                (bls.entries.clone(), bls.next(chosen.as_deref()))
            }
            Some(Loader::SystemdBoot { .. }) => (bls.entries.clone(), bls.next(None)),
            Some(Loader::Ostree | Loader::Bootc) => {
                let chosen = grub.value().and_then(grub::Grub::chosen);
                (bls.entries.clone(), bls.next(chosen.as_deref()))
            }
            Some(Loader::Zipl) => (bls.entries.clone(), bls.next(None)),
            Some(Loader::Uki { .. }) => {
                let why = "the command line is inside a signed image";
                (Fact::unknown(why), Fact::unknown(why))
            }
            Some(Loader::RaspberryPi { file }) => {
                let entry = source.text(file).map(|line| Entry {
                    id: "cmdline.txt".to_owned(),
                    title: "cmdline.txt".to_owned(),
                    place: vec![0],
                    kernel: String::new(),
                    line,
                    file: file.clone(),
                    is_rescue: false,
                });
                (entry.clone().map(|entry| vec![entry]), entry)
            }
        };
        Self {
            cmdline: Cmdline::read(source.root()).into(),
            line: source.text("proc/cmdline"),
            loaders,
            entries,
            next,
            grub,
            is_efi: source.exists("sys/firmware/efi"),
            storage: storage_of_boot(source),
        }
    }

    /// The loader that decides.
    #[must_use]
    pub fn loader(&self) -> Option<&Loader> {
        self.loaders.first()
    }
}

/// The file system that `/boot` is on, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
fn storage_of_boot(source: &Source) -> Fact<Storage> {
    let text = match source.text("proc/self/mountinfo") {
        Fact::Is(text) => text,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let mounts: Vec<Mount<'_>> = text.lines().filter_map(Mount::parse).collect();
    // A later mount covers an earlier one at the same place.
    let at = |place: &str| mounts.iter().rev().find(|mount| mount.at == place);
    let Some(mount) = at("/boot").or_else(|| at("/")) else {
        return Fact::unknown("no file system is mounted at / or /boot");
    };
    let block = format!("sys/dev/block/{}", mount.number);
    let kind = if mount.number.starts_with("0:") {
        StorageKind::Other
    } else if source.exists(&format!("{block}/md")) {
        StorageKind::Mdraid
    } else {
        match source.text(&format!("{block}/dm/uuid")) {
            Fact::Is(uuid) if uuid.starts_with("LVM-") => StorageKind::Lvm,
            Fact::Is(_) => StorageKind::Mapped,
            Fact::Absent => StorageKind::Plain,
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    };
    Fact::Is(Storage {
        mounted_at: mount.at.to_owned(),
        filesystem: mount.filesystem.to_owned(),
        device: mount.device.to_owned(),
        kind,
    })
}

struct Mount<'a> {
    number: &'a str,
    at: &'a str,
    filesystem: &'a str,
    device: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ');
        let number = before.nth(2)?;
        let at = before.nth(1)?;
        let mut after = after.split(' ');
        Some(Self { number, at, filesystem: after.next()?, device: after.next()? })
    }
}

#[cfg(test)]
#[path = "boot/tests.rs"]
mod tests;
