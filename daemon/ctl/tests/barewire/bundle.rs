//! `barewire debug-bundle`: all that can be had, and a word on what can not.

use std::{collections::BTreeMap, fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path};

use crate::support::{Daemon, Reply, barewire, fixture, text};

fn unpacked(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(File::open(path).expect("the archive is there"));
    let entries = archive.entries().expect("it is an archive").map(|entry| {
        let mut entry = entry.expect("it is whole");
        let name = entry.path().expect("a name").display().to_string();
        let (folder, name) = name.split_once('/').expect("a folder");
        assert!(folder.starts_with("barewire-debug-"), "{folder}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("it is whole");
        (name.to_owned(), String::from_utf8_lossy(&content).into_owned())
    });
    entries.collect()
}

#[test]
fn a_bundle_has_the_daemon_s_answers_its_configuration_and_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("bundle.tar"), folder.path().join("mine.toml"));
    std::fs::write(&config, "# mine\n").unwrap();
    let mut status: serde_json::Value = serde_json::from_str(&fixture("status.json")).unwrap();
    status["config"] = config.to_str().unwrap().into();
    let answers = [("/v1/status", status.to_string()), ("/v1/plan", fixture("plan.json"))];
    let script = answers.iter().map(|(path, json)| (*path, vec![Reply::Json(200, json.clone())]));
    let daemon = Daemon::new(script.collect::<Vec<_>>());

    let said = daemon.stdout(&["debug-bundle", path.to_str().unwrap()]);

    let files = unpacked(&path);
    assert_eq!(files["status.json"], answers[0].1);
    assert_eq!(files["plan.json"], answers[1].1);
    assert_eq!(files["config.toml"], "# mine\n");
    let whose = format!("\nconfig.toml is {}: the daemon says\n", config.display());
    assert!(files["contents.txt"].contains(&whose), "{files:#?}");
    assert!(files["machine/proc/version"].starts_with("Linux"), "{files:#?}");
    assert!(files["contents.txt"].contains("\ncounters.json: MISSING: "), "{files:#?}");
    assert!(said.starts_with(&files["contents.txt"]), "{said}");
    assert!(said.ends_with(&format!("{}\n", path.display())), "{said}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_bundle_is_made_without_a_daemon_and_never_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar");
    let run = || {
        let mut command = barewire();
        command.args(["--socket", "/nonexistent/c.sock", "debug-bundle"]).arg(&path);
        command.output().unwrap()
    };

    let made = run();
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let files = unpacked(&path);
    let why = "status.json: MISSING: there is no control socket at /nonexistent/c.sock";
    assert!(files["contents.txt"].contains(why), "{files:#?}");

    let again = run();
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(text(&again.stderr).contains("it can not be created"), "{again:?}");
    assert_eq!(unpacked(&path), files);
}

#[test]
fn a_bundle_of_an_instance_that_does_not_run_has_that_instance_s_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.tar");
    let mut command = barewire();
    command.args(["--socket", "/run/barewire-no-such/control.sock", "debug-bundle"]).arg(&path);
    let made = command.output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let contents = &unpacked(&path)["contents.txt"];
    let missing = "\nconfig.toml: MISSING: /etc/barewire/no-such.toml: ";
    assert!(contents.contains(missing), "{contents}");
    let whose = "\nconfig.toml is /etc/barewire/no-such.toml: as its unit has it";
    assert!(contents.contains(whose), "{contents}");
}
