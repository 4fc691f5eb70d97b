//! This system below an overlay, with the files of a made-up machine as its `/proc` and `/sys`.
//!
//! ```text
//!  merged/  what a jailed program sees as /        lower: /, read only, without what is mounted on it
//!  upper/   what the machine is made of, and all that is written
//! ```
//! Every run has a mount namespace of its own, in which the overlay ends with it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    machine::{self, said},
    skip,
};

/// Mounts, and runs `$0` below it. `/dev/null` is all that is there of `/dev`.
const ENTER: &str = r#"
set -e
cd "$JAIL"
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work merged
touch merged/dev/null
mount --bind /dev/null merged/dev/null
if [ -n "$TARGET" ]; then
    mkdir -p "merged$TARGET"
    mount -t overlay overlay -o lowerdir=/,upperdir=target,workdir=target-work "merged$TARGET"
    mount --bind /dev/null "merged$TARGET/dev/null" 2> /dev/null || true
fi
exec chroot merged /bin/sh -c "$0"
"#;

/// A system that nothing comes out of.
pub(crate) struct Jail {
    dir: TempDir,
}

/// Whether a run sees this machine's network, or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Ours,
    None,
}

impl Jail {
    /// None, loudly, where there can be none.
    pub(crate) fn new() -> Option<Self> {
        let jail = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["upper", "work", "merged", "target", "target-work"] {
            fs::create_dir(jail.dir.path().join(folder)).unwrap();
        }
        machine::virtual_machine(&jail.upper());
        fs::create_dir_all(jail.upper().join("dev")).unwrap();
        let output = jail.run("true", Network::None);
        if output.status.success() {
            return Some(jail);
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        skip(&format!("needs to mount an overlay in a namespace of its own: {why}"));
        None
    }

    /// What is written in it, and what it was made of.
    pub(crate) fn upper(&self) -> PathBuf {
        self.dir.path().join("upper")
    }

    /// What is written below the second overlay of [`Jail::install`].
    pub(crate) fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    /// Runs a script in it.
    pub(crate) fn run(&self, script: &str, network: Network) -> Output {
        self.enter(script, network, "")
    }

    /// Runs a script in it that installs a system below `/target`.
    pub(crate) fn install(&self, script: &str) -> Output {
        self.enter(script, Network::Ours, "/target")
    }

    fn enter(&self, script: &str, network: Network, target: &str) -> Output {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if network == Network::None {
            command.arg("--net");
        }
        command
            .args(["--", "/bin/sh", "-c", ENTER, script])
            .env_clear()
            .env("JAIL", self.dir.path())
            .env("TARGET", target)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            // No systemd runs in it: units are enabled, and not started.
            .env("SYSTEMD_OFFLINE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// It went well.
#[track_caller]
pub(crate) fn went_well(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}
