//! `cargo xtask setup`: what Debian packages and cargo programs are missing, said and installed. With `--lab` also
//! what the virtual lab needs, which nothing else does.
//!
//! When nothing is missing this reads dpkg's database once and is done: no network, well under a second.

use std::{
    env, fs,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    run::{self, Failure, Interrupt},
    say, tree,
};

/// What the tree needs, and what for.
const PACKAGES: &[(&str, &str)] = &[
    ("libdpdk-dev", "DPDK's headers, libraries and drivers, which barewired links"),
    ("dpdk", "dpdk-devbind, and the drivers' start-up defaults"),
    ("dpdk-dev", "dpdk-testpmd, the peer that barewired is measured against"),
    ("libhwloc-dev", "topology: packages, cores, caches"),
    ("libclang-dev", "bindgen reads DPDK's headers with it"),
    ("clang", "the compiler headers that libclang needs"),
    ("pkg-config", "finds DPDK, its version and its compiler flags"),
    (
        "build-essential",
        "compiles the C shim around DPDK's inline functions, and the fuzzer's runtime",
    ),
    ("iproute2", "network namespaces and veth pairs for the demo and the scenarios"),
    ("iputils-ping", "a real ping for the demo and the scenarios"),
    ("ethtool", "turns off the offloads that a veth pair only pretends to have"),
    ("iperf3", "a real TCP transfer for the demo and the scenarios"),
];

/// What only tests need besides: the real consumers of what the tuner writes, and something that kills at a system call.
const TEST_PACKAGES: &[(&str, &str)] = &[
    ("strace", "kills the tuner at each of its writes"),
    ("grub-common", "grub-script-check reads the menu entries that the tuner writes"),
    ("systemd", "systemd-analyze reads the units"),
    ("udev", "udevadm reads the rules"),
    ("procps", "sysctl reads the drop-in"),
    ("rt-tests", "cyclictest and oslat write results that the tuner reads"),
    ("chromium", "opens the bench's page: a phone, a desktop, print"),
    ("sockperf", "measures the kernel's echo beside the bench"),
    ("irtt", "the same"),
    ("python3-venv", "Python's reader of HdrHistogram logs reads the bench's"),
];

/// What the virtual lab needs besides. Its emulator comes with its images, into the cache.
const LAB_PACKAGES: &[(&str, &str)] = &[
    ("mmdebstrap", "unpacks the Debian that the lab boots"),
    ("e2fsprogs", "makes the lab's disk of a folder, without mounting it"),
    ("util-linux", "setpriv, unshare and setsid: nothing of a guest outlives its test"),
    ("libc6-dev", "the agent in the guest is linked statically"),
];

/// What making packages needs besides.
const PACKAGING: &[(&str, &str)] =
    &[("dpkg-dev", "dpkg-shlibdeps finds what the programs depend on"), ("binutils", "strip")];

/// What looking at packages needs besides.
const LINTIAN: &[(&str, &str)] = &[("lintian", "Debian's own opinion of a package")];

/// Installs what is missing for making packages, and for having lintian look at them.
pub(crate) fn package(lintian: bool, interrupt: &Interrupt) -> Result<(), Failure> {
    packages(PACKAGES, interrupt).map_err(lacking)?;
    packages(PACKAGING, interrupt).map_err(lacking)?;
    if lintian { packages(LINTIAN, interrupt).map_err(lacking) } else { Ok(()) }
}

/// Installs what is missing for the virtual lab.
pub(crate) fn lab(interrupt: &Interrupt) -> Result<(), Failure> {
    packages(LAB_PACKAGES, interrupt).map_err(lacking)
}

/// Installs what is missing to build and run.
pub(crate) fn programs(interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    packages(PACKAGES, interrupt).map_err(lacking)?;
    say::done("set-up", begun.elapsed());
    Ok(())
}

/// Installs what is missing to build, run and test.
pub(crate) fn run(interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    packages(&[PACKAGES, TEST_PACKAGES].concat(), interrupt).map_err(lacking)?;
    nextest(interrupt).map_err(lacking)?;
    say::done("set-up", begun.elapsed());
    Ok(())
}

