//! The examples of `systemd/provisioning`, run as far as they run without a machine to install.
//!
//! ```text
//!  machine    files that stand for a machine, and a barewire-tune that writes down how it was called
//!  jail       this system below an overlay, with such files as its /proc and /sys: nothing in it outlives the test
//!  commands   every command line in the examples, parsed by the program's own parser
//!  documents  commands that READMEs, units and the program itself name
//!  ansible    the role against two machines
//!  install    cloud-init, kickstart and preseed, up to the unit that is enabled
//!  first_boot what that unit does, over a reboot; Packer's scripts
//! ```

#![expect(clippy::unwrap_used, reason = "a test panics where it can not go on")]

mod ansible;
mod commands;
mod documents;
mod first_boot;
mod install;
mod jail;
mod machine;

use std::path::{Path, PathBuf};

/// The examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("systemd/provisioning")
}

/// Says that the running test is skipped.
fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED: {test}: {why}");
}
