//! Images: Debian on a disk, made unattended.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Cache, Guest, LabError, Machine, Recipe,
    cache::Hash,
    program::{self, bound},
    qemu::Qemu,
};

mod disk;
mod packages;
mod settings;

/// The agent's source, of which it is compiled.
const AGENT: [(&str, &str); 2] =
    [("agent/main.rs", include_str!("agent/main.rs")), ("wire.rs", include_str!("wire.rs"))];
/// Compiling it takes two seconds.
const COMPILE: Duration = Duration::from_secs(5 * 60);

/// A cache with an emulator in it.
#[derive(Debug, Clone)]
pub struct Lab {
    cache: Cache,
    qemu: Qemu,
}

/// A disk image in the cache. It is never written: a guest writes to a difference to it.
#[derive(Debug, Clone)]
pub struct Image {
    lab: Lab,
    name: String,
    dir: PathBuf,
}

impl Lab {
    /// With the emulator from the cache; `None` when it is not there.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn find(cache: &Cache) -> Result<Option<Lab>, LabError> {
        Ok(Qemu::find(cache).map(|qemu| Lab { cache: cache.clone(), qemu }))
    }

    /// With the emulator from the cache, where it is put when it is not there.
    ///
    /// # Errors
    /// [`LabError`]; it takes root and mmdebstrap.
    pub fn find_or_unpack(cache: &Cache) -> Result<Lab, LabError> {
        let qemu = match Qemu::find(cache) {
            Some(qemu) => qemu,
            None => {
                able_to_build()?;
                Qemu::find_or_unpack(cache)?
            }
        };
        Ok(Lab { cache: cache.clone(), qemu })
    }

    /// The image, if it has been built.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn find_image(&self, recipe: &Recipe) -> Result<Option<Image>, LabError> {
        let name = recipe.to_string();
        let dir = self.cache.find("images", &name, &hash(recipe));
        Ok(dir.map(|dir| Image { lab: self.clone(), name, dir }))
    }

    /// The image, built when it is not in the cache: four to seven minutes on two busy cores. `say` is told what is done, and how long
    /// it took.
    ///
    /// # Errors
    /// [`LabError`]; it takes root, mmdebstrap and e2fsprogs.
    pub fn build(
        &self,
        recipe: &Recipe,
        mut say: impl FnMut(&str, Duration),
    ) -> Result<Image, LabError> {
        let name = recipe.to_string();
        let dir = self.cache.find_or_make("images", &name, &hash(recipe), |dir| {
            able_to_build()?;
            let begun = Instant::now();
            let log = self.cache.top().join(format!("{name}.log"));
            let mut timed = |what: &str, since: Instant| {
                say(what, since.elapsed());
                Instant::now()
            };
            let (root, disk) = (dir.join("root"), dir.join("disk.raw"));
            fs::create_dir(&root).map_err(LabError::file("create", &root))?;
            packages::unpack(recipe, &root, &self.cache.top().join("debs"), &log)?;
            let since = timed("Debian's packages, unpacked and configured", begun);
            let uuid = uuid(&hash(recipe));
            settle_in(&root, &uuid)?;
            compile_agent(dir, &root.join(settings::AGENT), &log)?;
            disk::write(&root, &uuid, &disk, &log)?;
            fs::remove_dir_all(&root).map_err(LabError::file("remove", &root))?;
            let since = timed("the disk, with its file system and GRUB", since);
            let versions = self.first_boot(&disk)?;
            timed("the first boot, which installs GRUB", since);
            let size = size_of(dir, &["disk.raw"])?;
            let text = format!(
                "{name}: built in {:.0} s, {} MB\n{versions}",
                begun.elapsed().as_secs_f64(),
                size / 1_000_000,
            );
            about(dir, &text)
        })?;
        Ok(Image { lab: self.clone(), name, dir })
    }

    /// Lets the new system finish its installation by itself: GRUB with Debian's own programs, and all that systemd
    /// does once. Gives back the versions of what is in it.
    fn first_boot(&self, disk: &Path) -> Result<String, LabError> {
        let (dir, lock) = self.cache.run_dir()?;
        let mut guest = Guest::with_disk(self, &Machine::new(), dir, lock, disk, "raw")?;
        guest.power_on()?;
        let install = "grub-install /dev/vda 2>&1 && update-grub 2>&1 && fstrim / && sync";
        let output = guest.run(install)?;
        if !output.success() {
            return Err(LabError::Guest {
                what: "the first boot: GRUB could not be installed".into(),
                console: format!("{}\n{output:?}", guest.console()),
            });
        }
        let versions = guest.run(
            "uname -v; dpkg-query --show --showformat='${Package} ${Version}\\n' \
             'linux-image-*' dpdk systemd grub-pc 2>/dev/null | grep ' '",
        )?;
        guest.power_off()?;
        Ok(versions.text())
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn qemu(&self) -> &Qemu {
        &self.qemu
    }
}

