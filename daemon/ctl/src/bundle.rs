//! `barewire debug-bundle`: everything that a bug report needs, in one archive.
//!
//! ```text
//!  the daemon's answers ─┐
//!  its configuration ────┤
//!  its journal ──────────┼─► barewire-debug-<time>/…  in a tar of mode 0600
//!  the machine's files ──┘        └ contents.txt: what is there, and what is not, and why
//! ```
//! What can not be had is said and left out: a daemon that does not run is when a bundle is needed most. There is no
//! packet in it and no memory; what names a network is listed in [`ABOUT`].

mod unit;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use self::unit::Unit;
use crate::client::Client;

/// What the daemon is asked, and the file that its answer goes to.
const ANSWERS: &[&str] =
    &["status", "plan", "counters", "latency", "stalls", "stages", "ports", "drops", "log-level"];

/// Files of the machine: what its kernel was told, and what it does with its CPUs and memory.
const MACHINE: &[&str] = &[
    "/etc/os-release",
    "/proc/cmdline",
    "/proc/cpuinfo",
    "/proc/interrupts",
    "/proc/meminfo",
    "/proc/version",
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/node/online",
];

/// The most of one file.
const LARGEST: u64 = 4 << 20;
/// Seconds for the journal, whatever it holds.
const JOURNAL_SECONDS: &str = "30";

/// Begins the table of contents.
const ABOUT: &str = "\
Made by `barewire debug-bundle`. No packet and no memory is in here, and Barewire keeps no password or key.
What names your network: the configuration and answers have MAC, IP and PCI addresses; the journal has what units
wrote; the kernel's command line is as it is. Look through it before you give it away.
";

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("it can not be created")]
    Create(#[source] io::Error),
    #[error("it can not be written")]
    Write(#[source] io::Error),
}

/// What is in an archive, or why something is not.
pub(crate) struct Bundle {
    folder: String,
    archive: tar::Builder<File>,
    contents: String,
    time: u64,
}

/// Where it goes unless told otherwise.
pub(crate) fn usual_path(now: SystemTime) -> PathBuf {
    format!("barewire-debug-{}.tar", seconds(now)).into()
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Makes one, and gives back its table of contents.
///
/// # Errors
/// When the archive can not be written; nothing else is one.
pub(crate) async fn make(
    client: &Client,
    path: &Path,
    now: SystemTime,
    lines: u32,
) -> Result<String, BundleError> {
    let mut bundle = Bundle::create(path, now)?;
    let unit = Unit::of(&client.socket);
    let (mut config, mut said_by) =
        (unit.config(), "as its unit has it, for the daemon did not say");
    for name in ANSWERS {
        match client.get::<Value>(&format!("/v1/{name}")).await {
            Ok(answer) => {
                if let Some(file) = answer.value.get("config").and_then(Value::as_str) {
                    (config, said_by) = (file.into(), "the daemon says");
                }
                bundle.add(&format!("{name}.json"), answer.text.as_bytes())?;
            }
            Err(error) => bundle.lacks(&format!("{name}.json"), &error.to_string()),
        }
    }
    bundle.contents += &format!("config.toml is {}: {said_by}\n", config.display());
    bundle.add_file("config.toml", &config)?;
    bundle.add_output("journal.txt", &mut journal(&unit, lines))?;
    bundle.add_output(
        "units.txt",
        Command::new("systemctl").args([
            "--no-pager",
            "--full",
            "--lines=0",
            "status",
            "barewired*",
            "barewire-*",
        ]),
    )?;
    bundle.add_output("barewired-version.txt", Command::new("barewired").arg("--version"))?;
    for file in MACHINE {
        bundle.add_file(&format!("machine{file}"), Path::new(file))?;
    }
    bundle.finish()
}

/// What the unit wrote, and those around it.
fn journal(unit: &Unit, lines: u32) -> Command {
    let mut command = Command::new("timeout");
    command.arg(JOURNAL_SECONDS).arg("journalctl");
    command.args(unit.names().iter().map(|name| format!("--unit={name}")));
    command.args(["--unit=barewire-*.service", "--output=short-iso-precise"]);
    command.args(["--no-pager", "--quiet"]).arg(format!("--lines={lines}"));
    command
}

impl Bundle {
    fn create(path: &Path, now: SystemTime) -> Result<Self, BundleError> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let time = seconds(now);
        let version = env!("CARGO_PKG_VERSION");
        Ok(Self {
            folder: format!("barewire-debug-{time}"),
            archive: tar::Builder::new(file.map_err(BundleError::Create)?),
            contents: format!("{ABOUT}barewire {version}, {time} seconds after 1970\n\n"),
            time,
        })
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<(), BundleError> {
        self.contents += &format!("{name}: {} bytes\n", content.len());
        self.append(name, content)
    }

    fn append(&mut self, name: &str, content: &[u8]) -> Result<(), BundleError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        let path = format!("{}/{name}", self.folder);
        self.archive.append_data(&mut header, path, content).map_err(BundleError::Write)
    }

    /// What is not there, and why.
    fn lacks(&mut self, name: &str, why: &str) {
        self.contents += &format!("{name}: MISSING: {why}\n");
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), BundleError> {
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut content));
        match read {
            Ok(_) => self.add(name, &content),
            Err(error) => {
                self.lacks(name, &format!("{}: {error}", path.display()));
                Ok(())
            }
        }
    }

    /// What a program says, on either stream; how it ended is no matter.
    fn add_output(&mut self, name: &str, command: &mut Command) -> Result<(), BundleError> {
        match command.stdin(Stdio::null()).output() {
            Ok(mut output) => {
                output.stdout.append(&mut output.stderr);
                let end = output.stdout.len().min(usize::try_from(LARGEST).unwrap_or(usize::MAX));
                self.add(name, &output.stdout[..end])
            }
            Err(error) => {
                let program = command.get_program().to_string_lossy().into_owned();
                self.lacks(name, &format!("{program}: {error}"));
                Ok(())
            }
        }
    }

    fn finish(mut self) -> Result<String, BundleError> {
        let contents = std::mem::take(&mut self.contents);
        self.append("contents.txt", contents.as_bytes())?;
        let mut file = self.archive.into_inner().map_err(BundleError::Write)?;
        file.flush().and_then(|()| file.sync_all()).map_err(BundleError::Write)?;
        Ok(contents)
    }
}
