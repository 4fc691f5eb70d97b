//! `cargo xtask abi 24.11`: builds the DPDK bindings against another release of DPDK, and runs
//! their tests on it. That release comes from the Debian that has it.

use std::{fs, time::Instant};

use crate::{
    debian,
    run::{self, Failure, Interrupt},
    say, tree,
};

/// Builds dpdk-sys and dpdk against that release, and runs their tests.
pub(crate) fn run(release: &str, interrupt: &Interrupt) -> Result<(), Failure> {
    let root = debian::with_dpdk(release)?.root(interrupt)?;
    let nextest = tree::program("cargo-nextest").ok_or_else(|| {
        Failure::Missing("cargo-nextest is missing: run `cargo xtask setup`".into())
    })?;
    let copy = root.path().join("usr/local/bin/cargo-nextest");
    fs::copy(nextest, &copy).map_err(Failure::io(format!("cannot write {}", copy.display())))?;
    let mut command = root.shell(
        "echo \"DPDK $(pkg-config --modversion libdpdk)\" >&2; \
         exec cargo nextest run --locked -p dpdk-sys -p dpdk --no-fail-fast",
        interrupt,
    )?;
    // Not as a step of its own words: the command is long, and half of it is a script.
    say::begin(format!("bindings: build and test in {}", root.path().display()));
    let begun = Instant::now();
    run::quiet_step(interrupt, "bindings", &mut command)?;
    say::done("bindings", begun.elapsed());
    Ok(())
}
