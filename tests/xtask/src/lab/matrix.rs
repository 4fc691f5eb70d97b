//! `cargo xtask lab matrix`: the tests on every kind of machine that the lab has.

use std::time::{Duration, Instant};

use super::{Debian, Machine, Nics, Options};
use crate::{
    run::{self, Failure, Interrupt},
    say,
};

/// How the tests went on one machine.
struct Cell {
    name: String,
    took: Duration,
    /// How many tests were skipped, or why it failed.
    end: Result<usize, Failure>,
}

/// Runs them on each; a machine that fails does not keep the next one from its turn.
pub(super) fn run(
    options: &Options,
    short: bool,
    only: &[String],
    nextest: &[String],
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let machines = chosen(only);
    if machines.is_empty() {
        return Err(Failure::Check(format!("no machine has all of: {}", only.join(", "))));
    }
    for debian in [Debian::Bookworm, Debian::Trixie] {
        if machines.iter().any(|machine| machine.debian == debian) {
            super::packages(short, debian, interrupt)?;
        }
    }
    let mut cells = Vec::new();
    for machine in machines {
        interrupt.check()?;
        say::begin(format!("the lab: {}", name(machine)));
        let begun = Instant::now();
        let end = run::step(interrupt, "lab", &mut options.lab(machine, "build"))
            .and_then(|()| super::tests(options, machine, short, nextest, interrupt))
            .map(|skips| skips.len());
        cells.push(Cell { name: name(machine), took: begun.elapsed(), end });
    }
    told(&cells)
}

/// Every machine there is, in the order of their images.
fn all() -> Vec<Machine> {
    let mut all = Vec::new();
    for debian in [Debian::Bookworm, Debian::Trixie] {
        for rt in [false, true] {
            for nics in [Nics::Igb, Nics::E1000e, Nics::Virtio] {
                all.push(Machine { debian, rt, nics });
            }
        }
    }
    all
}

fn chosen(only: &[String]) -> Vec<Machine> {
    let has =
        |machine: Machine| only.iter().all(|word| name(machine).split(' ').any(|it| it == word));
    all().into_iter().filter(|machine| has(*machine)).collect()
}

fn name(machine: Machine) -> String {
    let debian = machine.debian.suite();
    let kernel = if machine.rt { "rt" } else { "standard" };
    let nics = match machine.nics {
        Nics::E1000e => "e1000e",
        Nics::Igb => "igb",
        Nics::Virtio => "virtio",
    };
    format!("{debian} {kernel} {nics}")
}

/// A line for each; an error when one failed.
fn told(cells: &[Cell]) -> Result<(), Failure> {
    let mut failed = 0;
    for Cell { name, took, end } in cells {
        let seconds = took.as_secs();
        match end {
            Ok(skipped) => say::loud(format!("{name:24} ok, {seconds} s, {skipped} skipped")),
            Err(error) => {
                failed += 1;
                say::loud(format!("{name:24} FAILED, {seconds} s: {error}"));
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Check(format!("{failed} machines failed"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_machines_and_without_any_all_are_run() {
        let words = |text: &str| chosen(&text.split(',').map(str::to_owned).collect::<Vec<_>>());

        assert_eq!(chosen(&[]).len(), 12);
        assert_eq!(words("trixie,rt").len(), 3);
        assert_eq!(words("standard").len(), 6);
        assert_eq!(words("sarge"), []);
        let [one] = words("e1000e,rt,bookworm")[..] else { panic!("one machine is so") };
        assert_eq!(one.words(), ["--debian", "bookworm", "--nics", "e1000e", "--rt"]);
    }
}
