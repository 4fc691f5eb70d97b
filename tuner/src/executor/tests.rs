use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use config::CpuSet;
use proptest::prelude::*;
use rustix::io::Errno;
use tempfile::TempDir;

use super::{
    ApplyError, Event, Overwrite, Standing, apply, apply_each, boot_id, compile, undo, verify,
};
use crate::{
    Fact, Risk, Source,
    boot::MenuTool,
    change::{Change, EthtoolSetting, Form, PARTITION, UnitState},
    hands::{
        EthtoolGroup, Hands,
        fake::{Died, Fake, Manner, Moment},
    },
    journal::{self, Entry, Journal, Kind, Progress, State},
    plan::{Blast, Scope, Step},
};

mod many;

const STATE: &str = "var/lib/barewire/tune";
const THP: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const IRQ: &str = "proc/irq/30/smp_affinity_list";
const PAGES: &str = "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages";

fn put(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    std::fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::fs::write(at, text).unwrap();
}

/// A machine with one of everything that can be turned.
fn machine() -> (TempDir, Fake) {
    // Thousands of deaths in memory take less time than tens on a disk.
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let root = dir.path();
    for (path, text) in [
        ("proc/sys/kernel/random/boot_id", "one\n"),
        ("proc/sys/kernel/osrelease", "6.18.0\n"),
        ("proc/sys/vm/swappiness", "60\n"),
        (THP, "always [madvise] never\n"),
        ("sys/devices/virtual/workqueue/cpumask", "ff\n"),
        (IRQ, "0-7\n"),
        (PAGES, "0\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory\n"),
        ("sys/fs/cgroup/cgroup.subtree_control", "cpu memory\n"),
        ("etc/default/irqbalance", "# mine\nIRQBALANCE_BANNED_CPULIST=\"1\"\nOPTIONS=x"),
        ("proc/77/comm", "rcuog/3\n"),
        ("proc/77/stat", "77 (rcuog/3) S 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 19 0 0\n"),
        ("proc/77/status", "Name:\trcuog/3\nCpus_allowed_list:\t0-7\nMems_allowed_list:\t0\n"),
        ("sys/bus/pci/devices/0000:3b:00.0/driver_override", "(null)\n"),
        ("sys/bus/pci/drivers/ice/unbind", ""),
        ("sys/bus/pci/drivers/vfio-pci/unbind", ""),
        ("sys/bus/pci/drivers_probe", ""),
    ] {
        put(root, path, text);
    }
    std::os::unix::fs::symlink(
        "../../drivers/ice",
        root.join("sys/bus/pci/devices/0000:3b:00.0/driver"),
    )
    .unwrap();
    std::fs::create_dir_all(root.join(STATE)).unwrap();
    std::fs::set_permissions(root.join(STATE), PermissionsExt::from_mode(0o700)).unwrap();
    let fake = Fake::at(root).unwrap();
    fake.unit("irqbalance.service", "enabled", "active");
    fake.interface(
        "eth0",
        EthtoolGroup::Coalesce,
        &[("adaptive-rx", 1), ("adaptive-tx", 0), ("rx-usecs", 50), ("tx-usecs", 50)],
    );
    fake.interface("eth0", EthtoolGroup::Features, &[("rx-lro", 1), ("rx-gro", 1)]);
    (dir, fake)
}

fn step(change: Change) -> Step {
    Step {
        checks: vec!["TEST-01".to_owned()],
        change,
        from: Fact::unknown("not looked at"),
        to: String::new(),
        scope: Scope::Both,
        risk: Risk::None,
        blast: Blast::Nothing,
        why: String::new(),
        sources: Vec::new(),
    }
}

fn kernel(path: &str, value: &str, form: Form) -> Step {
    step(Change::Kernel { path: path.to_owned(), value: value.to_owned(), form })
}

fn cpus(text: &str) -> CpuSet {
    text.parse().unwrap()
}

