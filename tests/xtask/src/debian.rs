//! Another Debian, in a root directory of its own below target/debian, in which this tree is built.
//!
//! The toolchain, cargo's cache and this tree are bound into it in a mount namespace, which is gone
//! with its last process: nothing stays mounted, however this ends. The root directory stays, and so
//! does what was built in it, so that the next time needs no network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    run::{self, Failure, Interrupt},
    tree,
};

/// A release of Debian, and of the DPDK that it has.
#[derive(Debug)]
pub(crate) struct Debian {
    pub(crate) dpdk: &'static str,
    pub(crate) suite: &'static str,
    /// It has not been released: its content moves, and a mirror's copy of its index may have
    /// outlived its date.
    moving: bool,
}

/// One for each supported release of DPDK that one has; 23.11 is in none.
const DEBIANS: [Debian; 3] = [
    Debian { dpdk: "22.11", suite: "bookworm", moving: false },
    Debian { dpdk: "24.11", suite: "trixie", moving: false },
    Debian { dpdk: "25.11", suite: "forky", moving: true },
];

/// What a build needs in there, and making packages. The Rust toolchain comes from outside.
const PACKAGES: &str =
    "libdpdk-dev,libhwloc-dev,pkg-config,gcc,libc6-dev,libclang-dev,clang,dpkg-dev,git";

/// Where cargo builds, as seen from inside.
const TARGET: &str = "/var/tmp/build";

/// Runs in a mount namespace of its own: `sh -c ENTER sh ROOT DIRECTORY… -- PROGRAM ARGUMENT…`.
/// Every directory appears inside at the same path. Ends as the program, which therefore gets the
/// signals meant for this.
const ENTER: &str = r#"
set -eu
root=$1; shift
for dir in /proc /sys /dev; do mount --rbind "$dir" "$root$dir"; done
while [ "$1" != -- ]; do mount --bind "$1" "$root$1"; shift; done
shift
exec chroot "$root" "$@"
"#;

/// One that is unpacked.
#[derive(Debug)]
pub(crate) struct Root(PathBuf);

/// The one with that release of DPDK.
pub(crate) fn with_dpdk(release: &str) -> Result<&'static Debian, Failure> {
    DEBIANS.iter().find(|debian| debian.dpdk == release).ok_or_else(|| {
        let known = DEBIANS.map(|debian| debian.dpdk).join(", ");
        Failure::Missing(format!("no Debian has DPDK {release}; there are {known}"))
    })
}

/// The one of that name.
pub(crate) fn named(suite: &str) -> Result<&'static Debian, Failure> {
    DEBIANS.iter().find(|debian| debian.suite == suite).ok_or_else(|| {
        let known = DEBIANS.map(|debian| debian.suite).join(", ");
        Failure::Missing(format!("no Debian {suite} is known; there are {known}"))
    })
}

impl Debian {
    /// Unpacks it, if it is not there.
    pub(crate) fn root(&self, interrupt: &Interrupt) -> Result<Root, Failure> {
        if !tree::is_root() {
            return Err(Failure::Missing(
                "a root directory with another Debian can only be made and entered by root".into(),
            ));
        }
        let root = tree::target().join("debian").join(self.suite).join("root");
        if !root.is_dir() {
            self.unpack(&root, interrupt)?;
        }
        Ok(Root(root))
    }

    /// The directory gets its name when it is complete.
    fn unpack(&self, root: &Path, interrupt: &Interrupt) -> Result<(), Failure> {
        let mmdebstrap = tree::program("mmdebstrap").ok_or_else(|| {
            Failure::Missing("mmdebstrap is missing: apt-get install mmdebstrap".into())
        })?;
        let unfinished = root.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .map_err(Failure::io(format!("cannot remove {}", unfinished.display())))?;
        }
        fs::create_dir_all(&unfinished)
            .map_err(Failure::io(format!("cannot create {}", unfinished.display())))?;
        let mut command = Command::new(mmdebstrap);
        command.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}")]);
        if self.moving {
            // The signature is still checked; only the date in it is not.
            command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
        }
        command.arg(self.suite).arg(&unfinished).arg(mirror()?);
        run::step(interrupt, &format!("Debian {}", self.suite), &mut command)?;
        let mut version = Command::new("chroot");
        version.arg(&unfinished).args(["pkg-config", "--modversion", "libdpdk"]);
        let version = run::output("version of DPDK", &mut version)?;
        if !version.starts_with(&format!("{}.", self.dpdk)) {
            return Err(Failure::Check(format!(
                "Debian {} has DPDK {} by now, not {}",
                self.suite,
                version.trim(),
                self.dpdk
            )));
        }
        fs::rename(&unfinished, root)
            .map_err(Failure::io(format!("cannot make {}", root.display())))
    }
}

