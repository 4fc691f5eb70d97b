//! `cargo xtask ci`: what must be true of every commit.

use std::time::Instant;

use crate::{
    arrows, fuzz, lab,
    run::{self, Failure, Interrupt},
    say, setup, supply, test, tree,
};

/// Cheap checks first, then the tests, then a short fuzz, then what needs a real boot.
pub(crate) fn run(interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    setup::run(interrupt)?;
    lint(interrupt)?;
    test::all(&[], interrupt)?;
    fuzz::run(&fuzz::Options::short(), interrupt)?;
    lab::short_or_skipped(interrupt)?;
    say::done("everything", begun.elapsed());
    Ok(())
}

/// What can be checked without running anything: formatting, arrows, licences, lints, documentation.
pub(crate) fn lint(interrupt: &Interrupt) -> Result<(), Failure> {
    run::step(interrupt, "formatting", &mut tree::cargo(["fmt", "--all", "--check"]))?;
    checked("arrows between the crates", arrows::check)?;
    checked("licences", || supply::check(interrupt))?;
    run::step(
        interrupt,
        "lints",
        &mut tree::cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    run::step(
        interrupt,
        "documentation",
        tree::cargo(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

fn checked(what: &str, check: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    say::begin(what);
    let begun = Instant::now();
    check()?;
    say::done(what, begun.elapsed());
    Ok(())
}
