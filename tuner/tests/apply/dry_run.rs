//! What `rollback --dry-run` says of the way back, which is then gone.

use super::*;

/// Every file, the journal's as well.
fn everything(machine: &Machine) -> (BTreeMap<String, String>, BTreeMap<PathBuf, Vec<u8>>) {
    let journal = fs::read_dir(machine.root().join(STATE)).into_iter().flatten();
    let journal = journal.map(|entry| entry.unwrap().path());
    (machine.all(), journal.map(|path| (path.clone(), fs::read(path).unwrap())).collect())
}

/// The exit code and what is said; nothing is changed by it.
#[track_caller]
fn asked(machine: &Machine, more: &[&str]) -> (i32, String) {
    let before = everything(machine);
    let answer = machine.run(&[&["rollback", "--dry-run"], more].concat());
    assert_eq!(everything(machine), before, "{}", answer.1);
    answer
}

#[test]
fn what_would_be_put_back_is_said_and_left_as_it_is() {
    let machine = Machine::new();
    let before = machine.all();
    machine.apply(&[]);

    for more in [&[][..], &["--to", "1"], &["--pristine"]] {
        let (exit, said) = asked(&machine, more);
        assert_eq!(exit, 0, "{said}");
        assert!(said.contains("would restore  /proc/sys/vm/swappiness: 60"), "{said}");
        assert!(said.contains("would be undone: 0001"), "{said}");
    }
    assert_eq!(asked(&machine, &["--to", "2"]).0, 64);

    assert_eq!(machine.run(&["rollback"]).0, 0);
    assert_eq!(machine.all(), before);
    let (exit, said) = asked(&machine, &[]);
    assert_eq!((exit, said.trim()), (0, "there is nothing to undo"));
}

#[test]
fn what_would_be_kept_is_named_and_the_rollback_agrees() {
    let machine = Machine::new();
    machine.apply(&[]);
    put(&machine.root(), DROP_IN, "vm.swappiness = 10\nvm.mine = 1\n");

    for more in [&[][..], &["--to", "1"], &["--pristine"]] {
        let (exit, said) = asked(&machine, more);
        assert_eq!(exit, 61, "{said}");
        assert!(said.contains(&format!("would keep     /{DROP_IN}")), "{said}");
        assert!(said.contains(&format!("would not be undone: /{DROP_IN}")), "{said}");
        assert!(said.contains("+vm.mine = 1"), "{said}");
        assert!(said.contains("would restore  /proc/sys/vm/swappiness: 60"), "{said}");
    }
    assert_eq!(asked(&machine, &["--force"]).0, 0);
    let told = machine.command(&["rollback", "--dry-run", "--json"]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();

    let done = machine.command(&["rollback", "--json"]).output().unwrap();
    assert_eq!(done.status.code(), Some(61));
    let done: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told, done);
    assert!(machine.text(DROP_IN).contains("vm.mine"));
    assert_eq!(machine.text(SWAPPINESS), "60\n");
}

#[test]
fn what_later_entries_changed_again_is_followed_from_one_to_the_next() {
    let machine = Machine::new();
    for value in ["10", "20", "30"] {
        machine.plan(vec![kernel(SWAPPINESS, value, Form::Number)]);
        machine.apply(&[]);
    }

    for more in [&["--to", "1"][..], &["--pristine"]] {
        let (exit, said) = asked(&machine, more);
        assert_eq!(exit, 0, "{said}");
        assert!(said.contains("would be undone: 0003, 0002, 0001"), "{said}");
    }
    // It is 30, which is not what the second entry left.
    put(&machine.root(), SWAPPINESS, "33\n");
    let (exit, said) = asked(&machine, &["--to", "1"]);
    assert_eq!(exit, 61, "{said}");
    assert!(said.contains("it is \"33\" now"), "{said}");
}

#[test]
fn where_nothing_was_ever_applied_nothing_is_made() {
    let machine = Machine::new();
    fs::remove_dir(machine.root().join(STATE)).unwrap();

    let (exit, said) = asked(&machine, &["--pristine"]);

    assert_eq!((exit, said.trim()), (0, "there is nothing to undo"));
}
