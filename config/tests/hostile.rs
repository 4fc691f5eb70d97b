//! Files that are wrong, by accident or on purpose: an error with a line for each, and never a panic.

#[expect(unreachable_pub, reason = "the file is a module of another crate as well")]
#[path = "../../tests/src/mutations.rs"]
mod mutations;

use std::path::PathBuf;

use config::Errors;
use mutations::mutants;
use proptest::prelude::*;

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Write the file, and read it as the daemon does.
fn load(folder: &tempfile::TempDir, bytes: &[u8]) -> Result<config::Config, Errors> {
    let path = folder.path().join("barewire.toml");
    std::fs::write(&path, bytes).expect("a temporary file");
    config::load(&path)
}

#[test]
fn every_mutation_of_the_examples_is_refused_with_its_line() {
    let mutants = mutants(&examples());
    assert!(mutants.len() >= 200, "{} bad files", mutants.len());
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for mutant in &mutants {
        let Err(errors) = load(&folder, &mutant.bytes) else {
            wrong.push(format!("{}: taken as valid", mutant.name));
            continue;
        };
        let lines = mutant.bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let in_file = |line: Option<usize>| line.is_some_and(|line| (1..=lines).contains(&line));
        let diagnostics = errors.diagnostics();
        if diagnostics.is_empty() || !diagnostics.iter().all(|error| in_file(error.line)) {
            wrong.push(format!("{}: no line:\n{errors}", mutant.name));
        }
        if mutant.line.is_some() && diagnostics.iter().all(|error| error.line != mutant.line) {
            wrong.push(format!("{}: not the line:\n{errors}", mutant.name));
        }
        let shown = errors.to_string();
        if shown.contains(|c: char| c.is_control() && c != '\n') || shown.len() > 60_000 {
            wrong.push(format!("{}: not fit to be shown: {shown:?}", mutant.name));
        }
    }
    let all = mutants.len();
    assert!(wrong.is_empty(), "{} of {all} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let errors = load(&tempfile::tempdir().unwrap(), &bytes).expect_err("no ports can come of this");
        prop_assert!(!errors.diagnostics().is_empty());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(\\[{1,2}[a-z.]{1,8}\\]{1,2}\n|[a-z_]{1,9} ?= ?[\\PC&&[^\n]]{0,12}\n|\\PC{0,9}\n){0,20}") {
        let errors = config::parse(&text, "any.toml").expect_err("no ports can come of this");
        prop_assert!(!errors.to_string().is_empty());
    }

    #[test]
    fn cutting_an_example_anywhere_makes_no_panic(which in 0_usize..100, at in 0_usize..2000) {
        let mut paths: Vec<_> =
            std::fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let mut text = std::fs::read_to_string(&paths[which % paths.len()]).unwrap();
        text.truncate(at.min(text.len()));
        if let Err(errors) = config::parse(&text, "cut.toml") {
            prop_assert!(errors.diagnostics().iter().all(|error| error.line.is_some()));
        }
    }

    #[test]
    fn changing_any_byte_of_an_example_makes_no_panic(at in 0_usize..2000, byte: u8) {
        let mut bytes = std::fs::read(examples().join("sample-count.toml")).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(errors) = load(&tempfile::tempdir().unwrap(), &bytes) {
            prop_assert!(!errors.diagnostics().is_empty());
        }
    }
}
