//! `cargo xtask …`: everything a developer does to this tree, on a machine that has Rust and git and nothing else.
//!
//! | command | what it does |
//! |---|---|
//! | `setup` | installs what is missing; says what and why; does nothing when all is there |
//! | `demo` | builds release, runs barewired on real traffic, prints what happened |
//! | `test` | set-up, then every test: nextest, doctests, loom |
//! | `ci` | `lint`, `test`, a short `fuzz`, and the lab's short tests: as root; where they can not run, it says so |
//! | `lint` | formatting, lints, docs, licences and the direction of the crates' arrows |
//! | `fuzz` | coverage-guided fuzzing of the parsers, for so many seconds each |
//! | `loom` | the rings' model checks alone |
//! | `abi` | builds and tests against another DPDK release, in a root directory of its own |
//! | `mutants` | changes thresholds of the tuner's checks, and looks whether a test notices |
//! | `man` | writes the man pages to target/man |
//! | `package` | builds .deb packages in target/package, for this Debian or another, and has lintian look at them |
//! | `lab` | a virtual bare-metal machine: builds its image, runs the tests that need a real boot, lets you in |
//!
//! Exit codes: 0 all is well; 1 a step failed; 2 wrong usage; 3 the machine lacks something that could not be
//! installed; 130 interrupted. What a command changed on the machine (namespaces, hugepages) is undone in every case.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod abi;
mod arrows;
mod ci;
mod debian;
mod demo;
mod fuzz;
mod hugepages;
mod lab;
mod man;
mod mutants;
mod package;
mod run;
mod say;
mod setup;
mod supply;
mod test;
mod tree;

use run::{Failure, Interrupt};

/// Set-up, demo, tests: everything around the build.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 a step failed, 2 wrong usage, \
    3 the machine lacks something that could not be installed, 130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing for building, testing and the demo
    Setup {
        /// Also for the virtual lab
        #[arg(long)]
        lab: bool,
        /// Also for making packages
        #[arg(long)]
        package: bool,
    },
    /// Run barewired on real traffic and print what happened
    Demo(demo::Options),
    /// Run every test
    Test(test::Options),
    /// Run what CI runs: formatting, lints, docs, arrows, licences, every test, a short fuzz; as root the lab's short tests
    /// too, which are skipped, loudly, where they can not run
    Ci,
    /// Check what can be checked without running anything
    Lint,
    /// Fuzz the parsers, coverage-guided
    Fuzz(fuzz::Options),
    /// Model-check the rings
    Loom,
    /// Build and test the bindings against another DPDK release
    Abi {
        /// The release: 22.11, 24.11 or 25.11
        release: String,
    },
    /// Change thresholds and verdicts of the tuner's checks, and look whether a test notices
    Mutants(mutants::Options),
    /// Write the man pages to target/man
    Man,
    /// Build the Debian packages
    Package(package::Options),
    /// A virtual bare-metal machine, for what needs a real boot
    Lab(lab::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = Interrupt::install().and_then(|interrupt| dispatch(cli.command, &interrupt));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::failure(&failure);
            failure.exit_code()
        }
    }
}

fn dispatch(command: Command, interrupt: &Interrupt) -> Result<(), Failure> {
    match command {
        Command::Setup { lab, package } => {
            setup::run(interrupt)?;
            if lab {
                setup::lab(interrupt)?;
            }
            if package { setup::package(true, interrupt) } else { Ok(()) }
        }
        Command::Demo(options) => demo::run(&options, interrupt),
        Command::Test(options) => test::run(&options, interrupt),
        Command::Ci => ci::run(interrupt),
        Command::Lint => ci::lint(interrupt),
        Command::Fuzz(options) => fuzz::run(&options, interrupt),
        Command::Loom => test::loom(interrupt),
        Command::Abi { release } => abi::run(&release, interrupt),
        Command::Mutants(options) => mutants::run(&options, interrupt),
        Command::Man => man::run(interrupt),
        Command::Package(options) => package::run(&options, interrupt),
        Command::Lab(options) => lab::run(&options, interrupt),
    }
}