/// One step of every kind, in the order of a plan.
fn everything() -> Vec<Step> {
    let setting = |key: &str, value: &str| {
        step(Change::Setting {
            path: "etc/default/irqbalance".to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        })
    };
    let file = |path: &str, content: &str| {
        step(Change::File { path: path.to_owned(), content: content.to_owned() })
    };
    vec![
        kernel("proc/sys/vm/swappiness", "10", Form::Number),
        file("etc/sysctl.d/90-barewire.conf", "vm.swappiness = 10\n"),
        kernel(THP, "never", Form::Choice),
        kernel("sys/devices/virtual/workqueue/cpumask", "3", Form::CpuMask),
        kernel(IRQ, "0-1", Form::CpuList),
        setting("IRQBALANCE_BANNED_CPULIST", "2-7"),
        setting("IRQBALANCE_ARGS", "--banirq=30"),
        step(Change::Setting {
            path: "etc/default/new/thing".to_owned(),
            key: "KEY".to_owned(),
            value: "two words".to_owned(),
        }),
        step(Change::Unit { unit: "irqbalance.service".to_owned(), state: UnitState::Restarted }),
        step(Change::Affinity { thread: 77, name: "rcuog/3".to_owned(), cpus: cpus("0-1") }),
        step(Change::Hugepages { node: "0".parse().ok(), size_kib: 2048, count: 512 }),
        step(Change::Partition { cpus: cpus("2-7") }),
        step(Change::Driver {
            device: "0000:3b:00.0".parse().unwrap(),
            driver: "vfio-pci".to_owned(),
        }),
        file("etc/default/grub.d/zz-90-barewire.cfg", "# words\n"),
        step(Change::BootMenu { tool: MenuTool::UpdateGrub }),
        step(Change::Ethtool {
            interface: "eth0".to_owned(),
            setting: EthtoolSetting::Coalesce {
                adaptive: Some(false),
                rx_usecs: Some(1),
                tx_usecs: None,
            },
        }),
        step(Change::Ethtool {
            interface: "eth0".to_owned(),
            setting: EthtoolSetting::Features(BTreeMap::from([("lro".to_owned(), false)])),
        }),
        step(Change::Unit { unit: "irqbalance.service".to_owned(), state: UnitState::Disabled }),
    ]
}

fn entry(hands: &dyn Hands, number: u32, steps: &[Step]) -> Entry {
    Entry {
        version: journal::VERSION,
        number,
        kind: Kind::Apply,
        state: State::Applying,
        began: 1_800_000_000,
        boot: boot_id(hands),
        effects: compile(hands, steps).unwrap(),
        steps: steps.to_vec(),
        confirmation: None,
        trial: None,
    }
}

fn open(hands: &dyn Hands) -> Journal {
    Journal::open(hands, STATE, Duration::ZERO).unwrap()
}

/// The next entry, applied.
fn run(hands: &dyn Hands, steps: &[Step]) -> Result<Entry, ApplyError> {
    let journal = open(hands);
    let number = journal.numbers(hands).unwrap().last().map_or(1, |last| last + 1);
    let mut entry = entry(hands, number, steps);
    apply(hands, &journal, &mut entry, &mut |_| ())?;
    Ok(entry)
}

/// Every active entry undone, last first.
fn back(hands: &dyn Hands, overwrite: Overwrite) -> Vec<String> {
    let journal = open(hands);
    let mut kept = Vec::new();
    for mut entry in journal.entries(hands).unwrap().into_iter().rev() {
        if entry.is_active() {
            let undone = undo(hands, &journal, &mut entry, overwrite, &mut |_| ()).unwrap();
            kept.extend(undone.left());
        }
    }
    kept
}

/// Every file, directory and link but the journal's, with permissions; and what is no file.
fn all(fake: &Fake) -> BTreeMap<String, String> {
    fn walk(dir: &Path, below: &str, into: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}/{}", entry.file_name().to_str().unwrap());
            if name.trim_start_matches('/') == STATE {
                continue;
            }
            let meta = entry.path().symlink_metadata().unwrap();
            let mode = meta.permissions().mode();
            if meta.is_dir() {
                into.insert(name.clone(), format!("{mode:o}"));
                walk(&entry.path(), &name, into);
            } else if meta.is_symlink() {
                into.insert(name, format!("{:?}", std::fs::read_link(entry.path()).unwrap()));
            } else {
                let text = std::fs::read(entry.path()).unwrap();
                into.insert(name, format!("{mode:o} {}", text.escape_ascii()));
            }
        }
    }
    let mut found = BTreeMap::from([("memory".to_owned(), fake.memory())]);
    walk(fake.root(), "", &mut found);
    found
}

fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {:?} became {:?}", before.get(name), after.get(name)))
        .collect()
}

fn text(fake: &Fake, path: &str) -> String {
    std::fs::read_to_string(fake.root().join(path)).unwrap()
}