/// What could not be installed is missing.
fn lacking(failure: Failure) -> Failure {
    match failure {
        Failure::Step { .. } | Failure::Start { .. } => Failure::Missing(failure.to_string()),
        other => other,
    }
}

fn packages(wanted: &[(&str, &str)], interrupt: &Interrupt) -> Result<(), Failure> {
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !is_debian(&release) {
        return Err(Failure::Missing(format!(
            "this machine is not a Debian, and set-up knows only Debian's packages; install what \
             your system has in place of these, then use `--no-setup`:\n  {}",
            names.join(" ")
        )));
    }
    let missing = missing(&names)?;
    if missing.is_empty() {
        return Ok(());
    }
    say::begin("set-up installs these Debian packages, and what they depend on:");
    for (name, why) in wanted.iter().filter(|(name, _)| missing.contains(name)) {
        say::note(format!("{name:16} {why}"));
    }
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    let update =
        || run::step(interrupt, "package lists", apt(["update", "--quiet"])?.env("LC_ALL", "C"));
    // The package lists may be absent (a fresh container); only then are they fetched at once.
    let mut simulate = Command::new("apt-get");
    simulate
        .args(["--simulate", "--quiet=2"])
        .args(&install)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !run::status(interrupt, "packages", &mut simulate)?.success() {
        update()?;
    }
    match run::step(interrupt, "packages", apt(["--quiet"])?.args(&install)) {
        Err(Failure::Step { .. }) => {
            say::note("the package lists may be out of date: fetching them and trying once more");
            update()?;
            run::step(interrupt, "packages", apt(["--quiet"])?.args(&install))
        }
        other => other,
    }
}

/// Debian, or one that says it is like it.
fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .flat_map(|value| value.trim_matches('"').split_whitespace())
        .any(|id| id == "debian")
}

/// Those of `names` that are not installed.
fn missing<'a>(names: &[&'a str]) -> Result<Vec<&'a str>, Failure> {
    // Fails when one is unknown, and still prints the others.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ${Package} ${Provides}\n"])
        .args(names)
        .output()
        .map_err(Failure::io("cannot run dpkg-query"))?;
    Ok(not_installed(names, &String::from_utf8_lossy(&output.stdout)))
}

fn not_installed<'a>(names: &[&'a str], shown: &str) -> Vec<&'a str> {
    let installed: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.iter().copied().filter(|name| !installed.contains(name)).collect()
}

/// `apt-get`, as root: directly, or through sudo, which asks.
fn apt<const N: usize>(args: [&str; N]) -> Result<Command, Failure> {
    let mut command = if tree::is_root() {
        Command::new("apt-get")
    } else if tree::program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        // Through env(1): a usual sudoers file lets no environment through.
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        return Err(Failure::Missing(
            "packages are missing, we are not root, and there is no sudo: run `cargo xtask setup` as root".into(),
        ));
    };
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

/// cargo-nextest gives every test a process of its own, which tests with an EAL need.
fn nextest(interrupt: &Interrupt) -> Result<(), Failure> {
    if tree::program("cargo-nextest").is_some() {
        return Ok(());
    }
    say::note(
        "cargo-nextest is missing: it runs every test in a process of its own, and a process can have one DPDK only",
    );
    run::step(
        interrupt,
        "cargo-nextest (built from source, some minutes)",
        // Not below the workspace: its toolchain and profile settings are none of nextest's business.
        tree::cargo(["install", "cargo-nextest", "--locked"]).current_dir(env::temp_dir()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_was_removed_but_left_its_configuration_is_missing() {
        let shown = "installed dpdk \nconfig-files iperf3 \nnot-installed clang \n";
        assert_eq!(
            not_installed(&["dpdk", "iperf3", "clang", "ethtool"], shown),
            ["iperf3", "clang", "ethtool"]
        );
    }

    #[test]
    fn debian_and_what_is_like_it_are_known_and_others_are_not() {
        assert!(is_debian("NAME=x\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=\"debian\"\n"));
        assert!(!is_debian("ID=fedora\nID_LIKE=\"rhel centos\"\n"));
        assert!(!is_debian(""));
    }
}
