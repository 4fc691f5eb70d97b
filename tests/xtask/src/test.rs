//! `cargo xtask test`: every test there is, and which of them could not run here.

use std::{collections::BTreeSet, fs, process::Command, time::Instant};

use crate::{
    hugepages::Hugepages,
    run::{self, Failure, Interrupt},
    say, setup, tree,
};

/// How to run the tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Do not look for missing packages
    #[arg(long)]
    no_setup: bool,
    /// Passed to `cargo nextest run`; with any of them, only nextest runs
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// Set-up, then the tests.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    if !options.no_setup {
        setup::run(interrupt)?;
    }
    all(&options.nextest, interrupt)
}

/// The tests.
pub(crate) fn all(nextest: &[String], interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    let _hugepages = Hugepages::reserve();
    // Programs and tests in one call: both are then built once, with the same features.
    run::step(interrupt, "build", &mut tree::cargo(["build", "--workspace", "--bins", "--tests"]))?;

    let mut command = tree::cargo(["nextest", "run", "--workspace", "--no-tests=fail"]);
    let (tests, skips) = nextest_and_skips(interrupt, command.args(nextest))?;
    if tests.is_err() {
        report(&skips)?;
        return tests;
    }
    if nextest.is_empty() {
        run::step(
            interrupt,
            "doctests",
            &mut tree::cargo(["test", "--workspace", "--doc", "--quiet"]),
        )?;
        loom(interrupt)?;
    } else {
        say::note("arguments for nextest were given: doctests and model checks did not run");
    }
    report(&skips)?;
    say::done("all tests", begun.elapsed());
    Ok(())
}

/// The rings' model checks: the same source, built with loom's atomics, so in a target directory of its own.
pub(crate) fn loom(interrupt: &Interrupt) -> Result<(), Failure> {
    run::step(
        interrupt,
        "model checks",
        tree::cargo(["test", "--package", "ring", "--test", "loom", "--release", "--target-dir"])
            .arg(tree::target().join("loom"))
            .env("RUSTFLAGS", "--cfg loom"),
    )
}

/// Runs these tests, and says which were skipped.
pub(crate) fn nextest(
    interrupt: &Interrupt,
    command: &mut Command,
) -> Result<BTreeSet<String>, Failure> {
    let (tests, skips) = nextest_and_skips(interrupt, command)?;
    report(&skips)?;
    tests.map(|()| skips)
}

/// How the tests ended, and which were skipped.
fn nextest_and_skips(
    interrupt: &Interrupt,
    command: &mut Command,
) -> Result<(Result<(), Failure>, BTreeSet<String>), Failure> {
    let junit = tree::target().join("nextest/default/junit.xml");
    // That of another run must not be taken for this one's.
    match fs::remove_file(&junit) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::Io {
                what: format!("cannot remove {}", junit.display()),
                source: error,
            });
        }
        _ => {}
    }
    let tests = run::step(interrupt, "tests", command);
    let skips = fs::read_to_string(&junit).map(|xml| skipped(&xml)).unwrap_or_default();
    Ok((tests, skips))
}

/// Says what was skipped. An error when something was skipped for lack of what we have.
fn report(skips: &BTreeSet<String>) -> Result<(), Failure> {
    if skips.is_empty() {
        say::note("0 tests skipped");
        return Ok(());
    }
    say::loud(format!("{} tests skipped:", skips.len()));
    for skip in skips {
        say::loud(format!("  {skip}"));
    }
    let wrong = unjustified(skips, tree::is_root());
    if wrong == 0 {
        return Ok(());
    }
    Err(Failure::Check(format!("{wrong} tests were skipped for lack of root, and we are root")))
}

/// How many were skipped for lack of root although we are root.
fn unjustified(skips: &BTreeSet<String>, root: bool) -> usize {
    if root { skips.iter().filter(|skip| skip.contains("needs root")).count() } else { 0 }
}

/// The `SKIPPED:` lines in the output of the tests that passed, which nextest keeps in its JUnit file.
fn skipped(junit: &str) -> BTreeSet<String> {
    junit
        .lines()
        .filter_map(|line| line.split_once("SKIPPED: "))
        .map(|(_, skip)| {
            let skip = skip.split("</system-").next().unwrap_or(skip);
            skip.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&amp;", "&")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNIT: &str = "<testcase name=\"a\">\n<system-err>SKIPPED: a: needs root</system-err>\n</testcase>\n\
        <system-err>thread &apos;b&apos;\nSKIPPED: b: no &quot;vfio&quot; &amp; so on\n</system-err>\n\
        <system-out>nothing of note</system-out>";

    #[test]
    fn skipped_tests_are_found_in_what_nextest_kept() {
        let skips = skipped(JUNIT);
        assert_eq!(Vec::from_iter(&skips), ["a: needs root", "b: no \"vfio\" & so on"]);
    }

    #[test]
    fn a_skip_for_lack_of_root_is_wrong_only_for_root() {
        assert_eq!(unjustified(&skipped(JUNIT), true), 1);
        assert_eq!(unjustified(&skipped(JUNIT), false), 0);
    }
}