/// The machine lives, dies at that deed, or never comes to it.
fn until_death<T>(
    fake: &Fake,
    deed: usize,
    moment: Moment,
    work: impl FnOnce() -> T,
) -> Result<T, Died> {
    fake.die_at(Some((deed, moment)));
    let result = catch_unwind(AssertUnwindSafe(work));
    fake.die_at(None);
    result.map_err(|cause| *cause.downcast::<Died>().expect("only the machine dies here"))
}

#[test]
fn every_kind_of_step_takes_and_leads_back_byte_for_byte() {
    let (_dir, fake) = machine();
    let before = all(&fake);

    let entry = run(&fake, &everything()).unwrap();

    assert_eq!(entry.state, State::Applied);
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "10\n");
    assert_eq!(text(&fake, THP), "always madvise [never]\n");
    assert_eq!(text(&fake, PAGES), "512\n");
    // The administrator's CPU stays banned, and so does every other line.
    assert_eq!(
        text(&fake, "etc/default/irqbalance"),
        "# mine\nIRQBALANCE_BANNED_CPULIST=1-7\nOPTIONS=x\nIRQBALANCE_ARGS=--banirq=30\n"
    );
    assert_eq!(text(&fake, "etc/default/new/thing"), "KEY=\"two words\"\n");
    assert_eq!(text(&fake, &format!("{PARTITION}/cpuset.cpus.partition")), "isolated\n");
    assert_eq!(text(&fake, &format!("{PARTITION}/cpuset.cpus")), "2-7\n");
    assert_eq!(text(&fake, "sys/fs/cgroup/cgroup.subtree_control"), "cpu memory cpuset\n");
    assert!(text(&fake, "proc/77/status").contains("Cpus_allowed_list:\t0-1\n"));
    assert_eq!(
        fake.link_name("sys/bus/pci/devices/0000:3b:00.0/driver").unwrap().as_deref(),
        Some("vfio-pci")
    );
    assert!(fake.memory().contains(r#"("disabled", "inactive")"#), "{}", fake.memory());
    assert!(fake.memory().contains(r#""adaptive-rx": 0"#), "{}", fake.memory());
    let deeds = fake.deeds();
    assert!(deeds.contains(&"run update-grub".to_owned()), "{deeds:#?}");
    assert!(deeds.contains(&"run systemctl try-restart -- irqbalance.service".to_owned()));

    let kept = back(&fake, Overwrite::Nothing);

    assert_eq!(kept, Vec::<String>::new());
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
    // The menu is made anew when its files are as they were, and not before.
    let deeds = fake.deeds();
    let at = |deed: &str| deeds.iter().position(|done| done == deed).unwrap();
    assert!(at("run update-grub") > at("remove etc/default/grub.d/zz-90-barewire.cfg"));
}

#[test]
fn applying_twice_writes_nothing() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    fake.deeds();
    let after = all(&fake);

    let effects = compile(&fake, &everything()).unwrap();

    assert_eq!(effects, []);
    assert_eq!(fake.deeds(), Vec::<String>::new());
    assert_eq!(difference(&after, &all(&fake)), Vec::<String>::new());
}

#[test]
fn killed_before_within_and_after_every_deed_of_apply_it_rolls_back_byte_for_byte() {
    let mut deaths = 0;
    for moment in [Moment::Before, Moment::Within, Moment::After] {
        for deed in 0.. {
            let (_dir, fake) = machine();
            let before = all(&fake);

            let lived = until_death(&fake, deed, moment, || run(&fake, &everything()));
            let kept = back(&fake, Overwrite::Nothing);

            let all_after = all(&fake);
            let changed = difference(&before, &all_after);
            assert_eq!((kept, changed), (Vec::new(), Vec::new()), "{moment:?} deed {deed}");
            if lived.is_ok() {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 150, "only {deaths} deaths");
}

#[test]
fn killed_before_within_and_after_every_deed_of_rollback_a_second_one_completes_it() {
    let mut deaths = 0;
    for moment in [Moment::Before, Moment::Within, Moment::After] {
        for deed in 0.. {
            let (_dir, fake) = machine();
            let before = all(&fake);
            run(&fake, &everything()).unwrap();

            let lived = until_death(&fake, deed, moment, || back(&fake, Overwrite::Nothing));
            let kept = back(&fake, Overwrite::Nothing);

            let all_after = all(&fake);
            let changed = difference(&before, &all_after);
            assert_eq!((kept, changed), (Vec::new(), Vec::new()), "{moment:?} deed {deed}");
            if lived.is_ok() {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 100, "only {deaths} deaths");
}

#[test]
fn a_refusal_anywhere_undoes_everything() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    let files: Vec<String> = fake
        .deeds()
        .iter()
        .filter(|deed| !deed.contains(STATE) && !deed.contains("proc/irq"))
        .filter_map(|deed| {
            let about = ["write ", "replace ", "make "].iter().find_map(|w| deed.strip_prefix(w));
            Some(about.or_else(|| deed.strip_prefix("run "))?.to_owned())
        })
        .collect();
    assert!(files.len() > 20, "{files:#?}");

    for path in files {
        for errno in [Errno::IO, Errno::BUSY, Errno::INVAL, Errno::ROFS] {
            let (_dir, fake) = machine();
            let before = all(&fake);
            fake.rule(&path, Manner::Refuse(errno));

            let result = run(&fake, &everything());

            let undone = matches!(result, Err(ApplyError::Undone(_)));
            // A command that fails on the way there also fails on the way back.
            let left = matches!(&result, Err(ApplyError::Left { left, .. })
                if left.iter().all(|what| what.contains(&path)));
            assert!(undone || left, "{path} {errno}: {result:?}");
            fake.forget_rules();
            back(&fake, Overwrite::Nothing);
            assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new(), "{path} {errno}");
        }
    }
}

#[test]
fn accepted_is_not_applied() {
    for (about, manner) in [
        (PAGES, Manner::Clamp(60)),
        (PAGES, Manner::Ignore),
        ("proc/sys/vm/swappiness", Manner::Ignore),
        (
            "sys/fs/cgroup/barewire.slice/cpuset.cpus.partition",
            Manner::Say("invalid (Cpu list in cpuset.cpus not exclusive)"),
        ),
    ] {
        let (_dir, fake) = machine();
        let before = all(&fake);
        fake.rule(about, manner);

        let error = run(&fake, &everything()).unwrap_err();

        let ApplyError::Undone(cause) = &error else { panic!("{about}: {error:?}") };
        assert!(cause.to_string().contains("and became"), "{cause}");
        fake.forget_rules();
        assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new(), "{about}");
    }
}

#[test]
fn what_the_kernel_places_itself_and_what_is_gone_is_left_out() {
    for (about, manner) in [
        (IRQ, Manner::Refuse(Errno::IO)),
        (IRQ, Manner::Vanish),
        ("proc/77", Manner::Refuse(Errno::SRCH)),
    ] {
        let (_dir, fake) = machine();
        let before = all(&fake);
        fake.rule(about, manner);

        let entry = run(&fake, &everything()).unwrap();

        let skipped =
            entry.effects.iter().filter(|e| matches!(e.progress, Progress::Skipped { .. })).count();
        assert_eq!(skipped, 1, "{about}");
        assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
        assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
    }
}

#[test]
fn what_the_kernel_would_not_move_is_remembered_for_this_kernel_and_handler() {
    for errno in [Errno::IO, Errno::PERM] {
        let (_dir, fake) = machine();
        put(fake.root(), "sys/kernel/irq/30/actions", "aerdrv\n");
        let known = |handlers: &str| {
            journal::immovable(&Source::at(fake.root()).unwrap(), &[(30, handlers), (31, "aerdrv")])
        };
        assert_eq!(known("aerdrv"), Fact::Absent);
        fake.rule(IRQ, Manner::Refuse(errno));

        run(&fake, &everything()).unwrap();

        assert_eq!(known("aerdrv"), Fact::Is([30].into()), "{errno}");
        assert_eq!(known("eth0"), Fact::Is([].into()));
        put(fake.root(), "proc/sys/kernel/osrelease", "6.18.1\n");
        assert_eq!(known("aerdrv"), Fact::Is([].into()));
    }
}

#[test]
fn an_interrupt_that_was_moved_or_is_gone_is_not_remembered_as_immovable() {
    for manner in [None, Some(Manner::Vanish)] {
        let (_dir, fake) = machine();
        if let Some(manner) = manner {
            fake.rule(IRQ, manner);
        }

        run(&fake, &everything()).unwrap();

        let source = Source::at(fake.root()).unwrap();
        assert_eq!(journal::immovable(&source, &[(30, "")]), Fact::Absent, "{manner:?}");
    }
}

#[test]
fn what_can_not_be_read_any_more_is_neither_undone_nor_left_but_not_known() {
    const SWAPPINESS: &str = "proc/sys/vm/swappiness";
    let (_dir, fake) = machine();
    let before = all(&fake);
    run(&fake, &everything()).unwrap();
    fake.rule(SWAPPINESS, Manner::Hide);
    let once = |overwrite| {
        let journal = open(&fake);
        let mut entry = journal.entry(&fake, 1).unwrap();
        undo(&fake, &journal, &mut entry, overwrite, &mut |_| ()).unwrap()
    };

    // It might be somebody else's by now.
    let undone = once(Overwrite::Nothing);
    assert_eq!(undone.kept, Vec::<String>::new());
    assert!(undone.unread[0].contains("it was left alone"), "{undone:#?}");
    assert_eq!(text(&fake, SWAPPINESS), "10\n");

    let undone = once(Overwrite::Values);
    assert_eq!(undone.kept, Vec::<String>::new());
    assert!(undone.unread[0].contains("was set back to \"60\", which can not be seen"));
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
    assert_eq!(open(&fake).entry(&fake, 1).unwrap().state, State::Incomplete);

    fake.forget_rules();
    assert!(once(Overwrite::Nothing).is_whole());
    assert_eq!(open(&fake).entry(&fake, 1).unwrap().state, State::Undone);
}

#[test]
fn what_can_not_be_read_before_it_is_written_was_not_written_and_need_not_be_undone() {
    for path in ["proc/sys/vm/swappiness", THP, PAGES] {
        let (_dir, fake) = machine();
        let before = all(&fake);
        let journal = open(&fake);
        let mut entry = entry(&fake, 1, &everything());
        fake.rule(path, Manner::Hide);

        let error = apply(&fake, &journal, &mut entry, &mut |_| ()).unwrap_err();

        assert!(matches!(error, ApplyError::Undone(_)), "{error:?}");
        assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn what_a_command_makes_that_never_ran_need_not_be_made_as_it_was() {
    let (_dir, fake) = machine();
    let before = all(&fake);
    fake.rule("update-grub", Manner::Vanish);

    let error = run(&fake, &everything()).unwrap_err();

    assert!(matches!(&error, ApplyError::Undone(_)), "{error:?}");
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());

    // One that ran and failed may have made half of it.
    fake.forget_rules();
    fake.rule("update-grub", Manner::Refuse(Errno::IO));
    let error = run(&fake, &everything()).unwrap_err();
    assert!(matches!(&error, ApplyError::Left { left, .. } if left.len() == 1), "{error:?}");
}

#[test]
fn step_for_step_what_fails_is_undone_with_its_step_and_the_others_are_done() {
    let (_dir, fake) = machine();
    let before = all(&fake);
    let partition = format!("{PARTITION}/cpuset.cpus.partition");
    fake.rule(&partition, Manner::Say("invalid (not exclusive)"));
    fake.rule(THP, Manner::Refuse(Errno::INVAL));
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &everything());
    entry.kind = Kind::Boot;
    let mut failed = Vec::new();

    let (applied, failures) = apply_each(&fake, &journal, &mut entry, &mut |event| {
        if let Event::Failed { what, .. } = event {
            failed.push(what);
        }
    })
    .unwrap();

    assert_eq!(failed, [format!("/{THP}"), format!("/{partition}")]);
    assert_eq!(failures.len(), 2, "{failures:#?}");
    assert!(applied.done > 10, "{applied:?}");
    assert_eq!(entry.state, State::Applied);
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "10\n");
    assert!(text(&fake, "proc/77/status").contains("Cpus_allowed_list:\t0-1\n"));
    // The partition is several deeds, and none of them is left.
    assert_eq!(text(&fake, THP), "always [madvise] never\n");
    assert!(!fake.root().join(PARTITION).exists());

    fake.forget_rules();
    drop(journal);
    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
}

#[test]
fn killed_at_any_deed_of_setting_again_step_for_step_it_rolls_back_byte_for_byte() {
    let mut deaths = 0;
    for moment in [Moment::Before, Moment::Within, Moment::After] {
        for deed in 0.. {
            let (_dir, fake) = machine();
            let before = all(&fake);
            let partition = format!("{PARTITION}/cpuset.cpus.partition");
            fake.rule(&partition, Manner::Say("invalid (not exclusive)"));
            let again = || {
                let journal = open(&fake);
                let mut entry = entry(&fake, 1, &everything());
                apply_each(&fake, &journal, &mut entry, &mut |_| ()).unwrap()
            };

            let lived = until_death(&fake, deed, moment, again);
            fake.forget_rules();
            let kept = back(&fake, Overwrite::Nothing);

            let changed = difference(&before, &all(&fake));
            assert_eq!((kept, changed), (Vec::new(), Vec::new()), "{moment:?} deed {deed}");
            if lived.is_ok() {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 150, "only {deaths} deaths");
}

#[test]
fn a_driver_that_rounds_is_told_and_its_old_value_comes_back() {
    let (_dir, fake) = machine();
    let before = all(&fake);
    let steps = [step(Change::Ethtool {
        interface: "eth0".to_owned(),
        setting: EthtoolSetting::Coalesce { adaptive: None, rx_usecs: Some(9), tx_usecs: None },
    })];
    fake.rule("eth0", Manner::Clamp(8));
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &steps);
    let mut events = Vec::new();

    apply(&fake, &journal, &mut entry, &mut |event| events.push(event)).unwrap();

    assert!(matches!(&events[..], [Event::Differs { asked, is, .. }]
        if asked == "rx-usecs 9" && is == "rx-usecs 8"));
    fake.forget_rules();
    drop(journal);
    back(&fake, Overwrite::Nothing);
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
}

#[test]
fn what_somebody_else_moved_before_its_turn_stops_everything() {
    let (_dir, fake) = machine();
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &everything());
    put(fake.root(), "sys/devices/virtual/workqueue/cpumask", "0f\n");
    let before = all(&fake);

    let error = apply(&fake, &journal, &mut entry, &mut |_| ()).unwrap_err();

    let ApplyError::Undone(cause) = error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("somebody else is tuning"), "{cause}");
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
}

#[test]
fn an_interrupt_that_irqbalance_moved_since_the_plan_is_moved_all_the_same_and_goes_back_to_where_it_was()
 {
    let (_dir, fake) = machine();
    let steps = everything();
    put(fake.root(), IRQ, "2\n");
    let before = all(&fake);
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &steps);

    apply(&fake, &journal, &mut entry, &mut |_| ()).unwrap();

    assert_ne!(text(&fake, IRQ), "2\n");
    drop(journal);
    back(&fake, Overwrite::Nothing);
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
}

