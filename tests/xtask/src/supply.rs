//! What the dependencies are licensed under, and which are there twice.
//!
//! `cargo-deny` with `.deny.toml` knows more (advisories, sources, wildcards) and is used when it is installed.

use std::collections::BTreeSet;

use crate::{
    run::{self, Failure, Interrupt},
    say, tree,
};

/// Licences that a dependency may offer us; `.deny.toml` has the same list.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks with cargo-deny, or, without it, licences and duplicates from what cargo itself can tell.
pub(crate) fn check(interrupt: &Interrupt) -> Result<(), Failure> {
    if tree::program("cargo-deny").is_some() {
        return run::step(
            interrupt,
            "cargo-deny",
            &mut tree::cargo(["deny", "--offline", "check", "bans", "licenses", "sources"]),
        );
    }
    say::loud(
        "cargo-deny is not installed: checking licences and duplicates only, not sources and advisories",
    );
    let packages = run::output(
        "licences",
        &mut tree::cargo(["tree", "--workspace", "--prefix", "none", "--format", "{p}|{l}"]),
    )?;
    let refused = refused(&packages);
    if !refused.is_empty() {
        return Err(Failure::Check(format!(
            "licences that .deny.toml does not allow: {}",
            refused.join("; ")
        )));
    }
    let twice = duplicates(&packages);
    if !twice.is_empty() {
        say::note(format!("crates in more than one version: {}", twice.join(", ")));
    }
    Ok(())
}

/// Packages with no licence that we allow.
fn refused(packages: &str) -> Vec<String> {
    let lines: BTreeSet<&str> =
        packages.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines
        .into_iter()
        .filter_map(|line| line.split_once('|'))
        .filter(|(_, licence)| !acceptable(licence))
        .map(|(package, licence)| {
            format!("{package}: {}", if licence.is_empty() { "none named" } else { licence })
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences. Parentheses bind, AND binds tighter than OR.
fn acceptable(expression: &str) -> bool {
    // The old notation for a choice.
    let expression = expression.replace('/', " OR ");
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) == Some(true) && words.next().is_none()
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

/// `None`, here and below: this is not an SPDX expression.
fn any(words: Words) -> Option<bool> {
    let mut accepted = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        accepted |= all(words)?;
    }
    Some(accepted)
}

fn all(words: Words) -> Option<bool> {
    let mut accepted = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words)?;
    }
    Some(accepted)
}

fn one(words: Words) -> Option<bool> {
    match words.next()? {
        "(" => {
            let accepted = any(words)?;
            (words.next()? == ")").then_some(accepted)
        }
        licence => Some(match words.next_if_eq(&"WITH") {
            Some(_) => ALLOWED.contains(&format!("{licence} WITH {}", words.next()?).as_str()),
            None => ALLOWED.contains(&licence),
        }),
    }
}

/// Crates that the tree has in more than one version.
fn duplicates(packages: &str) -> Vec<String> {
    let crates: BTreeSet<(&str, &str)> = packages
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter_map(|(package, _)| {
            let mut words = package.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    let mut names: Vec<&str> = crates.iter().map(|(name, _)| *name).collect();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let versions: Vec<&str> =
                crates.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect();
            (versions.len() > 1).then(|| format!("{name} ({})", versions.join(" ")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_allowed_licence_and_a_sum_needs_all() {
        assert!(acceptable("MIT OR GPL-3.0"));
        assert!(acceptable("MIT/Apache-2.0"));
        assert!(acceptable("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(acceptable("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
        assert!(!acceptable("MIT AND GPL-3.0"));
        assert!(!acceptable("GPL-3.0"));
        assert!(!acceptable(""));
        assert!(!acceptable("MIT OR"), "an empty choice is nothing one can read");
        assert!(!acceptable("(MIT"));
    }

    #[test]
    fn packages_without_an_allowed_licence_are_named_once() {
        let packages = "a v1.0.0|MIT\nb v2.0.0|GPL-3.0\nb v2.0.0|GPL-3.0 (*)\nc v1.0.0|\n";
        assert_eq!(refused(packages), ["b v2.0.0: GPL-3.0", "c v1.0.0: none named"]);
    }

    #[test]
    fn a_crate_in_two_versions_is_named_with_both() {
        assert_eq!(
            duplicates("a v1.0.0|MIT\nb v1.0.0|MIT\na v2.0.0|MIT (*)\n"),
            ["a (v1.0.0 v2.0.0)"]
        );
    }
}
