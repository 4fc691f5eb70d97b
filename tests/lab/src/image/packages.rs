//! Debian's packages, unpacked and configured in a folder.

use std::{ffi::OsStr, fs, path::Path, time::Duration};

use super::settings;
use crate::{
    LabError, Recipe,
    mirror::{self, Mirrors},
    program::{self, confined},
};

/// A minute on a quiet machine, and the download.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Before the packages are configured: grub-pc must not ask where to install itself, and the initramfs needs three
/// drivers only.
const BEFORE: &str = r#"
printf 'grub-pc grub-pc/install_devices_empty boolean true\ngrub-pc grub-pc/install_devices multiselect\n' |
    chroot "$1" debconf-set-selections
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\n' >"$1/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
"#;

/// Makes `root`, with what the recipe names. Downloaded packages are kept in `debs`.
pub(super) fn unpack(
    recipe: &Recipe,
    root: &Path,
    debs: &Path,
    log: &Path,
) -> Result<(), LabError> {
    let archives = root.join("var/cache/apt/archives");
    for dir in [&archives, debs] {
        fs::create_dir_all(dir).map_err(LabError::file("create", dir))?;
    }
    link_packages(debs, &archives)?;
    let mut command = confined("mmdebstrap");
    command
        .args(["--mode=root", "--variant=minbase"])
        // The folder has packages in it already, and they are to stay.
        .args(["--skip=check/empty", "--skip=download/empty"])
        .args(["--skip=essential/unlink", "--skip=cleanup/apt"])
        .args([
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
        ])
        .args(["man", "doc", "locale", "i18n"].map(|what| exclude(&format!("/usr/share/{what}/*"))))
        .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        .arg("--dpkgopt=force-confold");
    for dir in settings::NOT_UNPACKED {
        // /lib is a link to /usr/lib, and packages name either.
        for lib in ["/lib", "/usr/lib"] {
            command.arg(exclude(&format!("{lib}/modules/*/kernel/{dir}/*")));
        }
    }
    command
        .arg(format!("--essential-hook={BEFORE}"))
        .arg(format!("--include={}", recipe.packages().join(",")))
        .arg(recipe.debian().suite())
        .arg(root)
        .args(Mirrors::of_the_host()?.sources(recipe.debian().suite()));
    program::run("unpacking Debian", &mut command, log, LIMIT).map_err(mirror::or_unreachable)?;
    link_packages(&archives, debs)?;
    for leftovers in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        let dir = root.join(leftovers);
        fs::remove_dir_all(&dir).map_err(LabError::file("remove", &dir))?;
        fs::create_dir_all(dir.join("partial")).map_err(LabError::file("create", &dir))?;
    }
    Ok(())
}

fn exclude(path: &str) -> String {
    format!("--dpkgopt=path-exclude={path}")
}

/// Every package of one folder in the other too, without another copy of its content.
fn link_packages(from: &Path, to: &Path) -> Result<(), LabError> {
    for entry in fs::read_dir(from).map_err(LabError::file("read", from))?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.extension() == Some(OsStr::new("deb")) && !target.exists() {
            fs::hard_link(&path, &target).map_err(LabError::file("write", &target))?;
        }
    }
    Ok(())
}
