//! A machine that has booted, kept: its disk as a difference to the image, its memory as QEMU maps it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    Guest, Image, LabError, Machine,
    cache::Hash,
    image::{Lab, about, size_of},
};

/// A booted machine in the cache.
#[derive(Debug, Clone)]
pub struct Snapshot {
    lab: Lab,
    machine: Machine,
    dir: PathBuf,
}

impl Snapshot {
    /// The snapshot of that image, booted on that machine; taken when it is not in the cache, which takes a boot.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn of(image: &Image, machine: &Machine) -> Result<Snapshot, LabError> {
        let lab = image.lab().clone();
        let arguments = machine.arguments("disk.qcow2".as_ref(), "qcow2");
        let hash = Hash::new().of("4").of(lab.qemu().version()).of(image.key());
        let hash = arguments.iter().fold(hash, |all, argument| all.of(argument));
        // Snapshots of other machines with the same image stay: the name tells them apart.
        let shape = arguments.iter().fold(Hash::new(), |all, argument| all.of(argument));
        let name = format!("{}-{shape}", image.name());
        let dir = lab.cache().find_or_make("snapshots", &name, &hash, |dir| {
            let begun = Instant::now();
            // Debian's initramfs is known to panic now and then under this emulator ("nuking initramfs contents"). That is
            // no test of ours yet, so it may have another try, loudly.
            let again = |error: LabError| {
                eprintln!("!!! the first boot failed, and is tried once more: {error}");
                Guest::boot(image, machine)
            };
            let mut guest = Guest::boot(image, machine).or_else(again)?;
            let booted = begun.elapsed();
            guest.must("sync; echo 3 > /proc/sys/vm/drop_caches");
            // What every test needs at once is read from the disk once, here.
            guest.must(
                "date --set=@$(date +%s); cat /proc/cmdline; ls /; systemctl is-system-running",
            );
            guest.save(dir)?;
            let text = format!(
                "{} on {}: booted in {:.1} s, saved in {:.1} s, {} MB",
                image.name(),
                lab.qemu().version(),
                booted.as_secs_f64(),
                (begun.elapsed() - booted).as_secs_f64(),
                size_of(dir, &["memory", "disk.qcow2"])? / 1_000_000,
            );
            about(dir, &text)
        })?;
        Ok(Snapshot { lab, machine: machine.clone(), dir })
    }

    /// This machine after something was done to it, which is named, and of which `hash` tells all; done when it is not in
    /// the cache.
    pub(crate) fn then(
        &self,
        name: &str,
        hash: &Hash,
        change: impl FnOnce(&mut Guest) -> Result<(), LabError>,
    ) -> Result<Snapshot, LabError> {
        let here = self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let hash = Hash::new().of("1").of(here).of(hash.to_string());
        // Without this one's own hash: when this changes, the other takes the place of the one before.
        let shape = here.rsplit_once('-').map_or(here, |(shape, _)| shape);
        let dir = self.lab.cache().find_or_make(
            "snapshots",
            &format!("{shape}-{name}"),
            &hash,
            |dir| {
                let begun = Instant::now();
                let mut guest = Guest::restore(self)?;
                change(&mut guest)?;
                guest.must("sync; echo 3 > /proc/sys/vm/drop_caches; ls / /usr/bin > /dev/null");
                guest.save(dir)?;
                let text = format!(
                    "{here}, {name}: made in {:.1} s, {} MB",
                    begun.elapsed().as_secs_f64(),
                    size_of(dir, &["memory", "disk.qcow2"])? / 1_000_000,
                );
                about(dir, &text)
            },
        )?;
        Ok(Snapshot { lab: self.lab.clone(), machine: self.machine.clone(), dir })
    }

    /// What was made, how long it took and how large it is, in words.
    #[must_use]
    pub fn about(&self) -> String {
        fs::read_to_string(self.dir.join("about.txt")).unwrap_or_default()
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Every page has its place in the file, so that reading it back is quick. Both ends must have it set.
pub(crate) fn capabilities() -> Value {
    json!({ "capabilities": [{ "capability": "mapped-ram", "state": true }] })
}
