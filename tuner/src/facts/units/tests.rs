use std::{fs, os::unix::fs::symlink, path::Path};

use proptest::prelude::*;

use super::*;

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(dir: &Path, path: &str, target: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

fn read(dir: &Path) -> Units {
    Units::read(&Source::at(dir).unwrap())
}

#[test]
fn a_unit_that_is_linked_into_a_target_starts_at_boot() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "usr/lib/systemd/system/tuned.service", "[Service]\n");
    write(dir.path(), "usr/lib/systemd/system/thermald.service", "[Service]\n");
    link(
        dir.path(),
        "etc/systemd/system/multi-user.target.wants/tuned.service",
        "/usr/lib/systemd/system/tuned.service",
    );
    link(
        dir.path(),
        "etc/systemd/system/timers.target.wants/fstrim.timer",
        "/usr/lib/systemd/system/fstrim.timer",
    );

    let units = read(dir.path());

    let of = |name: &str| {
        let unit = units.unit(name).unwrap();
        (unit.is_installed, unit.is_enabled.clone())
    };
    assert_eq!(of("tuned.service"), (true, Fact::Is(true)));
    assert_eq!(of("thermald.service"), (true, Fact::Is(false)));
    assert_eq!(of("tlp.service"), (false, Fact::Is(false)));
    assert_eq!(units.timers, Fact::Is(vec!["fstrim.timer".to_owned()]));
}

#[test]
fn a_masked_unit_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    link(dir.path(), "etc/systemd/system/irqbalance.service", "/dev/null");
    link(dir.path(), "etc/systemd/system/multi-user.target.wants/irqbalance.service", "x");
    write(dir.path(), "usr/lib/systemd/system/irqbalance.service", "[Service]\n");

    let unit = read(dir.path()).units["irqbalance.service"].clone();

    assert_eq!((unit.is_installed, unit.is_enabled), (false, Fact::Is(false)));
}

#[test]
fn a_service_runs_where_it_has_a_control_group() {
    let dir = tempfile::tempdir().unwrap();
    for unit in ["tuned", "thermald", "tlp"] {
        write(dir.path(), &format!("lib/systemd/system/{unit}.service"), "");
    }
    let of = |name: &str| read(dir.path()).units[name].is_active.clone();
    // systemd does not run.
    assert_eq!(of("tlp.service"), Fact::Is(false));

    write(dir.path(), "run/systemd/system/x", "");
    assert!(of("tuned.service").is_unknown());

    write(dir.path(), "sys/fs/cgroup/system.slice/tuned.service/cgroup.procs", "1");
    assert_eq!(of("tuned.service"), Fact::Is(true));
    assert_eq!(of("thermald.service"), Fact::Is(false));
    // It leaves no process behind.
    assert!(of("tlp.service").is_unknown());
    assert_eq!(of("cpupower.service"), Fact::Is(false));
}

#[test]
fn drop_ins_go_before_the_unit_and_among_them_the_last_name_wins() {
    let dir = tempfile::tempdir().unwrap();
    let of = || read(dir.path()).units["barewired.service"].memlock.clone();
    assert_eq!(of(), Fact::Absent);

    write(dir.path(), "usr/lib/systemd/system/barewired.service", "[Service]\nLimitMEMLOCK=64M\n");
    assert_eq!(of(), Fact::Is("64M".to_owned()));

    write(dir.path(), "usr/lib/systemd/system/barewired.service.d/50.conf", "LimitMEMLOCK=1G\n");
    write(dir.path(), "etc/systemd/system/barewired.service.d/10.conf", "LimitMEMLOCK=2G\n");
    assert_eq!(of(), Fact::Is("1G".to_owned()));

    // The administrator's file of the same name replaces the distribution's.
    write(dir.path(), "etc/systemd/system/barewired.service.d/50.conf", "LimitMEMLOCK=infinity\n");
    assert_eq!(of(), Fact::Is("infinity".to_owned()));
}

#[test]
fn what_systemd_says_goes_before_files() {
    let text = "Names=tuned.service dbus-tuned.service\nLoadState=loaded\nActiveState=active\n\
                UnitFileState=enabled\nLimitMEMLOCK=8388608\n\nNames=tlp.service\nLoadState=not-found\n\
                ActiveState=inactive\nUnitFileState=\n";
    let shown = parse(text);
    assert_eq!(shown.len(), 2);

    let dir = tempfile::tempdir().unwrap();
    let answer = serde_json::to_string(&Fact::Is(shown)).unwrap();
    write(dir.path(), &format!("{}/units/shown.json", crate::source::ASKED), &answer);
    write(dir.path(), "lib/systemd/system/tlp.service", "");
    let units = read(dir.path());

    let tuned = &units.units["tuned.service"];
    assert!(tuned.is_installed && units.runs("tuned.service"));
    assert_eq!(tuned.memlock, Fact::Is("8388608".to_owned()));
    assert!(!units.units["tlp.service"].is_installed);
}

proptest! {
    #[test]
    fn any_answer_of_systemd_is_taken_without_a_panic(text in "(.|\n){0,300}") {
        prop_assert!(parse(&text).len() <= WATCHED.len());
    }
}