#[test]
fn what_moved_since_the_plan_is_refused_before_anything_is_done() {
    let (_dir, fake) = machine();
    let mut steps = everything();
    steps[0].from = Fact::Is("30".to_owned());

    let error = compile(&fake, &steps).unwrap_err();

    assert!(error.to_string().contains("somebody else is tuning"), "{error}");
    steps[0].from = Fact::Is("60".to_owned());
    compile(&fake, &steps).unwrap();
}

#[test]
fn an_edited_file_of_ours_is_shown_and_kept() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    put(fake.root(), "etc/sysctl.d/90-barewire.conf", "vm.swappiness = 10\nvm.mine = 1\n");

    for overwrite in [Overwrite::Nothing, Overwrite::Values] {
        let kept = back(&fake, overwrite);

        assert_eq!(kept.len(), 2, "{kept:#?}");
        assert!(kept[0].contains("+vm.mine = 1"), "{kept:#?}");
        assert!(kept[1].contains("directory /etc/sysctl.d"), "{kept:#?}");
        assert!(text(&fake, "etc/sysctl.d/90-barewire.conf").contains("vm.mine"));
        assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "60\n");
    }
    assert_eq!(back(&fake, Overwrite::All), Vec::<String>::new());
    assert!(!fake.root().join("etc/sysctl.d").exists());
}

