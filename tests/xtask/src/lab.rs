//! `cargo xtask lab …`: the virtual bare-metal machine of tests/lab, and the tests that need a real boot.
//!
//! The lab itself is a program of its crate; here it is built, with what it needs on this machine, and called.

mod matrix;

use std::{
    collections::BTreeSet, env::consts::EXE_SUFFIX, path::PathBuf, process::Command, time::Instant,
};

use clap::{Subcommand, ValueEnum};

use crate::{
    package,
    run::{self, Failure, Interrupt},
    say, setup, test, tree,
};

/// Which machine, and what to do with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Do not look for missing packages
    #[arg(long, global = true)]
    no_setup: bool,
    /// Where images and snapshots are kept [default: target/lab]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    #[command(subcommand)]
    action: Action,
}

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
struct Machine {
    /// The release of Debian in the machine
    #[arg(long, global = true, value_enum, default_value = "bookworm")]
    debian: Debian,
    /// With the PREEMPT_RT kernel
    #[arg(long, global = true)]
    rt: bool,
    /// What kind of NICs the machine has
    #[arg(long, global = true, value_enum, default_value = "igb")]
    nics: Nics,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build the image, and take a snapshot of it booted
    Build,
    /// Run a command in a fresh machine; what is after it is `barewire-lab run`'s
    #[command(trailing_var_arg = true)]
    Run {
        /// [--copy HOST:GUEST]… [--limit SECONDS] COMMAND
        #[arg(required = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build, then run the tests that need a real boot
    Test {
        /// A few of them, with unoptimised programs
        #[arg(long)]
        short: bool,
        /// Build neither the image nor the programs; tests are skipped when they are not there
        #[arg(long)]
        no_build: bool,
        /// Passed to `cargo nextest run`
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Run the tests on every kind of machine: {igb, e1000e, virtio} × {standard, RT} × {Debian 12, Debian 13}
    Matrix {
        /// Only the short tests of each
        #[arg(long)]
        short: bool,
        /// Only machines with all of these words: "bookworm", "rt", "standard", "e1000e", …
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Passed to `cargo nextest run`
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Let the installed daemon forward under random frames, reloads and faults, and account for all of it
    Soak {
        /// For how long
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// What decides on the events, to have the same again
        #[arg(long)]
        seed: Option<u64>,
        /// Take the packages that are there
        #[arg(long)]
        no_build: bool,
    },
    /// Run lines from standard input in a fresh machine
    Shell,
    /// Remove the cache
    Clean,
}

/// What the short form runs: the machine itself, its wires, and what must never break of the service.
const SHORT: &str = "binary(machine) | binary(wires) | test(run_to_completion_forwards) | \
    test(a_reload_by_systemctl) | test(a_restart_says) | test(a_worker_that_stands_still)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Debian {
    Bookworm,
    Trixie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Nics {
    E1000e,
    Igb,
    Virtio,
}

impl Debian {
    fn suite(self) -> &'static str {
        match self {
            Debian::Bookworm => "bookworm",
            Debian::Trixie => "trixie",
        }
    }
}

impl Machine {
    /// The words for the lab's own program, and for the tests' environment.
    fn words(self) -> Vec<&'static str> {
        let mut words = vec!["--debian", self.debian.suite()];
        words.extend(match self.nics {
            Nics::E1000e => ["--nics", "e1000e"],
            Nics::Igb => ["--nics", "igb"],
            Nics::Virtio => ["--nics", "virtio"],
        });
        if self.rt {
            words.push("--rt");
        }
        words
    }
}

impl Options {
    fn of_ci() -> Self {
        let machine = Machine { debian: Debian::Bookworm, rt: false, nics: Nics::Igb };
        Self { no_setup: false, cache: None, machine, action: Action::Build }
    }

