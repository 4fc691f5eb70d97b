//! Every command line that the examples show is one that the program takes.

use std::{fs, path::Path};

use tuner::commands;

use crate::{examples, machine::tree};

/// The program's own parser takes these words.
#[track_caller]
pub(crate) fn is_taken(words: &[String], at: &str) {
    let all = std::iter::once("barewire-tune").chain(words.iter().map(String::as_str));
    if let Err(error) = commands::command().try_get_matches_from(all) {
        let asks = matches!(
            error.kind(),
            clap::error::ErrorKind::DisplayVersion | clap::error::ErrorKind::DisplayHelp
        );
        assert!(asks, "{at}: barewire-tune {}\n{error}", words.join(" "));
    }
}

/// The words after each `barewire-tune` in a text that are meant as a command line: those at the beginning of a line,
/// and those in backticks.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        let quoted = line.split('`').skip(1).step_by(2);
        for candidate in std::iter::once(line).chain(quoted) {
            let Some(rest) = candidate.strip_prefix("barewire-tune ") else { continue };
            let end = rest.find(['|', ';', '&', '>', '`', '#']).unwrap_or(rest.len());
            let words = rest[..end].split_whitespace();
            found.push(words.map(|word| word.trim_matches(['"', '\'']).to_owned()).collect());
        }
    }
    found
}

#[test]
fn every_command_line_in_the_examples_is_one_that_the_program_takes() {
    let mut verbs = Vec::new();
    for (path, content) in tree(&examples()) {
        let Ok(text) = String::from_utf8(content) else { continue };
        for words in command_lines(&text) {
            is_taken(&words, &path.display().to_string());
            verbs.extend(words.into_iter().find(|word| {
                commands::command().get_subcommands().any(|verb| verb.get_name() == word)
            }));
        }
    }

    verbs.sort();
    verbs.dedup();
    for verb in ["apply", "gate", "verify"] {
        assert!(verbs.iter().any(|found| found == verb), "{verb} is not among {verbs:?}");
    }
}

#[test]
fn a_command_line_is_found_where_it_begins_and_in_backticks_and_ends_where_the_shell_ends_it() {
    let text = "barewire-tune --config \"$config\" apply || code=$?\nsee `barewire-tune gate --strict`\n\
                barewire-tune \\\n    verify\nthe barewire-tune of old\n";

    let found: Vec<String> = command_lines(text).iter().map(|words| words.join(" ")).collect();

    assert_eq!(found, ["--config $config apply", "gate --strict", "verify"]);
}

#[test]
#[should_panic(expected = "unexpected argument '--stricter'")]
fn a_command_line_with_an_option_that_does_not_exist_is_found_out() {
    is_taken(&["gate".to_owned(), "--stricter".to_owned()], "a test");
}

#[test]
fn every_file_that_an_example_names_is_there() {
    let packer = fs::read_to_string(examples().join("packer/barewire.pkr.hcl")).unwrap();
    let files: Vec<&str> =
        packer.split("${path.root}/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(files.ends_with(&["tune.sh", "gate.sh"]), "the gate is the last step: {files:?}");
    for file in files {
        assert!(examples().join("packer").join(file).is_file(), "{file}");
    }

    let unit = fs::read_to_string(examples().join("payload/barewire-first-boot.service")).unwrap();
    let program = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let name = Path::new(program).file_name().unwrap();
    assert!(examples().join("payload").join(name).is_file(), "{program}");
}

#[test]
fn the_example_waivers_are_waivers() {
    let text = fs::read_to_string(examples().join("waivers.toml")).unwrap();

    assert_eq!(tuner::gate::waivers(&text).unwrap().len(), 1);
}