impl Image {
    /// What was made, how long it took, how large it is, and the versions of what is in it, in words.
    #[must_use]
    pub fn about(&self) -> String {
        fs::read_to_string(self.dir.join("about.txt")).unwrap_or_default()
    }

    /// The recipe's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The name of its folder: unlike the name of every other image.
    pub(crate) fn key(&self) -> &str {
        self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// A disk in a folder of the cache that begins as this image.
    pub(crate) fn overlay(&self, dir: &Path) -> Result<(), LabError> {
        // From one folder of the cache to the other, so that the cache can be moved.
        let backing = format!("../../images/{}/disk.raw", self.key());
        let mut command = self.lab.qemu.program("qemu-img");
        command
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &backing])
            .arg(dir.join("disk.qcow2"));
        program::output("the guest's disk", &mut command).map(|_| ())
    }
}

/// All that decides what is in an image.
fn hash(recipe: &Recipe) -> Hash {
    let hash = Hash::new().of("1").of(recipe.to_string()).of(settings::everything());
    let hash = AGENT.iter().fold(hash, |all, (_, source)| all.of(source));
    recipe.packages().iter().fold(hash, |all, package| all.of(package))
}

/// A file system's UUID that follows from the image's content.
fn uuid(hash: &Hash) -> String {
    let hash = hash.to_string();
    format!("{}-{}-4{}-8000-{:0>12}", &hash[..8], &hash[8..12], &hash[13..16], "1ab")
}

/// What files of a folder take on the host's disk, in bytes: their holes take nothing.
pub(crate) fn size_of(dir: &Path, names: &[&str]) -> Result<u64, LabError> {
    names.iter().try_fold(0, |sum, name| {
        let path = dir.join(name);
        let blocks = fs::metadata(&path).map_err(LabError::file("read", &path))?.blocks();
        // Of 512 bytes, whatever the file system's are (stat(2)).
        Ok(sum + blocks * 512)
    })
}

/// An entry of the cache, in words.
pub(crate) fn about(dir: &Path, text: &str) -> Result<(), LabError> {
    let path = dir.join("about.txt");
    fs::write(&path, text).map_err(LabError::file("write", &path))
}

fn able_to_build() -> Result<(), LabError> {
    if !rustix::process::geteuid().is_root() {
        return Err(LabError::Missing("a system's root directory can only be made by root".into()));
    }
    let missing: Vec<_> =
        ["mmdebstrap", "mke2fs", "setpriv", "unshare", "setsid", "chroot", "apt-get"]
            .into_iter()
            .filter(|name| program::find(name).is_none())
            .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(LabError::Missing(format!(
        "{} missing: `cargo xtask setup --lab` installs what a Debian has",
        missing.join(", ")
    )))
}

/// Writes into the folder what the packages do not bring.
fn settle_in(root: &Path, uuid: &str) -> Result<(), LabError> {
    let write = |name: &str, content: &str| {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(LabError::file("create", parent))?;
        }
        fs::write(&path, content).map_err(LabError::file("write", &path))
    };
    for (name, content) in settings::files(uuid) {
        write(name, &content)?;
    }
    write("boot/grub/grub.cfg", &settings::first_grub_cfg(uuid, &kernel(root)?))?;
    let units = root.join("etc/systemd/system");
    let link = |target: &str, path: PathBuf| {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LabError::file("replace", &path)(error));
            }
            _ => {}
        }
        symlink(target, &path).map_err(LabError::file("make", &path))
    };
    for unit in settings::MASKED {
        link("/dev/null", units.join(unit))?;
    }
    let wants = units.join("sysinit.target.wants");
    fs::create_dir_all(&wants).map_err(LabError::file("create", &wants))?;
    link("../barewire-lab-agent.service", wants.join("barewire-lab-agent.service"))
}

/// The release of the one kernel there is.
fn kernel(root: &Path) -> Result<String, LabError> {
    let boot = root.join("boot");
    fs::read_dir(&boot)
        .map_err(LabError::file("read", &boot))?
        .flatten()
        .find_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
        .ok_or_else(|| LabError::Missing("the image has no kernel".into()))
}

/// Compiles the agent, by itself and statically, so that it runs in every Debian.
fn compile_agent(scratch: &Path, to: &Path, log: &Path) -> Result<(), LabError> {
    for (name, source) in AGENT {
        let path = scratch.join("agent-source").join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(LabError::file("create", parent))?;
        }
        fs::write(&path, source).map_err(LabError::file("write", &path))?;
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command: Command = bound(rustc);
    command
        .args(["--edition", "2024", "--crate-name", "barewire_lab_agent", "-O"])
        .args([
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
            "-C",
            "panic=abort",
            "-o",
        ])
        .arg(to)
        .arg(scratch.join("agent-source/agent/main.rs"));
    program::run("compiling the agent", &mut command, log, COMPILE)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .map_err(LabError::file("write", to))?;
    let source = scratch.join("agent-source");
    fs::remove_dir_all(&source).map_err(LabError::file("remove", &source))
}