    fn lab(&self, machine: Machine, action: &str) -> Command {
        let program = tree::target().join("debug").join(format!("barewire-lab{EXE_SUFFIX}"));
        let mut command = Command::new(program);
        if let Some(cache) = &self.cache {
            command.arg("--cache").arg(cache);
        }
        command.args(machine.words()).arg(action);
        command
    }
}

fn packages_of_a_plain_build(debian: Debian, interrupt: &Interrupt) -> Result<(), Failure> {
    // As the tests of the whole tree build them, so that nothing is built twice.
    run::step(interrupt, "build", &mut tree::cargo(["build", "--workspace", "--bins", "--tests"]))?;
    package::run(&package::Options::of_a_plain_build().on(debian.suite()), interrupt)
}

/// Does it.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    if !options.no_setup {
        setup::lab(interrupt)?;
    }
    run::step(
        interrupt,
        "build",
        &mut tree::cargo(["build", "--package", "barewire-lab", "--bins", "--quiet"]),
    )?;
    let machine = options.machine;
    match &options.action {
        Action::Build => run::step(interrupt, "lab", &mut options.lab(machine, "build"))?,
        Action::Run { arguments } => {
            run::quiet_step(interrupt, "lab", options.lab(machine, "run").args(arguments))?;
        }
        Action::Shell => run::quiet_step(interrupt, "lab", &mut options.lab(machine, "shell"))?,
        Action::Clean => run::step(interrupt, "lab", &mut options.lab(machine, "clean"))?,
        Action::Soak { minutes, seed, no_build } => {
            if !no_build {
                packages(false, machine.debian, interrupt)?;
            }
            let mut soak = options.lab(machine, "soak");
            soak.arg("--minutes").arg(minutes.to_string());
            if let Some(seed) = seed {
                soak.arg("--seed").arg(seed.to_string());
            }
            run::step(interrupt, "soak", &mut soak)?;
        }
        Action::Matrix { short, only, nextest } => {
            matrix::run(options, *short, only, nextest, interrupt)?;
        }
        Action::Test { short, no_build, nextest } => {
            if !no_build {
                run::step(interrupt, "lab", &mut options.lab(machine, "build"))?;
                if !short {
                    let mut build = options.lab(machine, "build");
                    run::step(interrupt, "lab", build.arg("--provisioning"))?;
                }
                packages(*short, machine.debian, interrupt)?;
            }
            let skips = tests(options, machine, *short, nextest, interrupt)?;
            if !no_build && skips.iter().any(|skip| skip.contains("needs the image")) {
                return Err(Failure::Check("tests did not find the image that was built".into()));
            }
            say::done(
                if *short { "the lab's short tests" } else { "the lab's tests" },
                begun.elapsed(),
            );
        }
    }
    Ok(())
}

/// The short tests on a machine with igb NICs and Debian 12; skipped, loudly, where the lab can not be had: without root,
/// or without Debian's packages, of which its emulator and its image are made.
pub(crate) fn short_or_skipped(interrupt: &Interrupt) -> Result<(), Failure> {
    let skipped = |why: &str| {
        say::loud(format!("the lab's tests were skipped: {why}"));
        Ok(())
    };
    if !tree::is_root() {
        return skipped("a system's root directory can only be made by root");
    }
    match setup::lab(interrupt) {
        Err(failure @ Failure::Missing(_)) => return skipped(&failure.to_string()),
        other => other?,
    }
    let begun = Instant::now();
    let options = Options::of_ci();
    let mut build = options.lab(options.machine, "build");
    let built = run::status(interrupt, "lab", &mut build)?;
    // What `barewire-lab` answers when something is missing that is not the lab's; it has said what.
    if built.code() == Some(3) {
        return skipped("see above");
    }
    if !built.success() {
        return Err(Failure::Check(format!("the lab's image could not be made: {built}")));
    }
    let debian = options.machine.debian;
    package::run(&package::Options::of_a_plain_build().on(debian.suite()), interrupt)?;
    tests(&options, options.machine, true, &[], interrupt)?;
    say::done("the lab's short tests", begun.elapsed());
    Ok(())
}

/// The short tests take what the tests of the whole tree have built.
fn packages(short: bool, debian: Debian, interrupt: &Interrupt) -> Result<(), Failure> {
    if short {
        return packages_of_a_plain_build(debian, interrupt);
    }
    // They are copied into the machine.
    package::run(&package::Options::for_the_lab().on(debian.suite()), interrupt)
}

/// Runs the tests; which of them were skipped.
fn tests(
    options: &Options,
    machine: Machine,
    short: bool,
    nextest: &[String],
    interrupt: &Interrupt,
) -> Result<BTreeSet<String>, Failure> {
    let mut command = tree::cargo(["nextest", "run", "--package", "barewire-lab"]);
    command
        .args(["--ignore-default-filter", "--no-tests=fail", "--success-output=final"])
        .args(if short { &["-E", SHORT][..] } else { &[] })
        .args(nextest)
        .env("BAREWIRE_LAB_MACHINE", machine.words().join(" "));
    if let Some(cache) = &options.cache {
        command.env("BAREWIRE_LAB_CACHE", tree::top().join(cache));
    }
    test::nextest(interrupt, &mut command)
}
