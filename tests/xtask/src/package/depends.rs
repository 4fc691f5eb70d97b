//! What a package needs: asked of the tools that know.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::contents::Package;
use crate::{
    run::{self, Failure},
    tree,
};

/// The value of `Depends`.
pub(super) fn depends(package: &Package, root: &Path) -> Result<String, Failure> {
    let mut all: Vec<String> = vec![];
    all.extend(linked(package, root)?);
    for driver in package.drivers {
        all.push(owner_of_driver(driver)?);
    }
    all.extend(package.depends.iter().map(|&name| name.to_owned()));
    Ok(all.join(", "))
}

/// What the programs are linked with, with versions, as dpkg-shlibdeps finds it in the libraries' packages.
fn linked(package: &Package, root: &Path) -> Result<Vec<String>, Failure> {
    // It wants to be in a source package.
    let folder = root.with_extension("source");
    let debian = folder.join("debian");
    let failed = || Failure::io(format!("cannot write {}", debian.display()));
    fs::create_dir_all(&debian).map_err(failed())?;
    let control = format!("Source: barewire\n\nPackage: {}\nArchitecture: any\n", package.name);
    fs::write(debian.join("control"), control).map_err(failed())?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.current_dir(&folder).arg("-O");
    for program in package.programs {
        command.arg(format!("-e{}", root.join("usr/bin").join(program.name).display()));
    }
    let said = run::output("dpkg-shlibdeps", &mut command)?;
    fs::remove_dir_all(&folder).map_err(failed())?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    let depends = depends.ok_or_else(|| {
        Failure::Check(format!("dpkg-shlibdeps found no libraries in {}", package.name))
    })?;
    Ok(depends.split(", ").map(str::to_owned).collect())
}

/// The package of a driver: its name has the ABI's number in it, in one of several ways.
fn owner_of_driver(driver: &str) -> Result<String, Failure> {
    let pattern = format!("*/dpdk/pmds-*/librte_{driver}.so.*");
    let said = run::output("dpkg", Command::new("dpkg-query").arg("--search").arg(&pattern))?;
    owner(&said).ok_or_else(|| Failure::Check(format!("dpkg knows no package with {pattern}")))
}

/// `package:architecture: file`, or with several packages before the file.
fn owner(said: &str) -> Option<String> {
    let owner = said.lines().next()?.split([':', ',']).next()?;
    (!owner.is_empty()).then(|| owner.to_owned())
}

/// Every crate that is built into these, and its licence.
pub(super) fn crates(packages: &[&str]) -> Result<String, Failure> {
    let mut lines = BTreeSet::new();
    for package in packages {
        let mut command =
            tree::cargo(["tree", "--offline", "--edges", "normal", "--prefix", "none"]);
        let said =
            run::output("crates", command.args(["--format", "{p}|{l}", "--package", package]))?;
        lines.extend(said.lines().filter_map(line));
    }
    Ok(lines.into_iter().collect::<Vec<_>>().join("\n") + "\n")
}

/// `name v1.2.3 (/where/it/is) (*)|licence` without what is only about this tree.
fn line(told: &str) -> Option<String> {
    let (package, licence) = told.trim_end_matches(" (*)").split_once('|')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    Some(format!("{name} {version} {licence}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_file_is_a_package_without_its_architecture() {
        let said = "librte-net-ring23:amd64: /usr/lib/dpdk/pmds-23.0/librte_net_ring.so.23\n";
        assert_eq!(owner(said).as_deref(), Some("librte-net-ring23"));
        assert_eq!(owner("one, two: /file\n").as_deref(), Some("one"));
        assert_eq!(owner(""), None);
    }

    #[test]
    fn a_line_about_a_crate_has_no_path_in_it() {
        assert_eq!(
            line("serde v1.0.9|MIT OR Apache-2.0 (*)").unwrap(),
            "serde v1.0.9 MIT OR Apache-2.0"
        );
        assert_eq!(
            line("config v0.1.0 (/somewhere)|Apache-2.0").unwrap(),
            "config v0.1.0 Apache-2.0"
        );
        assert_eq!(line(""), None);
    }
}
