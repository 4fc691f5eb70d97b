//! Which configuration a machine is looked at for when none is named.

use std::{fs, path::Path};

use tuner::{
    Exit,
    commands::{self, Surroundings},
};

use crate::fixture::Fixture;

const DAEMONS: &str = "etc/barewire/barewire.toml";

const CONFIG: &str = r#"
[cores]
housekeeping = "0"
workers = "2"
[[port]]
name = "north"
device = "vdev:net_null0"
input = "wire"
[[stage]]
name = "wire"
kind = "cross"
to = "tx:north"
"#;

/// A machine on which the daemon has this configuration.
fn with(config: &str) -> Fixture {
    let machine = Fixture::new("intel-stock");
    let file = machine.root().join(DAEMONS);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, config).unwrap();
    machine
}

/// The exit code, what was answered, and what was said.
fn run(place: &[&str], words: &[&str]) -> (Exit, String, String) {
    let all = [&["barewire-tune"], place, words].concat();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = commands::run(all, &Surroundings::default(), &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The workers, and the configuration that the report names.
#[track_caller]
fn about(place: &[&str], more: &[&str]) -> (String, serde_json::Value) {
    let (_, out, err) = run(place, &[&["analyze", "--json"], more].concat());
    let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
    let machine = &report["machine"];
    (machine["workers"].as_str().unwrap().to_owned(), machine["configuration"].clone())
}

fn root(machine: &Fixture) -> [&str; 2] {
    ["--root", machine.root().to_str().unwrap()]
}

#[test]
fn the_daemons_configuration_is_taken_and_named_unless_another_one_is() {
    let machine = with(CONFIG);
    let place = root(&machine);
    let file = machine.root().join(DAEMONS);
    let other = machine.beside("other.toml");
    fs::write(&other, CONFIG.replace("workers = \"2\"", "workers = \"3\"")).unwrap();
    let other = other.to_str().unwrap();
    let name = |path: &Path| serde_json::Value::from(path.to_str().unwrap());

    assert_eq!(about(&place, &[]), ("2".to_owned(), name(&file)));
    assert_eq!(about(&place, &["--config", other]), ("3".to_owned(), name(Path::new(other))));
    let (workers, configuration) = about(&place, &["--without-config"]);
    assert_eq!(configuration, serde_json::Value::Null);
    assert_ne!(workers, "2");

    let (_, out, _) = run(&place, &["analyze"]);
    assert!(out.starts_with(&format!("for the configuration {}:", file.display())), "{out}");
    let (exit, _, err) = run(&place, &["plan"]);
    assert_eq!((exit, err), (Exit::Success, format!("planned for {}\n", file.display())));
    let (_, _, err) = run(&place, &["plan", "--without-config"]);
    assert_eq!(err, "");
    assert_eq!(run(&place, &["plan", "--without-config", "--config", other]).0, Exit::Usage);
}

#[test]
fn a_wrong_configuration_of_the_daemons_is_an_error_with_its_line() {
    let machine = with("\n\n[cores]\nworkerz = \"2\"\n");
    let file = machine.root().join(DAEMONS);

    for words in [["analyze"], ["plan"], ["apply"], ["gate"]] {
        let (exit, _, err) = run(&root(&machine), &words);
        assert_eq!(exit, Exit::Usage, "{err}");
        assert!(err.contains(&format!("{}:4", file.display())), "{err}");
    }
    assert_eq!(run(&root(&machine), &["plan", "--without-config"]).0, Exit::Success);
    for words in [["verify"], ["history"]] {
        assert_eq!(run(&root(&machine), &words).0, Exit::Success);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (exit, _, err) = run(&root(&machine), &["plan"]);
    assert_eq!(exit, Exit::Usage, "{err}");
    assert!(err.contains("can not be read"), "{err}");
}

#[test]
fn a_copy_of_a_machine_is_looked_at_for_the_configuration_of_then() {
    let machine = with(CONFIG);
    let archive = machine.beside("copy.tar");
    let archive = archive.to_str().unwrap();
    assert_eq!(run(&root(&machine), &["facts", "--capture", archive]).0, Exit::Success);

    let (workers, configuration) = about(&["--snapshot", archive], &[]);

    assert_eq!(workers, "2");
    assert_eq!(configuration, format!("{archive}/{DAEMONS}"));
}
