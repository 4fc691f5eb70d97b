//! Where the programs are that the scenarios run.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The built `barewired`.
#[must_use]
pub fn barewired() -> PathBuf {
    built("barewired")
}

/// The built `barewire`.
#[must_use]
pub fn barewire() -> PathBuf {
    built("barewire")
}

/// A program of ours, from the same build as this one.
///
/// # Panics
/// When it has not been built: a scenario's crate can not depend on programs, so cargo does not know.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let own = env::current_exe().expect("the path of this program");
    let mut folder = own.parent().expect("a program is in a folder");
    // Tests are in target/<profile>/deps, programs one up.
    if folder.ends_with("deps") {
        folder = folder.parent().expect("deps is in a folder");
    }
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is not built: run `cargo build --workspace --bins` (or `cargo xtask test`, which does)",
        program.display()
    );
    program
}

/// A program of the system.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The workspace's top directory.
#[must_use]
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the scenarios are one level below the top")
}
