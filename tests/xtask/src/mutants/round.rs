//! A copy of the tree in which some lines are others, and what its tests say.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{find::Mutant, read};
use crate::{
    run::{self, Failure, Interrupt},
    tree,
};

/// Where the checks are, in the tree.
pub(super) const CHECKS: &str = "tuner/src/checks";

/// A copy of the tree, next to what is built of it.
pub(super) struct Copy {
    dir: PathBuf,
    target: PathBuf,
}

/// What the tests said of some mutants, by area.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// A test of the area failed.
    pub(super) failed: BTreeSet<String>,
    /// The mutant is no program.
    pub(super) not_built: BTreeSet<String>,
}

impl Copy {
    /// Copies what git knows of the tree or would; files that are the same already stay, so that nothing is built twice.
    pub(super) fn new(dir: &Path, target: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("git");
        command.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let list = run::output("list of files", command.current_dir(tree::top()))?;
        for name in list.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (tree::top().join(name), dir.join(name));
            // What was removed and not committed.
            if from.is_file() {
                put(&to, &fs::read(&from).map_err(failed(&from))?)?;
            }
        }
        Ok(Self { dir: dir.to_owned(), target: target.to_owned() })
    }

    /// Where the checks are.
    pub(super) fn checks(&self) -> PathBuf {
        self.dir.join(CHECKS)
    }

    /// Runs the checks' tests with these mutants, of which each is of another area.
    pub(super) fn run(&self, mutants: &[&Mutant], interrupt: &Interrupt) -> Result<Ran, Failure> {
        let mut ran = Ran::default();
        loop {
            let alive: Vec<&Mutant> =
                mutants.iter().filter(|one| !ran.not_built.contains(&one.area)).copied().collect();
            let originals = self.write(&alive)?;
            let (said, is_built) = self.test(interrupt);
            for (file, text) in originals {
                put(&file, text.as_bytes())?;
            }
            interrupt.check()?;
            if is_built {
                ran.failed = areas_of_failed(&said);
                return Ok(ran);
            }
            let broken: Vec<&&Mutant> = alive
                .iter()
                .filter(|one| said.contains(&format!("{CHECKS}/{}:", one.file.display())))
                .collect();
            if broken.is_empty() {
                let last: Vec<&str> = said.lines().rev().take(30).collect();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                return Err(Failure::Check(format!("the copy does not build:\n{last}")));
            }
            ran.not_built.extend(broken.into_iter().map(|one| one.area.clone()));
        }
    }

    /// Puts the mutants into the copy; says what was there.
    fn write(&self, mutants: &[&Mutant]) -> Result<Vec<(PathBuf, String)>, Failure> {
        let mut originals = Vec::new();
        for mutant in mutants {
            let file = self.checks().join(&mutant.file);
            let mut text = read(&file)?;
            originals.push((file.clone(), text.clone()));
            text.replace_range(mutant.at.clone(), &mutant.with);
            put(&file, text.as_bytes())?;
        }
        Ok(originals)
    }

    /// What the tests said, and whether there were any.
    fn test(&self, interrupt: &Interrupt) -> (String, bool) {
        let mut said = String::new();
        let mut cargo = |args: &[&str]| {
            let mut command = tree::cargo(["test", "--quiet", "--package", "tuner", "--lib"]);
            // Not what is built of the tree itself: cargo names both alike.
            command.args(args).current_dir(&self.dir).env("CARGO_TARGET_DIR", &self.target);
            command.stdin(Stdio::null());
            let output = command.output();
            interrupt.check().is_ok()
                && output.is_ok_and(|output| {
                    said.push_str(&String::from_utf8_lossy(&output.stdout));
                    said.push_str(&String::from_utf8_lossy(&output.stderr));
                    output.status.success()
                })
        };
        let is_built = cargo(&["--no-run"]);
        if is_built {
            cargo(&["--", "checks::"]);
        }
        (said, is_built)
    }
}

/// `---- checks::clock::tests::a_name stdout ----` names a test that failed.
fn areas_of_failed(said: &str) -> BTreeSet<String> {
    said.lines()
        .filter_map(|line| line.strip_prefix("---- checks::")?.strip_suffix(" stdout ----"))
        .filter_map(|name| name.split("::").next())
        .map(str::to_owned)
        .collect()
}

/// Writes a file, unless it says that already.
fn put(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).map_err(failed(dir))?;
    }
    fs::write(file, bytes).map_err(failed(file))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io(format!("cannot copy {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_of_a_failed_test_is_its_module() {
        let said = "---- checks::clock::tests::a stdout ----\nx\n---- checks::nics::tests::b stdout ----\n\
                    ---- plan::tests::c stdout ----\n";
        assert_eq!(areas_of_failed(said), ["clock".to_owned(), "nics".to_owned()].into());
    }
}
