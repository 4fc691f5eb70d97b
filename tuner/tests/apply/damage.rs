//! Journals that are damaged, of others, or cut off by a death.

use super::*;

#[test]
fn a_damaged_journal_is_named_and_the_pristine_store_still_leads_back() {
    let whole = {
        let machine = Machine::new();
        machine.apply(&[]);
        fs::read(machine.root().join(STATE).join("0001.json")).unwrap()
    };
    let hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        b"\0\xff\xfe".to_vec(),
        b"{\"version\": 1}".to_vec(),
        b"{\"version\": 99}".to_vec(),
        b"[".repeat(100_000),
        String::from_utf8(whole.clone()).unwrap().replace("\"number\": 1", "\"number\": 7").into(),
    ];
    for text in hostile {
        let machine = Machine::new();
        let before = machine.all();
        machine.apply(&[]);
        let entry = machine.root().join(STATE).join("0001.json");
        fs::write(&entry, &text).unwrap();
        let after = machine.all();

        for (words, expected) in
            [(vec!["rollback"], 61), (vec!["verify"], 30), (vec!["history"], 30)]
        {
            let (exit, said) = machine.run(&words);
            assert_eq!(exit, expected, "{words:?}: {said}");
            assert!(said.contains("0001.json"), "{said}");
        }
        assert_eq!(machine.apply(&[]).0, 50);
        assert_eq!(machine.all(), after);
        assert_eq!(fs::read(&entry).unwrap(), text, "nothing is lost");

        let (exit, said) = machine.run(&["rollback", "--pristine"]);
        assert_eq!(exit, 61, "{said}");
        assert_eq!(machine.text(SWAPPINESS), "60\n");
        // Whether a file is still ours, only the entry could tell.
        let (exit, said) = machine.run(&["rollback", "--pristine", "--force"]);
        assert_eq!(exit, 61, "the damage stays: {said}");
        assert_eq!(machine.all(), before);
    }
}

#[test]
fn a_full_journal_takes_no_more_entries_and_still_leads_back() {
    let machine = Machine::new();
    let before = machine.all();
    machine.apply(&[]);
    let state = machine.root().join(STATE);
    let text = machine.text(&format!("{STATE}/0001.json"));
    let mut entry: serde_json::Value = serde_json::from_str(&text).unwrap();
    (entry["state"], entry["effects"]) = ("undone".into(), serde_json::json!([]));
    for number in 2..=10_001 {
        entry["number"] = number.into();
        fs::write(state.join(format!("{number:04}.json")), entry.to_string()).unwrap();
    }
    machine.plan(vec![kernel(SWAPPINESS, "20", Form::Number)]);

    let (exit, said) = machine.apply(&[]);
    assert_eq!(exit, 50, "{said}");
    assert!(said.contains("rollback --pristine") && said.contains("holds more than"), "{said}");
    assert_eq!(machine.run(&["verify"]).0, 0);
    let (exit, said) = machine.run(&["history"]);
    assert_eq!((exit, said.lines().count()), (0, 10_001));

    let (exit, said) = machine.run(&["rollback", "--pristine"]);

    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.all(), before);
}

#[test]
fn a_journal_that_others_may_write_is_not_trusted() {
    let machine = Machine::new();
    machine.apply(&[]);
    let state = machine.root().join(STATE);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();

    let (exit, said) = machine.run(&["rollback"]);

    assert_eq!(exit, 50);
    assert!(said.contains("may be written by others"), "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
}

#[test]
fn killed_before_every_system_call_that_changes_something_it_rolls_back() {
    const CALLS: &str = "write,renameat,renameat2,unlinkat,mkdirat,fsync,fchmod,fchown";

    let probe = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: killed_before_every_system_call_that_changes_something_it_rolls_back: \
             strace can not trace here"
        );
        return;
    }
    let mut deaths = 0;
    for call in CALLS.split(',') {
        for nth in 1.. {
            let machine = Machine::new();
            let before = machine.all();
            let output = Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null"])
                .args(["-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")])
                .arg(env!("CARGO_BIN_EXE_barewire-tune"))
                .args(["apply", "--plan"])
                .arg(&machine.plan)
                .arg("--root")
                .arg(machine.root())
                .output()
                .unwrap();

            let (exit, said) = machine.run(&["rollback"]);

            assert_eq!(exit, 0, "{call} {nth}: {said}");
            assert_eq!(machine.all(), before, "{call} {nth}");
            if output.status.success() {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 60, "only {deaths} deaths");
}
