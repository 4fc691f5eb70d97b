//! A disk with one partition and GRUB on it, made of a folder: without a loop device, and without mounting anything.
//!
//! ```text
//!  sector 0    1 …               2048 …
//!  ┌──────────┬─────────┬────────┬──────────────────────────────┐
//!  │ boot.img │core.img │        │ ext4, made of the folder     │
//!  │ + table  │         │        │                              │
//!  └──────────┴─────────┴────────┴──────────────────────────────┘
//! ```
//! That is where grub-install puts them as well. boot.img loads the sector after its own, as it comes from the package.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use crate::{
    LabError,
    program::{self, bound, confined},
};

const SECTOR: u64 = 512;
const BYTES: u64 = 3 << 30;
const FIRST_SECTOR: u64 = 2048;
/// Of boot.img, what is code; the partition table follows.
const BOOT_CODE: usize = 440;
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Writes the disk.
pub(super) fn write(root: &Path, uuid: &str, disk: &Path, log: &Path) -> Result<(), LabError> {
    // While the folder can still be entered: GRUB's second stage, with all that it needs to boot.
    let mut command = confined("chroot");
    command.arg(root).args(["grub-mkimage", "--format=i386-pc", "--output=/boot/lab-core.img"]);
    command.args(["--prefix=(hd0,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2"]);
    command.args(["normal", "linux", "serial", "terminal", "echo", "configfile"]);
    program::run("making GRUB", &mut command, log, LIMIT)?;
    let core = root.join("boot/lab-core.img");
    let core_content = fs::read(&core).map_err(LabError::file("read", &core))?;
    fs::remove_file(&core).map_err(LabError::file("remove", &core))?;
    let boot = root.join("usr/lib/grub/i386-pc/boot.img");
    let boot = fs::read(&boot).map_err(LabError::file("read", &boot))?;

    let mut file = File::create(disk).map_err(LabError::file("write", disk))?;
    let mut fill = || {
        file.set_len(BYTES)?;
        file.write_all(&first_sector(&boot))?;
        file.seek(SeekFrom::Start(SECTOR))?;
        file.write_all(&core_content)
    };
    fill().map_err(LabError::file("write", disk))?;
    drop(file);

    let mut command = bound(program::find("mke2fs").ok_or_else(|| {
        LabError::Missing("mke2fs is missing: `cargo xtask setup --lab` installs it".into())
    })?);
    // GRUB of Debian 12 can not read what newer e2fsprogs would use.
    command
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^metadata_csum_seed,^orphan_file"])
        .args(["-U", uuid, "-L", "lab", "-d"])
        .arg(root)
        .arg("-E")
        .arg(format!("offset={},lazy_itable_init=1,lazy_journal_init=1", FIRST_SECTOR * SECTOR))
        .arg(disk)
        .arg(format!("{}", (BYTES - FIRST_SECTOR * SECTOR) / 4096));
    program::run("making the file system", &mut command, log, LIMIT)
}

/// GRUB's first stage, and a table with one partition of Linux that takes the rest of the disk and is booted.
fn first_sector(boot: &[u8]) -> [u8; 512] {
    let mut sector = [0; 512];
    let code = &boot[..boot.len().min(BOOT_CODE)];
    sector[..code.len()].copy_from_slice(code);
    sector[440..444].copy_from_slice(b"LAB1");
    // Where in cylinders, heads and sectors: not said, as for every disk of today.
    sector[446..454].copy_from_slice(&[0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff]);
    let number = |sectors: u64| u32::try_from(sectors).unwrap_or(u32::MAX).to_le_bytes();
    sector[454..458].copy_from_slice(&number(FIRST_SECTOR));
    sector[458..462].copy_from_slice(&number(BYTES / SECTOR - FIRST_SECTOR));
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sector_has_code_a_partition_and_the_mark() {
        let sector = first_sector(&[0xeb; 512]);

        assert_eq!(&sector[438..446], b"\xeb\xebLAB1\0\0");
        assert_eq!(u32::from_le_bytes(sector[454..458].try_into().unwrap()), 2048);
        assert_eq!(u32::from_le_bytes(sector[458..462].try_into().unwrap()), (6 << 20) - 2048);
        assert_eq!(sector[510..], [0x55, 0xaa]);
    }
}
