//! The emulator: Debian's, unpacked into the cache and run from there, so that the host needs none and all hosts use
//! the same. Debian 13's knows the igb NIC and writes a snapshot that is restored in under a second.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use crate::{
    Cache, LabError,
    cache::Hash,
    mirror::{self, Mirrors},
    program::{self, confined},
};

const SUITE: &str = "trixie";
const PACKAGES: &str = "qemu-system-x86,qemu-utils,seabios";
/// Unpacking takes six seconds when the mirror is near.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// QEMU, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Qemu {
    root: PathBuf,
    version: String,
}

fn hash() -> Hash {
    Hash::new().of("1").of(SUITE).of(PACKAGES)
}

impl Qemu {
    /// The one in the cache.
    pub(crate) fn find(cache: &Cache) -> Option<Qemu> {
        let root = cache.find("qemu", SUITE, &hash())?;
        let version = fs::read_to_string(root.join("lab-version")).ok()?;
        Some(Qemu { root, version })
    }

    /// The one in the cache, unpacked when it is not there.
    pub(crate) fn find_or_unpack(cache: &Cache) -> Result<Qemu, LabError> {
        cache.find_or_make("qemu", SUITE, &hash(), |dir| {
            let mut command = confined("mmdebstrap");
            command
                .args(["--mode=root", "--variant=extract", "--skip=check/empty"])
                .args(["--aptopt=APT::Install-Recommends \"false\""])
                .args(["--aptopt=Acquire::Languages \"none\""])
                .arg(format!("--include={PACKAGES}"))
                .arg(SUITE)
                .arg(dir)
                .args(Mirrors::of_the_host()?.sources(SUITE));
            let log = cache.top().join("qemu.log");
            program::run("unpacking QEMU", &mut command, &log, LIMIT)
                .map_err(mirror::or_unreachable)?;
            let unpacked = Qemu { root: dir.to_owned(), version: String::new() };
            let said = program::output(
                "QEMU's version",
                unpacked.program("qemu-system-x86_64").arg("--version"),
            )?;
            let version = said.lines().next().unwrap_or_default();
            let file = dir.join("lab-version");
            fs::write(&file, version).map_err(LabError::file("write", &file))
        })?;
        Qemu::find(cache).ok_or_else(|| LabError::Missing("QEMU vanished from the cache".into()))
    }

    /// What it says of itself.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// One of its programs, with the libraries it came with.
    pub(crate) fn program(&self, name: &str) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
        command
            .arg("--library-path")
            .arg(&libraries)
            .args(["--argv0", name])
            .arg(self.root.join("usr/bin").join(name))
            // Or it would load the modules of the host's QEMU, if there is one.
            .env("QEMU_MODULE_DIR", libraries.join("qemu"));
        command
    }

    /// The emulator, which finds its firmware.
    pub(crate) fn system(&self) -> Command {
        let mut command = self.program("qemu-system-x86_64");
        for firmware in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.root.join(firmware));
        }
        command
    }
}
