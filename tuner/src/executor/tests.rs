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

mod deaths;
mod interrupts;
mod many;
mod others;
mod refusals;

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

/// Dies before, within and after every deed of `work`, each time on a machine made anew, and rolls back: all has to be as
/// it was before `prepare`. Says how often it died.
fn deaths<T>(
    make: impl Fn() -> (TempDir, Fake),
    prepare: impl Fn(&Fake),
    work: impl Fn(&Fake) -> T,
) -> usize {
    let mut deaths = 0;
    for moment in [Moment::Before, Moment::Within, Moment::After] {
        for deed in 0.. {
            let (_dir, fake) = make();
            let before = all(&fake);
            prepare(&fake);

            let lived = until_death(&fake, deed, moment, || work(&fake));
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
    deaths
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
