//! Commands that are written down, for people and for systemd: each exists, with every option that it is given.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tuner::commands;

/// Every file below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str], into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, endings, into);
        } else if path.extension().is_some_and(|end| endings.iter().any(|wanted| *wanted == end)) {
            into.push(path);
        }
    }
}

/// What follows the program's name, up to what can not be a part of a command.
fn commands_in(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split("barewire-tune ").skip(1).map(|rest| {
        let end = rest.find(['`', '"', '\'', ';', '#', '|', ',', '(', ')', ':', '\n', '\\']);
        rest[..end.unwrap_or(rest.len())].split_whitespace().collect()
    })
}

#[test]
fn every_command_that_is_written_down_exists_with_its_options() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = vec![top.join("README.md")];
    files(&top.join("systemd"), &["md", "service", "timer", "conf", "yml", "yaml"], &mut all);
    files(&top.join("tuner/src"), &["rs"], &mut all);
    let program = commands::command();
    let (mut options, mut wrong) = (0, Vec::new());
    for file in all {
        for words in commands_in(&fs::read_to_string(&file).unwrap()) {
            // Options of all verbs may come first; a sentence about the program has no verb.
            let verb = words.iter().find_map(|word| program.find_subcommand(word));
            let Some(verb) = verb else { continue };
            for option in words.iter().filter_map(|word| word.strip_prefix("--")) {
                let name = option.split('=').next().unwrap().trim_end_matches(['.', '\u{2026}']);
                let has = |command: &clap::Command| {
                    command.get_arguments().any(|argument| argument.get_long() == Some(name))
                };
                options += 1;
                if !has(verb) && !has(&program) && !["", "help", "version"].contains(&name) {
                    wrong.push(format!("{}: {} --{name}", file.display(), verb.get_name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(options > 25, "only {options} were found");
}