#[test]
fn a_line_that_the_administrator_adds_stays_and_one_they_change_is_not_taken() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    let ours = text(&fake, "etc/default/irqbalance");
    put(fake.root(), "etc/default/irqbalance", &format!("FIRST=1\n{ours}LAST=1\n"));

    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert_eq!(
        text(&fake, "etc/default/irqbalance"),
        "FIRST=1\n# mine\nIRQBALANCE_BANNED_CPULIST=\"1\"\nOPTIONS=x\nLAST=1\n"
    );

    run(&fake, &everything()).unwrap();
    let ours = text(&fake, "etc/default/irqbalance");
    put(fake.root(), "etc/default/irqbalance", &ours.replace("LIST=1-7", "LIST=5"));
    let kept = back(&fake, Overwrite::Nothing);
    assert!(matches!(&kept[..], [one] if one.contains("IRQBALANCE_BANNED_CPULIST")), "{kept:#?}");
    assert!(text(&fake, "etc/default/irqbalance").contains("LIST=5\n"));
}

#[test]
fn a_value_that_somebody_else_set_since_is_theirs_unless_forced() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    put(fake.root(), "proc/sys/vm/swappiness", "33\n");

    let kept = back(&fake, Overwrite::Nothing);

    assert!(matches!(&kept[..], [one] if one.contains("is \"33\" now")), "{kept:#?}");
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "33\n");
    assert_eq!(back(&fake, Overwrite::Values), Vec::<String>::new());
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "60\n");
}

