//! What lasts over a boot, and what a boot makes of it.

use tuner::boot::{Arguments, MenuTool, grub};

use super::*;

/// A machine that GRUB starts.
fn with_grub() -> Machine {
    let machine = Machine::new();
    let menu = "menuentry 'Debian' --id 'debian' {\n\tlinux\t/boot/vmlinuz ro quiet\n}\n\
                source ${config_directory}/custom.cfg\n";
    let mut block = "# GRUB Environment Block\n".to_owned();
    block.extend(std::iter::repeat_n('#', 1024 - block.len()));
    for (path, text) in [
        ("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"),
        ("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"),
        ("boot/grub/grub.cfg", menu),
        ("boot/grub/grubenv", &block),
    ] {
        put(&machine.root(), path, text);
    }
    fs::create_dir_all(machine.root().join("etc/default/grub.d")).unwrap();
    machine
}

fn arguments(line: &str) -> Step {
    let content = grub::drop_in(&Arguments::from_line(line), false);
    step(Change::File { path: grub::DROP_IN.to_owned(), content })
}

fn reboot(machine: &Machine, id: &str) {
    put(&machine.root(), BOOT_ID, &format!("{id}\n"));
}

/// A machine that GRUB starts, with kernel arguments on trial, and booted with them.
fn on_trial(more: &[Step]) -> Machine {
    let machine = with_grub();
    machine.plan([&[arguments("nohz_full=2-3")], more].concat());
    let (exit, said) = machine.apply(&[]);
    assert_eq!(exit, 40, "{said}");
    reboot(&machine, "two");
    put(&machine.root(), "proc/cmdline", "ro quiet nohz_full=2-3\n");
    machine
}

/// Which entry made kernel arguments last.
fn made_lasting(machine: &Machine) -> serde_json::Value {
    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    answer["made_lasting"].clone()
}

#[test]
fn of_two_trials_the_newer_one_lasts_and_the_older_one_never_overwrites_it() {
    let machine = with_grub();
    for line in ["nohz_full=2-3", "nohz_full=2-3 skew_tick=1"] {
        machine.plan(vec![arguments(line)]);
        assert_eq!(machine.apply(&[]).0, 40);
    }
    reboot(&machine, "two");
    put(&machine.root(), "proc/cmdline", "ro quiet nohz_full=2-3 skew_tick=1\n");

    assert_eq!(made_lasting(&machine), 3);
    let kept = machine.text(grub::DROP_IN);
    assert!(kept.contains("nohz_full=2-3 skew_tick=1"), "{kept}");
    assert_eq!(made_lasting(&machine), serde_json::Value::Null);
    assert_eq!(machine.text(grub::DROP_IN), kept);
    assert!(machine.run(&["history", "3"]).1.contains("verify --boot of 0002"));
}

#[test]
fn a_trial_never_overwrites_what_was_made_lasting_without_one_after_it() {
    let machine = with_grub();
    machine.plan(vec![arguments("nohz_full=2-3")]);
    assert_eq!(machine.apply(&[]).0, 40);
    machine.plan(vec![arguments("nohz_full=2-3 skew_tick=1")]);
    assert_eq!(machine.apply(&["--without-trial-boot"]).0, 40);
    let kept = machine.text(grub::DROP_IN);
    reboot(&machine, "two");
    put(&machine.root(), "proc/cmdline", "ro quiet nohz_full=2-3\n");

    assert_eq!(made_lasting(&machine), serde_json::Value::Null);
    assert_eq!(machine.text(grub::DROP_IN), kept);
}

