//! The plan of each machine, carried out and taken back.

use std::{
    collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration,
};

use tuner::{
    change::Change,
    executor::{Overwrite, apply, boot_id, compile, undo},
    hands::{EthtoolGroup, Hands, fake::Fake},
    journal::{self, Entry, Journal, Kind, State},
    plan::Plan,
};

use crate::fixture::{self, Fixture};

const STATE: &str = "var/lib/barewire/tune";

/// The machine with a kernel's manners, its interfaces and units as the plan found them.
fn lively(machine: &Fixture, plan: &Plan) -> Fake {
    let state = machine.root().join(STATE);
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let fake = Fake::at(machine.root()).unwrap();
    for step in &plan.steps {
        match &step.change {
            Change::Unit { unit, .. } => fake.unit(unit, "enabled", "active"),
            Change::Ethtool { interface, .. } => {
                use EthtoolGroup::{Channels, Coalesce, Eee, Features, Pause, Rings};
                fake.interface(interface, Rings, &[("rx", 256), ("tx", 256)]);
                fake.interface(interface, Channels, &[("combined", 2)]);
                let coalesce =
                    [("adaptive-rx", 1), ("adaptive-tx", 1), ("rx-usecs", 50), ("tx-usecs", 50)];
                fake.interface(interface, Coalesce, &coalesce);
                fake.interface(interface, Features, &[("rx-lro", 1), ("rx-gro", 1)]);
                fake.interface(interface, Pause, &[("rx", 1), ("tx", 1)]);
                fake.interface(interface, Eee, &[("eee", 1)]);
            }
            _ => {}
        }
    }
    fake
}

/// Every file, directory and link but the journal's, with permissions; and what is no file.
fn all(fake: &Fake, root: &Path) -> BTreeMap<String, String> {
    fn walk(dir: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name == STATE {
                continue;
            }
            let meta = path.symlink_metadata().unwrap();
            let mode = meta.permissions().mode();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if meta.is_dir() {
                walk(&path, root, into);
                String::new()
            } else {
                fs::read(&path).unwrap().escape_ascii().to_string()
            };
            into.insert(name, format!("{mode:o} {content}"));
        }
    }
    let mut found = BTreeMap::from([("what is no file".to_owned(), fake.memory())]);
    walk(root, root, &mut found);
    found
}

fn entry(hands: &dyn Hands, plan: &Plan, name: &str) -> Entry {
    Entry {
        version: journal::VERSION,
        number: 1,
        kind: Kind::Apply,
        state: State::Applying,
        began: 1_800_000_000,
        boot: boot_id(hands),
        effects: compile(hands, &plan.steps).unwrap_or_else(|error| panic!("{name}: {error:?}")),
        steps: plan.steps.clone(),
        confirmation: None,
        trial: None,
    }
}

#[test]
fn a_plan_is_carried_out_leaves_nothing_to_plan_and_comes_off_without_a_trace() {
    for name in fixture::names() {
        let machine = Fixture::new(&name);
        let mut plan = machine.plan();
        // The fake's grubby keeps nothing, which the executor finds out and takes everything back.
        plan.steps.retain(|step| !matches!(step.change, Change::KernelArguments(_)));
        let fake = lively(&machine, &plan);
        let before = all(&fake, machine.root());
        let journal = Journal::open(&fake, STATE, Duration::ZERO).unwrap();
        let mut entry = entry(&fake, &plan, &name);

        let done = apply(&fake, &journal, &mut entry, &mut |_| ());

        done.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // Netlink's answers and systemd's are as they were when the machine was captured.
        let is_told = |change: &Change| {
            matches!(
                change,
                Change::Ethtool { .. } | Change::Unit { .. } | Change::KernelArguments(_)
            )
        };
        let again = machine.plan();
        let left: Vec<&Change> =
            again.steps.iter().map(|step| &step.change).filter(|change| !is_told(change)).collect();
        assert!(left.is_empty(), "{name}: {left:#?}");
        let steps: Vec<_> = plan.steps.iter().filter(|step| !is_told(&step.change)).collect();
        assert!(steps.is_empty() || all(&fake, machine.root()) != before, "{name}");
        if !steps.is_empty() {
            assert!(!compile(&fake, &plan.steps).unwrap().iter().any(|_| true), "{name}");
        }

        let undone = undo(&fake, &journal, &mut entry, Overwrite::Nothing, &mut |_| ()).unwrap();

        assert_eq!(undone.kept, Vec::<String>::new(), "{name}");
        let after = all(&fake, machine.root());
        for (path, is) in &before {
            assert_eq!(after.get(path), Some(is), "{name}: {path}");
        }
        assert_eq!(before.len(), after.len(), "{name}");
    }
}
