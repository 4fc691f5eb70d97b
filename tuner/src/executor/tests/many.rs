//! Many small things: written down together, and undone from anywhere in the middle of them.

use super::*;

const MANY: u32 = 12;

/// A machine with many interrupts and kernel threads more, and what is to become of them.
fn large() -> (TempDir, Fake, Vec<Step>) {
    let (dir, fake) = machine();
    put(dir.path(), "etc/sysctl.d/README", "");
    let mut steps = vec![kernel("proc/sys/vm/swappiness", "10", Form::Number)];
    for number in 100..100 + MANY {
        let irq = format!("proc/irq/{number}/smp_affinity_list");
        put(dir.path(), &irq, "0-7\n");
        steps.push(kernel(&irq, "0-1", Form::CpuList));
    }
    for number in 200..200 + MANY {
        let name = format!("rcuog/{number}");
        let stat =
            format!("{number} ({name}) S 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 19 0 0\n");
        let status = format!("Name:\t{name}\nCpus_allowed_list:\t0-7\nMems_allowed_list:\t0\n");
        for (file, text) in [("comm", format!("{name}\n")), ("stat", stat), ("status", status)] {
            put(dir.path(), &format!("proc/{number}/{file}"), &text);
        }
        steps.push(step(Change::Affinity { thread: number, name, cpus: cpus("0-1") }));
    }
    steps.push(step(Change::File {
        path: "etc/sysctl.d/90-barewire.conf".to_owned(),
        content: "vm.swappiness = 10\n".to_owned(),
    }));
    (dir, fake, steps)
}

fn journals(fake: &Fake) -> usize {
    let entry = format!("replace {STATE}/0001.json");
    fake.deeds().iter().filter(|deed| **deed == entry).count()
}

#[test]
fn what_is_many_and_small_costs_one_journal_for_all() {
    let (_dir, fake, steps) = large();
    let before = all(&fake);

    let entry = run(&fake, &steps).unwrap();

    assert!(entry.effects.len() > 2 * MANY as usize, "{:?}", entry.effects);
    // At the beginning, before the first, before the many, before the last, at the end.
    assert_eq!(journals(&fake), 5);
    assert_eq!(text(&fake, "proc/irq/105/smp_affinity_list"), "0-1\n");

    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());

    // Before the last, which says so for the many; before the first; at the end.
    assert_eq!(journals(&fake), 3);
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
}

#[test]
fn killed_anywhere_among_many_on_either_way_it_comes_back() {
    let (_, _, steps) = large();
    let make = || {
        let (dir, fake, _) = large();
        (dir, fake)
    };
    let apply = |fake: &Fake| {
        run(fake, &steps).unwrap();
    };

    let there = deaths(make, |_| (), apply);
    let back = deaths(make, apply, |fake| back(fake, Overwrite::Nothing));

    assert!(there.min(back) > 3 * MANY as usize, "only {there} and {back} deaths");
}

#[test]
fn a_refusal_among_many_undoes_what_was_done_and_leaves_the_rest_alone() {
    let (_dir, fake, steps) = large();
    let before = all(&fake);
    fake.rule("proc/irq/107/smp_affinity_list", Manner::Refuse(Errno::INVAL));
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &steps);

    let error = apply(&fake, &journal, &mut entry, &mut |_| ()).unwrap_err();

    assert!(matches!(error, ApplyError::Undone(_)), "{error:?}");
    assert_eq!(difference(&before, &all(&fake)), Vec::<String>::new());
    let progress = |path: &str| {
        let of = |effect: &&crate::journal::Effect| matches!(&effect.deed, crate::journal::Deed::Turn { knob, .. } if knob.name() == path);
        entry.effects.iter().find(of).unwrap().progress.clone()
    };
    assert_eq!(progress("/proc/irq/106/smp_affinity_list"), Progress::Undone);
    assert_eq!(progress("/proc/irq/108/smp_affinity_list"), Progress::Planned);
}

#[test]
fn a_journal_that_can_not_be_written_any_more_is_said_with_its_reason() {
    let (_dir, fake, steps) = large();
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &steps);

    // The disk is full from the first value on that is told.
    let error = apply(&fake, &journal, &mut entry, &mut |_| {
        fake.rule(&format!("{STATE}/0001.json"), Manner::Refuse(Errno::NOSPC));
    })
    .unwrap_err();

    let ApplyError::Left { left, .. } = error else { panic!("{error:?}") };
    assert!(left[0].contains("0001.json: No space left on device"), "{left:?}");
    fake.forget_rules();
    drop(journal);
    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
}