impl Root {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A line of shell in there, at the top of this tree, with cargo, offline, and a target directory
    /// that belongs to that root.
    pub(crate) fn shell(&self, line: &str, interrupt: &Interrupt) -> Result<Command, Failure> {
        run::step(interrupt, "crates", &mut tree::cargo(["fetch", "--locked", "--quiet"]))?;
        let (toolchain, cargo_home) = (toolchain()?, cargo_home()?);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "--", "sh", "-c", ENTER, "sh"]);
        command.arg(&self.0);
        for dir in [tree::top(), &toolchain, &cargo_home] {
            let inside = self.0.join(dir.strip_prefix("/").unwrap_or(dir));
            fs::create_dir_all(&inside)
                .map_err(Failure::io(format!("cannot create {}", inside.display())))?;
            command.arg(dir);
        }
        command
            .args(["--", "env", "-i", &format!("--chdir={}", tree::top().display())])
            .args(["LANG=C.UTF-8", "HOME=/root", &format!("CARGO_TARGET_DIR={TARGET}")])
            .arg("CARGO_NET_OFFLINE=true")
            // The tree may be another user's, whom this root does not know.
            .args(["GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"])
            .arg(format!("PATH={}/bin:/usr/local/bin:/usr/bin:/bin", toolchain.display()))
            .arg(format!("CARGO_HOME={}", cargo_home.display()))
            .args(["sh", "-euc", line]);
        Ok(command)
    }
}

/// The mirror that this machine's own packages come from.
fn mirror() -> Result<String, Failure> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let listed = run::output("mirror", &mut command)?;
    mirror_in(&listed)
        .map(str::to_owned)
        .ok_or_else(|| Failure::Missing("apt knows no Debian mirror on this machine".into()))
}

fn mirror_in(listed: &str) -> Option<&str> {
    listed.lines().find_map(|line| line.strip_prefix("Debian ")).map(str::trim)
}

/// The directory that rustc, cargo and their libraries are in; they must not come from the system's
/// own directories, which the other Debian has too.
fn toolchain() -> Result<PathBuf, Failure> {
    let mut rustc = Command::new("rustc");
    let sysroot =
        run::output("toolchain", rustc.current_dir(tree::top()).args(["--print", "sysroot"]))?;
    let sysroot = PathBuf::from(sysroot.trim());
    if sysroot == Path::new("/usr") || !sysroot.join("bin/cargo").is_file() {
        return Err(Failure::Missing(format!(
            "the Rust toolchain in {} can not be taken along; use one of rustup's",
            sysroot.display()
        )));
    }
    Ok(sysroot)
}

/// Where cargo keeps the sources of crates.
fn cargo_home() -> Result<PathBuf, Failure> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    home("CARGO_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::Missing("neither CARGO_HOME nor HOME is set".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debian_itself() {
        let listed = "Docker CE http://a.example/docker/\nDebian-Security http://b.example/security/\n\
            Debian http://c.example/debian/\nDebian http://d.example/debian/\n";
        assert_eq!(mirror_in(listed), Some("http://c.example/debian/"));
        assert_eq!(mirror_in("Ubuntu http://e.example/ubuntu/\n"), None);
    }

    #[test]
    fn a_debian_is_found_by_its_name_and_by_its_dpdk() {
        assert_eq!(with_dpdk("24.11").map(|debian| debian.suite).ok(), Some("trixie"));
        assert_eq!(named("bookworm").map(|debian| debian.dpdk).ok(), Some("22.11"));
        assert!(with_dpdk("23.11").is_err_and(|why| why.to_string().contains("22.11, 24.11")));
        assert!(named("sarge").is_err_and(|why| why.to_string().contains("trixie")));
    }
}
