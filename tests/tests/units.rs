//! The units that packages install: systemd understands every line, and lets the daemon do little besides its work.

#![expect(clippy::unwrap_used, reason = "what these helpers do is part of the tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use scenarios::{Setup, Site, programs, skip};

/// The exposure that `systemd-analyze security` may find of each unit, in tenths: what it has. The daemon's must stay at
/// 20 or below, whatever happens.
const EXPOSURES: [(&str, u32); 6] = [
    ("barewired.service", 6),
    ("barewired@one.service", 6),
    ("barewire-tune-watch.service", 34),
    ("barewire-bind@one.service", 42),
    ("barewire-tune-apply.service", 45),
    ("barewire-tune-verify.service", 51),
];

fn folder() -> PathBuf {
    programs::top().join("systemd")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A root directory with systemd's own units, ours, and programs that do nothing.
struct Staged(Site);

impl Staged {
    /// `None`, and the running test is skipped, where systemd is not installed.
    fn new() -> Option<Self> {
        let own = Path::new("/usr/lib/systemd/system");
        if skip::without_program("systemd-analyze") || skip::without_folder(own) {
            return None;
        }
        let staged = Self(Site::new());
        let units = staged.units();
        for folder in [units.as_path(), &staged.0.path("usr/bin")] {
            fs::create_dir_all(folder).unwrap();
        }
        for from in [own, &folder()] {
            for file in fs::read_dir(from).unwrap() {
                let file = file.unwrap().path();
                if file.is_file() {
                    fs::copy(&file, units.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
        for program in ["barewire", "barewired", "barewire-tune", "flock", "udevadm"] {
            // A program is a file that may be executed; what is in it does not matter here.
            fs::copy("/bin/true", staged.0.path("usr/bin").join(program)).unwrap();
        }
        Some(staged)
    }

    fn units(&self) -> PathBuf {
        self.0.path("usr/lib/systemd/system")
    }

    fn analyze(&self, arguments: &[&str]) -> Output {
        let root = format!("--root={}", self.0.dir().display());
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(root).output().unwrap()
    }

    /// systemd has nothing to say about it.
    fn verify(&self, unit: &str) {
        let said = self.analyze(&["verify", "--man=no", unit]);
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && text.is_empty(), "{unit}: {}\n{text}", said.status);
    }
}

/// The version that is installed.
fn systemd() -> u32 {
    let said = Command::new("systemd-analyze").arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a version")
}

#[test]
fn systemd_understands_every_line_of_every_unit() {
    let Some(staged) = Staged::new() else { return };
    let mut seen = 0;
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".service") || name.ends_with(".timer") {
            staged.verify(&name.replace("@.", "@one."));
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn systemd_understands_every_drop_in_that_is_not_for_a_later_one() {
    let Some(staged) = Staged::new() else { return };
    for file in fs::read_dir(folder().join("drop-ins")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let needs = match name.as_str() {
            "notify-reload.conf" => 253,
            "restart-steps.conf" => 254,
            _ => 252,
        };
        if systemd() < needs {
            skip::skip(&format!("{name} is for systemd {needs}"));
            continue;
        }
        let unit = match name.as_str() {
            "reassert.conf" => "barewire-tune-watch.service",
            _ => "barewired.service",
        };
        let place = staged.units().join(format!("{unit}.d"));
        fs::create_dir(&place).unwrap();
        fs::copy(file.path(), place.join(&name)).unwrap();
        staged.verify(unit);
        fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn a_line_that_systemd_does_not_understand_would_be_found() {
    let Some(staged) = Staged::new() else { return };
    let unit = staged.units().join("barewired.service");
    let text = read(&unit).replace("LockPersonality=", "LockPersonalty=");
    fs::write(&unit, text).unwrap();
    let said = staged.analyze(&["verify", "--man=no", "barewired.service"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("LockPersonalty"), "{said:?}");
}

#[test]
fn no_unit_is_exposed_more_than_it_must_be() {
    let Some(staged) = Staged::new() else { return };
    for (unit, tenths) in EXPOSURES {
        assert!(tenths <= 20 || !unit.starts_with("barewired"), "{unit}");
        let threshold = format!("--threshold={tenths}");
        let said = staged.analyze(&["security", "--offline=yes", "--no-pager", &threshold, unit]);
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(said.status.success(), "{text}");
        eprintln!("{}", text.lines().last().unwrap_or_default());
    }
}

#[test]
fn each_point_that_is_left_open_is_explained() {
    let Some(staged) = Staged::new() else { return };
    let runbook = read(folder().join("README.md"));
    let (of_daemon, of_tuner) = runbook.split_once("**The tuner's units.**").expect("a heading");
    for (unit, tenths) in EXPOSURES {
        let table = if unit.starts_with("barewired") { of_daemon } else { of_tuner };
        let said = staged.analyze(&["security", "--offline=yes", "--no-pager", unit]);
        let text = String::from_utf8_lossy(&said.stdout);
        // A version of systemd that looks at more is a reason to explain more.
        let open: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix('\u{2717}'))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(open.len() >= 5, "{text}");
        let unexplained: Vec<_> = open
            .iter()
            .filter(|point| !table.contains(&format!("`{}`", point.replace("|", "\\|"))))
            .collect();
        assert!(unexplained.is_empty(), "{unit}: {unexplained:#?}");
        let exposure = format!("{}.{}", tenths / 10, tenths % 10);
        assert!(table.contains(&exposure), "the runbook does not say {exposure} of {unit}");
    }
}

#[test]
fn an_instance_is_the_daemon_in_a_place_of_its_own() {
    let settings = |name: &str| -> Vec<String> {
        let text = read(folder().join(name));
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (one, many) = (settings("barewired.service"), settings("barewired@.service"));
    assert_eq!(one.len(), many.len());
    let differ: Vec<_> = one.iter().zip(&many).filter(|(one, many)| one != many).collect();
    let keys: Vec<_> = differ.iter().map(|(one, _)| one.split('=').next().unwrap()).collect();
    let expected = [
        "Description",
        "ExecStart",
        "ExecReload",
        "WorkingDirectory",
        "StateDirectory",
        "RuntimeDirectory",
    ];
    assert_eq!(keys, expected);
    assert!(differ.iter().all(|(_, many)| many.contains("%i")), "{differ:#?}");
}

#[test]
fn the_limit_for_stopping_is_longer_than_the_daemon_s_own() {
    let text = read(folder().join("barewired.service"));
    let value = |key: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        line.parse().expect(key)
    };
    let config = config::load(&programs::top().join("config/examples/default.toml")).unwrap();
    let own = config.control.stop_timeout.as_secs();
    assert!(value("TimeoutStopSec=") > 2 * own);
    // Half of it passes before a stuck worker is named, a quarter between two looks.
    assert!(value("WatchdogSec=") >= 4);
}

#[test]
fn the_packaged_configuration_runs_without_root_and_without_a_capability() {
    if skip::without_root() || skip::without_program("setpriv") {
        return;
    }
    let site = Site::new();
    let config = read(programs::top().join("config/examples/default.toml"));
    let config = config.replace("/run/barewire/control.sock", "{dir}/control.sock");
    assert!(config.contains("{dir}"), "{config}");
    let daemon = Setup::new(&site, &config).as_nobody().start();
    let status = read(format!("/proc/{}/status", daemon.pid().as_raw_nonzero()));
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim();
    assert_eq!(line("CapEff:"), "0000000000000000");
    assert_eq!(line("CapBnd:"), "0000000000000000");
    assert_ne!(line("Uid:").split_whitespace().next(), Some("0"));
    assert_eq!(daemon.stop().status.code(), Some(0));
}