#[test]
fn an_interrupt_that_irqbalance_moved_among_its_cpus_is_still_ours() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    let standing = |fake: &Fake| {
        let all = verify(fake, &open(fake).entries(fake).unwrap());
        all.into_iter().find(|one| one.what == format!("/{IRQ}")).unwrap().standing
    };

    put(fake.root(), IRQ, "1\n");
    assert_eq!(standing(&fake), Standing::Rounded { now: "1".to_owned() });
    put(fake.root(), IRQ, "1-2\n");
    assert_eq!(standing(&fake), Standing::Changed { now: "1-2".to_owned() });
    assert_eq!(back(&fake, Overwrite::Nothing).len(), 1);

    put(fake.root(), IRQ, "1\n");
    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert_eq!(text(&fake, IRQ), "0-7\n");
}

#[test]
fn after_a_reboot_only_what_lasts_is_undone() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    put(fake.root(), "proc/sys/kernel/random/boot_id", "two\n");
    put(fake.root(), "proc/sys/vm/swappiness", "47\n");
    // Another thread has the number now.
    put(fake.root(), "proc/77/comm", "bash\n");

    let kept = back(&fake, Overwrite::Nothing);

    assert_eq!(kept, Vec::<String>::new());
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "47\n");
    assert!(text(&fake, "proc/77/status").contains("0-1"));
    assert!(!fake.root().join("etc/sysctl.d").exists());
}

