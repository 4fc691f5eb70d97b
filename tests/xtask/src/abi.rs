//! `cargo xtask abi 24.11`: builds the DPDK bindings against another release of DPDK, and runs
//! their tests on it.
//!
//! That release comes from the Debian that has it, unpacked into a root directory of its own below
//! target/abi. The toolchain, cargo's cache and this tree are bound into it in a mount namespace,
//! which is gone with its last process: nothing stays mounted, however this ends. The root
//! directory stays, so that the next time needs no network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use crate::{
    run::{self, Failure, Interrupt},
    say, tree,
};

/// Where a release of DPDK is found.
struct Source {
    release: &'static str,
    suite: &'static str,
    /// The suite has not been released: its content moves, and a mirror's copy of its index may
    /// have outlived its date.
    moving: bool,
}

/// One Debian for each supported release that one has; 23.11 is in none.
const SOURCES: [Source; 3] = [
    Source { release: "22.11", suite: "bookworm", moving: false },
    Source { release: "24.11", suite: "trixie", moving: false },
    Source { release: "25.11", suite: "forky", moving: true },
];

/// What the build needs in there. The Rust toolchain comes from outside.
const PACKAGES: &str = "libdpdk-dev,pkg-config,gcc,libc6-dev,libclang-dev,clang";

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

/// Builds dpdk-sys and dpdk against that release, and runs their tests.
pub(crate) fn run(release: &str, interrupt: &Interrupt) -> Result<(), Failure> {
    let source = SOURCES.iter().find(|source| source.release == release).ok_or_else(|| {
        let known: Vec<_> = SOURCES.iter().map(|source| source.release).collect();
        Failure::Missing(format!("no Debian has DPDK {release}; there are {}", known.join(", ")))
    })?;
    if !tree::is_root() {
        return Err(Failure::Missing(
            "a root directory with another Debian can only be made and entered by root".into(),
        ));
    }
    let root = tree::target().join("abi").join(release).join("root");
    if !root.is_dir() {
        make(source, &root, interrupt)?;
    }
    test(&root, interrupt)
}

/// Unpacks the Debian. The directory gets its name when it is complete.
fn make(source: &Source, root: &Path, interrupt: &Interrupt) -> Result<(), Failure> {
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
    if source.moving {
        // The signature is still checked; only the date in it is not.
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    }
    command.arg(source.suite).arg(&unfinished).arg(mirror()?);
    run::step(interrupt, &format!("Debian {}", source.suite), &mut command)?;
    let mut version = Command::new("chroot");
    version.arg(&unfinished).args(["pkg-config", "--modversion", "libdpdk"]);
    let version = run::output("version of DPDK", &mut version)?;
    if !version.starts_with(&format!("{}.", source.release)) {
        return Err(Failure::Check(format!(
            "Debian {} has DPDK {} by now, not {}",
            source.suite,
            version.trim(),
            source.release
        )));
    }
    fs::rename(&unfinished, root).map_err(Failure::io(format!("cannot make {}", root.display())))
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

/// Builds and tests in there, offline, with a target directory that belongs to that root.
fn test(root: &Path, interrupt: &Interrupt) -> Result<(), Failure> {
    run::step(interrupt, "crates", &mut tree::cargo(["fetch", "--locked", "--quiet"]))?;
    let toolchain = toolchain()?;
    let cargo_home = cargo_home()?;
    let nextest = tree::program("cargo-nextest").ok_or_else(|| {
        Failure::Missing("cargo-nextest is missing: run `cargo xtask setup`".into())
    })?;
    let copy = root.join("usr/local/bin/cargo-nextest");
    fs::copy(nextest, &copy).map_err(Failure::io(format!("cannot write {}", copy.display())))?;

    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "--", "sh", "-c", ENTER, "sh"]).arg(root);
    for dir in [tree::top(), &toolchain, &cargo_home] {
        let inside = root.join(dir.strip_prefix("/").unwrap_or(dir));
        fs::create_dir_all(&inside)
            .map_err(Failure::io(format!("cannot create {}", inside.display())))?;
        command.arg(dir);
    }
    command
        .args(["--", "env", "-i", &format!("--chdir={}", tree::top().display())])
        .args(["LANG=C.UTF-8", "HOME=/root", "CARGO_TARGET_DIR=/var/tmp/build"])
        .arg(format!("PATH={}/bin:/usr/local/bin:/usr/bin:/bin", toolchain.display()))
        .arg(format!("CARGO_HOME={}", cargo_home.display()))
        .args(["sh", "-euc"])
        .arg(
            "echo \"DPDK $(pkg-config --modversion libdpdk)\" >&2; \
             exec cargo nextest run --locked --offline -p dpdk-sys -p dpdk --no-fail-fast",
        );
    // Not as a step of its own words: the command is long, and half of it is the script above.
    say::begin(format!("bindings: build and test in {}", root.display()));
    let begun = Instant::now();
    run::quiet_step(interrupt, "bindings", &mut command)?;
    say::done("bindings", begun.elapsed());
    Ok(())
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
}
