//! `cargo xtask demo`: real packets through barewired, and what it measured of them.
//!
//! The demo itself is a program of the scenario crate, which has the harness for namespaces and daemons; here it is
//! built in release mode and given what it needs.

use std::env::consts::EXE_SUFFIX;

use crate::{
    hugepages::Hugepages,
    run::{self, Failure, Interrupt},
    setup, tree,
};

/// How to run the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Do not look for missing packages
    #[arg(long)]
    no_setup: bool,
    /// Replay the bundled capture, even when we could make network namespaces
    #[arg(long)]
    capture: bool,
}

/// Builds and runs it.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    if !options.no_setup {
        setup::programs(interrupt)?;
    }
    run::step(
        interrupt,
        "build, optimised",
        &mut tree::cargo([
            "build",
            "--release",
            "--package",
            "daemon",
            "--package",
            "ctl",
            "--package",
            "scenarios",
            "--bins",
        ]),
    )?;
    let _hugepages = if options.capture { None } else { Hugepages::reserve() };
    let mut demo = std::process::Command::new(
        tree::target().join("release").join(format!("barewire-demo{EXE_SUFFIX}")),
    );
    if options.capture {
        demo.arg("--capture");
    }
    run::quiet_step(interrupt, "demo", &mut demo)
}
