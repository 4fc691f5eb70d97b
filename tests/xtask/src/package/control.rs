//! What dpkg is told of a package: deb-control(5), conffiles, checksums and the scripts.

use std::{env, fs, path::Path, process::Command};

use super::{
    contents::Package,
    depends,
    staging::{files, set_mode},
};
use crate::{
    run::{self, Failure},
    tree,
};

/// Which release of what, by whom, for what.
#[derive(Debug)]
pub(super) struct Release {
    version: String,
    architecture: String,
    maintainer: String,
    /// When the tree was last changed: of the commit, so that the same tree gives the same packages.
    pub(super) epoch: u64,
    date: String,
}

impl Release {
    pub(super) fn of_this_tree(revision: u32) -> Result<Self, Failure> {
        let git = |format: &str| {
            let mut git = Command::new("git");
            git.current_dir(tree::top()).args(["log", "-1", "--date=rfc2822", format]);
            run::output("the last commit", &mut git)
        };
        let architecture =
            run::output("architecture", Command::new("dpkg").arg("--print-architecture"))?;
        // The variables of deb-changelog(5)'s tools.
        let said = |name: &str, otherwise: &str| {
            env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or(otherwise.to_owned())
        };
        let (name, email) = (
            said("DEBFULLNAME", "Barewire maintainers"),
            said("DEBEMAIL", "maintainers@barewire.invalid"),
        );
        let epoch = git("--format=%ct")?;
        Ok(Self {
            version: format!("{}-{revision}", env!("CARGO_PKG_VERSION")),
            architecture: architecture.trim().to_owned(),
            maintainer: format!("{name} <{email}>"),
            epoch: epoch
                .trim()
                .parse()
                .map_err(|_| Failure::Check(format!("git says {epoch:?} for a time")))?,
            date: git("--format=%cd")?.trim().to_owned(),
        })
    }

    pub(super) fn file_name(&self, package: &str) -> String {
        format!("{package}_{}_{}.deb", self.version, self.architecture)
    }

    /// deb-changelog(5)
    pub(super) fn changelog(&self, package: &str) -> String {
        let Self { version, maintainer, date, .. } = self;
        format!(
            "{package} ({version}) unstable; urgency=medium\n\n  * Changes are listed in the README.\n\n \
             -- {maintainer}  {date}\n"
        )
    }
}

/// Writes `DEBIAN/`. The rest of the package is there, and `size` KiB large.
pub(super) fn write(
    package: &Package,
    root: &Path,
    release: &Release,
    size: u64,
) -> Result<(), Failure> {
    let depends = depends::depends(package, root)?;
    let sums = checksums(root)?;
    let conffiles = conffiles(root)?;
    let folder = root.join("DEBIAN");
    fs::create_dir(&folder).map_err(Failure::io(format!("cannot create {}", folder.display())))?;
    let put = |name: &str, text: &str, mode| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Failure::io(format!("cannot write {}", path.display())))?;
        set_mode(&path, mode)
    };
    put("control", &control(package, release, &depends, size), 0o644)?;
    put("md5sums", &sums, 0o644)?;
    if !conffiles.is_empty() {
        put("conffiles", &conffiles, 0o644)?;
    }
    for script in ["preinst", "postinst", "prerm", "postrm"] {
        let path = tree::top().join(format!("systemd/debian/{}.{script}", package.name));
        if path.is_file() {
            let text = fs::read_to_string(&path)
                .map_err(Failure::io(format!("cannot read {}", path.display())))?;
            put(script, &text, 0o755)?;
        }
    }
    Ok(())
}

fn control(package: &Package, release: &Release, depends: &str, size: u64) -> String {
    let Release { version, architecture, maintainer, .. } = release;
    let mut text = format!(
        "Package: {}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {maintainer}\n\
         Installed-Size: {size}\nSection: net\nPriority: optional\nDepends: {depends}\n",
        package.name
    );
    for (field, names) in [("Recommends", package.recommends), ("Suggests", package.suggests)] {
        if !names.is_empty() {
            text += &format!("{field}: {}\n", names.join(", "));
        }
    }
    text += &format!("Description: {}\n", package.summary);
    for line in package.description {
        text += &format!(" {line}\n");
    }
    text
}

/// Everything in /etc is the operator's.
fn conffiles(root: &Path) -> Result<String, Failure> {
    let all = files(root)?;
    let in_etc = all.iter().filter(|path| path.is_file() && path.starts_with(root.join("etc")));
    Ok(in_etc.map(|path| format!("/{}\n", relative(root, path))).collect())
}

fn checksums(root: &Path) -> Result<String, Failure> {
    let all = files(root)?;
    let names = all
        .iter()
        .filter(|path| path.is_file() && !path.starts_with(root.join("etc")))
        .map(|path| relative(root, path));
    run::output("md5sum", Command::new("md5sum").current_dir(root).args(names))
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
