//! Interrupts, which the kernel and irqbalance move as well.

use super::*;

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
fn an_interrupt_that_irqbalance_moves_right_after_the_write_is_moved_again_and_one_that_goes_is_left_out()
 {
    // Somewhere else; among the CPUs that it was given; nowhere, for its device went.
    for (manner, is) in
        [(Manner::WriteOver("5\n"), "0-1"), (Manner::WriteOver("1\n"), "1"), (Manner::Leave, "")]
    {
        let (_dir, fake) = machine();
        fake.rule(IRQ, manner);

        let entry = run(&fake, &everything()).unwrap();

        let there = std::fs::read_to_string(fake.root().join(IRQ)).unwrap_or_default();
        assert_eq!(there.trim(), is, "{manner:?}");
        let skipped = entry.effects.iter().any(|e| matches!(e.progress, Progress::Skipped { .. }));
        assert_eq!(skipped, is.is_empty(), "{manner:?}");
        assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new(), "{manner:?}");
    }
}

#[test]
fn an_interrupt_that_somebody_moves_again_and_again_is_an_error() {
    let (_dir, fake) = machine();
    fake.rule(IRQ, Manner::Ignore);

    let error = run(&fake, &everything()).unwrap_err();

    assert!(
        matches!(&error, ApplyError::Undone(crate::executor::EffectError::NotApplied { what, .. }) if what == &format!("/{IRQ}")),
        "{error:?}"
    );
}