#[test]
fn a_rollback_says_which_kernel_keeps_its_arguments_up_to_the_next_boot() {
    const SAID: &str = "the running kernel keeps the arguments that are undone until the next boot";
    let machine = on_trial(&[]);
    assert_eq!(made_lasting(&machine), 2);
    let rollback = machine.command(&["rollback", "--pristine", "--dry-run", "--json"]).output();
    let answer: serde_json::Value = serde_json::from_slice(&rollback.unwrap().stdout).unwrap();
    assert_eq!(answer["until_reboot"], true, "{answer:#}");
    let (exit, said) = machine.run(&["rollback", "--pristine"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains(SAID), "{said}");

    // No boot took them, or it took them and did not come up.
    for boot in ["one", "two"] {
        let machine = with_grub();
        machine.plan(vec![arguments("nohz_full=2-3")]);
        assert_eq!(machine.apply(&[]).0, 40);
        reboot(&machine, boot);
        let (exit, said) = machine.run(&["rollback"]);
        assert_eq!(exit, 0, "{said}");
        assert!(!said.contains(SAID), "{said}");
    }
}

#[test]
fn what_came_up_is_made_lasting_and_told_in_one_json_document() {
    let machine = on_trial(&[]);

    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();

    // Nothing but one document, or this is an error.
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(answer["made_lasting"], 2, "{answer:#}");
    assert_eq!(answer["events"][0]["event"], "done", "{answer:#}");
    assert!(answer["verified"].as_array().is_some_and(|all| !all.is_empty()), "{answer:#}");
    assert!(machine.text(grub::DROP_IN).contains("nohz_full=2-3"));
    assert_eq!(made_lasting(&machine), serde_json::Value::Null, "once is enough");
}

#[test]
fn what_can_not_be_made_lasting_is_undone_as_a_whole_and_says_so() {
    // Below a directory nobody hears update-grub.
    let machine = on_trial(&[step(Change::BootMenu { tool: MenuTool::UpdateGrub })]);
    let before = machine.all();

    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();

    let text = said(&verify);
    assert_eq!(verify.status.code(), Some(60), "{text}");
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!((&answer["exit"], &answer["made_lasting"]), (&60.into(), &serde_json::Value::Null));
    assert!(text.contains("update-grub needs the machine itself"), "{text}");
    assert_eq!(machine.all(), before);
    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert!(!machine.root().join("boot/grub/custom.cfg").exists());
}

#[test]
fn after_a_reboot_verify_says_what_lapsed_and_apply_boot_sets_it_again() {
    let machine = Machine::new();
    machine.apply(&[]);
    reboot(&machine, "two");
    put(&machine.root(), SWAPPINESS, "60\n");

    let (exit, said) = machine.run(&["verify"]);
    assert_eq!(exit, 20);
    assert!(said.contains("LAPSED    /proc/sys/vm/swappiness"), "{said}");

    let (exit, said) = machine.run(&["apply", "--boot"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
    assert_eq!(machine.run(&["verify"]).0, 0);
    // What earlier boots set again is forgotten with them.
    reboot(&machine, "three");
    put(&machine.root(), SWAPPINESS, "60\n");
    assert_eq!(machine.run(&["apply", "--boot"]).0, 0);
    assert!(!machine.root().join(STATE).join("0002.json").exists());

    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "60\n");
    assert!(!machine.root().join("etc/sysctl.d").exists());
}

#[test]
fn what_a_file_of_ours_set_again_at_boot_goes_at_once_and_not_at_the_next_boot() {
    let machine = Machine::new();
    let before = machine.all();
    machine.apply(&[]);
    // Both files are there, and one of them is read at boot.
    reboot(&machine, "two");
    put(&machine.root(), "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    assert_eq!(machine.text(SWAPPINESS), "10\n");

    let (exit, said) = machine.run(&["rollback"]);

    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("/proc/sys/vm/swappiness"), "{said}");
    put(&machine.root(), "proc/sys/kernel/random/boot_id", "one\n");
    assert_eq!(machine.all(), before);
}

/// A power cut or a kill in the middle of an entry's one effect.
fn cut_short(machine: &Machine, entry: &str) {
    let path = format!("{STATE}/{entry}.json");
    let mut text: serde_json::Value = serde_json::from_str(&machine.text(&path)).unwrap();
    text["state"] = "applying".into();
    text["effects"][0]["progress"] = "writing".into();
    put(&machine.root(), &path, &text.to_string());
}

/// A machine on which `apply` did its work, and `apply --boot` in the boot after it was cut short.
fn cut_short_at_boot() -> Machine {
    let machine = Machine::new();
    machine.plan(vec![kernel(SWAPPINESS, "10", Form::Number)]);
    machine.apply(&[]);
    reboot(&machine, "two");
    put(&machine.root(), SWAPPINESS, "60\n");
    assert_eq!(machine.run(&["apply", "--boot"]).0, 0);
    cut_short(&machine, "0002");
    machine
}

#[test]
fn a_power_cut_at_boot_leaves_no_later_boot_untuned() {
    let machine = cut_short_at_boot();
    reboot(&machine, "three");
    put(&machine.root(), SWAPPINESS, "60\n");

    let (exit, said) = machine.run(&["apply", "--boot"]);

    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
    assert!(!machine.root().join(STATE).join("0002.json").exists());
    assert_eq!(machine.run(&["verify"]).0, 0);
}

#[test]
fn what_undoes_a_cut_short_boot_leaves_what_was_applied() {
    for words in [vec!["rollback"], vec!["rollback", "--to", "0002"]] {
        let machine = cut_short_at_boot();
        for (command, expected) in [(vec!["apply", "--boot"], 50), (vec!["verify"], 61)] {
            let (exit, said) = machine.run(&command);
            assert_eq!(exit, expected, "{said}");
            assert!(said.contains("barewire-tune rollback --to 0002"), "{said}");
        }

        let (exit, said) = machine.run(&words);

        assert_eq!(exit, 0, "{said}");
        assert!(said.contains("undone: 0002\n"), "{said}");
        assert_eq!(machine.text(SWAPPINESS), "60\n");
        let (exit, said) = machine.run(&["apply", "--boot"]);
        assert_eq!(exit, 0, "{said}");
        assert_eq!(machine.text(SWAPPINESS), "10\n");
        // The whole way back stays.
        assert_eq!(machine.run(&["rollback"]).0, 0);
        assert_eq!(machine.text(SWAPPINESS), "60\n");
    }
}

/// The journal's entries.
fn entries(machine: &Machine) -> usize {
    let names = fs::read_dir(machine.root().join(STATE)).unwrap().map(|file| file.unwrap());
    let is_entry = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    names.filter(|file| is_entry(file.file_name().to_str().unwrap())).count()
}

/// Somebody else sets it, and `watch` sets it again.
fn drift(machine: &Machine, value: usize) {
    put(&machine.root(), SWAPPINESS, &format!("{value}\n"));
    let last = machine.dir.path().join("watch.json");
    let words = ["watch", "--policy", "reassert", "--last", last.to_str().unwrap()];
    let (exit, said) = machine.run(&words);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n", "{said}");
}

#[test]
fn a_machine_that_drifts_for_ever_takes_one_entry_and_leads_back() {
    let machine = Machine::new();
    let before = machine.all();
    machine.apply(&[]);

    for value in 100..150 {
        drift(&machine, value);
    }

    assert_eq!(entries(&machine), 1);
    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.all(), before);
}

#[test]
fn in_a_later_boot_what_drifts_leads_back_to_what_that_boot_began_with() {
    const THP: &str = "sys/kernel/mm/transparent_hugepage/enabled";
    const INTERRUPT: &str = "proc/irq/24/smp_affinity_list";
    let machine = Machine::new();
    put(&machine.root(), INTERRUPT, "0-7\n");
    machine.plan(vec![
        kernel(SWAPPINESS, "10", Form::Number),
        kernel(THP, "never", Form::Choice),
        kernel(INTERRUPT, "0-1", Form::CpuList),
    ]);
    machine.apply(&[]);
    reboot(&machine, "two");
    // The kernel's own value is another one now.
    put(&machine.root(), INTERRUPT, "0-7\n");
    drift(&machine, 55);
    assert_eq!(machine.text(INTERRUPT), "0-1\n");
    for value in 100..110 {
        drift(&machine, value);
    }
    assert_eq!(entries(&machine), 2);

    // What is new in this boot goes into the same entry, and what is gone goes from it.
    put(&machine.root(), THP, "always [madvise] never\n");
    fs::remove_file(machine.root().join(INTERRUPT)).unwrap();
    drift(&machine, 110);
    assert_eq!(entries(&machine), 2);
    let (_, said) = machine.run(&["history", "2"]);
    assert!(said.contains("applied; 2 steps, 2 effects"), "{said}");
    assert!(said.contains("swappiness: 55 -> 10  [done]  TEST-01"), "{said}");

    let (exit, said) = machine.run(&["rollback", "--to", "2"]);

    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "55\n");
    assert_eq!(machine.text(THP), "always [madvise] never\n");
    assert_eq!(machine.run(&["rollback"]).0, 0);
}