#[test]
fn another_thread_of_the_same_number_and_name_is_not_touched() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    let stat = text(&fake, "proc/77/stat").replace(" 19 0 0", " 23 0 0");
    put(fake.root(), "proc/77/stat", &stat);

    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert!(text(&fake, "proc/77/status").contains("0-1"));
}

#[test]
fn the_first_value_of_a_knob_stays_pristine_over_many_runs() {
    let (_dir, fake) = machine();
    for value in ["10", "20", "30"] {
        run(&fake, &[kernel("proc/sys/vm/swappiness", value, Form::Number)]).unwrap();
    }

    let pristine = open(&fake).pristine(&fake).unwrap();

    assert_eq!(pristine.knobs.len(), 1);
    assert_eq!(pristine.knobs[0].value.summary(), "60");
    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert_eq!(text(&fake, "proc/sys/vm/swappiness"), "60\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Some steps, some more, deaths anywhere on both ways: what comes back is what was.
    #[test]
    fn rollback_after_apply_is_identity(
        first in proptest::collection::vec(0_usize..18, 0..12),
        second in proptest::collection::vec(0_usize..18, 0..12),
        death in proptest::option::of((0_usize..120, 0_usize..3)),
        death_back in proptest::option::of((0_usize..120, 0_usize..3)),
    ) {
        let (_dir, fake) = machine();
        let before = all(&fake);
        let some = |which: &[usize]| -> Vec<Step> {
            // A plan has each step once.
            let mut which = which.to_vec();
            let mut seen = std::collections::BTreeSet::new();
            which.retain(|index| seen.insert(*index));
            which.iter().map(|index| everything()[*index].clone()).collect()
        };
        let moments = [Moment::Before, Moment::Within, Moment::After];
        let work = || {
            run(&fake, &some(&first)).unwrap();
            run(&fake, &some(&second)).unwrap();
        };
        match death {
            Some((deed, moment)) => {
                let _ = until_death(&fake, deed, moments[moment], work);
            }
            None => work(),
        }
        if let Some((deed, moment)) = death_back {
            let _ = until_death(&fake, deed, moments[moment], || back(&fake, Overwrite::Nothing));
        }

        let kept = back(&fake, Overwrite::Nothing);

        prop_assert_eq!(kept, Vec::<String>::new());
        prop_assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
    }
}
