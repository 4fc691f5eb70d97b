//! `cargo xtask man`: the programs write their own man pages, from the same definition that parses their arguments.

use std::{fs, process::Command};

use crate::{
    run::{self, Failure, Interrupt},
    say, tree,
};

/// Programs with man pages: their crate, and their name.
const PROGRAMS: &[(&str, &str)] = &[
    ("daemon", "barewired"),
    ("ctl", "barewire"),
    ("tuner", "barewire-tune"),
    ("bench", "barewire-bench"),
];

/// Builds the programs and collects their pages in target/man.
pub(crate) fn run(interrupt: &Interrupt) -> Result<(), Failure> {
    let folder = tree::target().join("man");
    fs::create_dir_all(&folder)
        .map_err(Failure::io(format!("cannot create {}", folder.display())))?;
    let mut build = tree::cargo(["build", "--quiet", "--bins"]);
    for (package, _) in PROGRAMS {
        build.args(["--package", package]);
    }
    run::step(interrupt, "build", &mut build)?;
    for (_, program) in PROGRAMS {
        run::quiet_step(
            interrupt,
            program,
            Command::new(tree::target().join("debug").join(program)).arg("man").arg(&folder),
        )?;
    }
    say::note(format!("man pages are in {}", folder.display()));
    Ok(())
}
