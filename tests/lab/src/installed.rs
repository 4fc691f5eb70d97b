//! This tree's packages on the stock Debian, as an operator installs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Debian, Guest, Image, LabError, Machine, Snapshot,
    cache::Hash,
    image_or_skip, program,
    skip::{machine_with, restored, skip},
    under_test,
};

/// What is installed, in this order.
pub const PACKAGES: [&str; 3] = ["barewire", "barewire-tune", "barewire-bench"];

/// 2 MiB pages of each node, for as much of it as two daemons take.
const HUGEPAGES: u32 = 160;

/// The guest of [`guest_or_skip`](crate::guest_or_skip) with this tree's packages installed, and with 2 MiB hugepages
/// in both nodes. Nothing is configured, nothing runs. When there are no packages for its Debian, the running test is
/// skipped.
///
/// # Panics
/// When there are, and they can not be installed.
#[must_use]
pub fn installed_or_skip() -> Option<Guest> {
    let (recipe, model) = under_test();
    let image = image_or_skip(&recipe)?;
    match installed(&image, &machine_with(model), recipe.debian()) {
        Err(LabError::Missing(what)) => {
            skip(&what);
            None
        }
        snapshot => Some(restored(snapshot)),
    }
}

/// The snapshot of that: made when it is not in the cache.
///
/// # Errors
/// [`LabError`], of which [`LabError::Missing`] when there are no packages, or not for that Debian.
pub fn installed(image: &Image, machine: &Machine, debian: Debian) -> Result<Snapshot, LabError> {
    let files = packages(debian)?;
    let stock = Snapshot::of(image, machine)?;
    stock.then("installed", &hash_of(&files)?, |guest| install(guest, &files))
}

/// This tree's packages, in the order of [`PACKAGES`]; when there are none for that Debian, the running test is skipped.
///
/// # Panics
/// When they can not be read.
#[must_use]
pub fn packages_or_skip(debian: Debian) -> Option<Vec<PathBuf>> {
    match packages(debian) {
        Ok(files) => Some(files),
        Err(LabError::Missing(what)) => {
            skip(&what);
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// The newest of each, as `cargo xtask package` leaves them, for its own Debian and for another.
fn packages(debian: Debian) -> Result<Vec<PathBuf>, LabError> {
    let (folder, suite) = (crate::bypass::target().join("package"), debian.suite());
    for folder in [folder.join(suite), folder.clone()] {
        let found: Option<Vec<_>> = PACKAGES.iter().map(|name| newest(&folder, name)).collect();
        if let Some(files) = found
            && is_for(debian, &files[0])?
        {
            return Ok(files);
        }
    }
    let folder = folder.display();
    Err(LabError::Missing(format!(
        "needs packages for {suite} in {folder}: cargo xtask package --for {suite}"
    )))
}

/// Whether the package depends on that Debian's DPDK.
fn is_for(debian: Debian, package: &Path) -> Result<bool, LabError> {
    let mut depends = Command::new("dpkg-deb");
    depends.arg("--field").arg(package).arg("Depends");
    let depends = program::output("what the package depends on", &mut depends)?;
    Ok(depends.contains(&format!("librte-eal{}", debian.dpdk_abi())))
}

fn newest(folder: &Path, package: &str) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
        })
        .max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok())
        .map(|entry| entry.path())
}

fn hash_of(files: &[PathBuf]) -> Result<Hash, LabError> {
    files.iter().try_fold(Hash::new(), |hash, file| {
        Ok(hash.of(fs::read(file).map_err(LabError::file("read", file))?))
    })
}

fn install(guest: &mut Guest, files: &[PathBuf]) -> Result<(), LabError> {
    let mut line = "DEBIAN_FRONTEND=noninteractive dpkg --install".to_owned();
    for (file, name) in files.iter().zip(PACKAGES) {
        let there = format!("/root/{name}.deb");
        guest.copy_in(file, &there)?;
        line += &format!(" {there}");
    }
    guest.must(&line);
    for node in 0..2 {
        guest.set_hugepages(node, HUGEPAGES);
    }
    Ok(())
}
