//! Killed at any moment of any deed.

use super::*;

#[test]
fn killed_before_within_and_after_every_deed_of_apply_it_rolls_back_byte_for_byte() {
    let deaths = deaths(machine, |_| (), |fake| run(fake, &everything()));

    assert!(deaths > 150, "only {deaths} deaths");
}

#[test]
fn killed_before_within_and_after_every_deed_of_rollback_a_second_one_completes_it() {
    let prepare = |fake: &Fake| {
        run(fake, &everything()).unwrap();
    };

    let deaths = deaths(machine, prepare, |fake| back(fake, Overwrite::Nothing));

    assert!(deaths > 100, "only {deaths} deaths");
}

#[test]
fn killed_at_any_deed_of_setting_again_step_for_step_it_rolls_back_byte_for_byte() {
    let prepare = |fake: &Fake| {
        let partition = format!("{PARTITION}/cpuset.cpus.partition");
        fake.rule(&partition, Manner::Say("invalid (not exclusive)"));
    };
    let again = |fake: &Fake| {
        let journal = open(fake);
        let mut entry = entry(fake, 1, &everything());
        apply_each(fake, &journal, &mut entry, &mut |_| ()).unwrap()
    };

    let deaths = deaths(machine, prepare, again);

    assert!(deaths > 150, "only {deaths} deaths");
}
