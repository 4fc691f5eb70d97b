//! What does not take, and what can not be read.

use super::*;

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
