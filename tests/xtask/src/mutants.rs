//! `cargo xtask mutants`: changes thresholds and verdicts of the tuner's checks one by one, and looks whether a test
//! notices.
//!
//! ```text
//!  tuner/src/checks/*.rs ─► mutants (a comparison, a number, a range, a verdict) ─► a sample, by seed
//!                                                                                     │ one of each area a round
//!  target/mutants/tree, a copy ◄──────────────────────────────────────────────────────┘
//!      cargo test -p tuner --lib checks::    a failed test of the area: noticed; none: a survivor
//! ```
//! The tests of an area of checks are in its own module, so that one build serves a mutant of every area; whose test
//! fails says which mutants were noticed. cargo-mutants knows no thresholds (it changes what functions return and their
//! operators), and builds once for each mutant.
//!
//! A mutant that means the same as the original is no hole. Those are in [`EQUIVALENT`], with the reason.

mod find;
mod round;

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use crate::{
    run::{Failure, Interrupt},
    say, tree,
};

use find::Mutant;

/// What is changed, and how much of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many rounds; each tries one mutant of every area of checks
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Which sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only mutants of this area (`clock`, `nics`) or with this text in their line
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print the mutants there are, and try none
    #[arg(long)]
    list: bool,
}

/// Mutants that no test can notice, because they mean the same: a part of the line, and why.
const EQUIVALENT: &[(&str, &str)] = &[];

/// Does it; an error when a mutant survives.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    let copy = match options.list {
        true => None,
        false => {
            let dir = tree::target().join("mutants");
            Some(round::Copy::new(&dir.join("tree"), &dir.join("target"))?)
        }
    };
    let here = || tree::top().join(round::CHECKS);
    let mut areas = find::all(&copy.as_ref().map_or_else(here, round::Copy::checks))?;
    let is_wanted = |mutant: &Mutant| {
        options.only.as_ref().is_none_or(|only| mutant.area == *only || mutant.line.contains(only))
            && !EQUIVALENT.iter().any(|(line, _)| mutant.line.contains(line))
    };
    for mutants in areas.values_mut() {
        mutants.retain(is_wanted);
    }
    areas.retain(|_, mutants| !mutants.is_empty());
    let all: usize = areas.values().map(Vec::len).sum();
    let Some(copy) = copy else {
        for mutant in areas.values().flatten() {
            println!("{mutant}");
        }
        println!("{all} mutants in {} areas", areas.len());
        return Ok(());
    };
    if areas.is_empty() {
        return Err(Failure::Check("there is no such mutant".into()));
    }
    for mutants in areas.values_mut() {
        find::shuffle(mutants, options.seed);
    }
    let tried = tries(&copy, &areas, options.rounds, interrupt)?;
    let survivors: Vec<&Mutant> =
        tried.iter().filter(|(_, is_noticed)| !is_noticed).map(|(mutant, _)| *mutant).collect();
    for mutant in &survivors {
        say::loud(format!("survived: {mutant}"));
    }
    say::done(format!("{} of {all} mutants", tried.len()), begun.elapsed());
    match survivors.len() {
        0 => Ok(()),
        count => Err(Failure::Check(format!("no test noticed {count} of {} mutants", tried.len()))),
    }
}

/// Tries a mutant of every area in each round; which were noticed.
fn tries<'a>(
    copy: &round::Copy,
    areas: &'a BTreeMap<String, Vec<Mutant>>,
    rounds: usize,
    interrupt: &Interrupt,
) -> Result<Vec<(&'a Mutant, bool)>, Failure> {
    let none = copy.run(&[], interrupt)?;
    if !none.failed.is_empty() {
        let names = none.failed.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::Check(format!("tests fail without any change, of {names}")));
    }
    let mut left: BTreeMap<&str, std::slice::Iter<'a, Mutant>> =
        areas.iter().map(|(area, mutants)| (area.as_str(), mutants.iter())).collect();
    let mut tried = Vec::new();
    for number in 1..=rounds {
        let mutants: Vec<&Mutant> = left.values_mut().filter_map(Iterator::next).collect();
        if mutants.is_empty() {
            break;
        }
        say::begin(format!("round {number} of {rounds}: {} mutants", mutants.len()));
        let ran = copy.run(&mutants, interrupt)?;
        for mutant in mutants {
            if ran.not_built.contains(&mutant.area) {
                say::note(format!("does not build: {mutant}"));
            } else {
                tried.push((mutant, ran.failed.contains(&mutant.area)));
            }
        }
    }
    Ok(tried)
}

/// Reads a file of the tree.
fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(Failure::io(format!("cannot read {}", file.display())))
}
