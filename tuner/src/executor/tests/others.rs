//! What somebody else changed meanwhile, and what a reboot did.

use super::*;

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
fn a_device_that_udev_binds_before_its_turn_is_bound_and_nothing_of_it_is_ours() {
    let (_dir, fake) = machine();
    let device = "sys/bus/pci/devices/0000:3b:00.0";
    let link = fake.root().join(device).join("driver");
    std::fs::remove_file(&link).unwrap();
    put(fake.root(), &format!("{device}/driver_override"), "vfio-pci\n");
    let journal = open(&fake);
    let mut entry = entry(&fake, 1, &everything());
    std::os::unix::fs::symlink("../../drivers/vfio-pci", &link).unwrap();

    let (applied, failures) = apply_each(&fake, &journal, &mut entry, &mut |_| ()).unwrap();

    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(applied.skipped, 1, "{applied:?}");
    drop(journal);
    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert!(std::fs::read_link(&link).unwrap().ends_with("vfio-pci"));
}

#[test]
fn a_device_that_a_program_uses_is_not_taken_back_and_is_when_it_has_ended() {
    let (_dir, fake) = machine();
    let device = fake.root().join("sys/bus/pci/devices/0000:3b:00.0");
    std::os::unix::fs::symlink("../../../kernel/iommu_groups/12", device.join("iommu_group"))
        .unwrap();
    put(fake.root(), "proc/635/comm", "barewired\n");
    run(&fake, &everything()).unwrap();
    // The kernel makes it when vfio-pci has the device.
    std::fs::create_dir_all(device.join("vfio-dev/vfio3")).unwrap();
    std::fs::create_dir(fake.root().join("proc/635/fd")).unwrap();
    let descriptor = fake.root().join("proc/635/fd/14");

    for file in ["12", "noiommu-12", "devices/vfio3"] {
        std::os::unix::fs::symlink(format!("/dev/vfio/{file}"), &descriptor).unwrap();
        for overwrite in [Overwrite::Nothing, Overwrite::All] {
            assert_eq!(
                back(&fake, overwrite),
                [
                    "driver of 0000:3b:00.0: barewired (process 635) uses 0000:3b:00.0: stop it first"
                ],
                "{file}"
            );
            assert!(std::fs::read_link(device.join("driver")).unwrap().ends_with("vfio-pci"));
        }
        std::fs::remove_file(&descriptor).unwrap();
    }

    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
    assert!(std::fs::read_link(device.join("driver")).unwrap().ends_with("ice"));
}

#[test]
fn an_interrupt_that_is_gone_has_nothing_to_go_back_to() {
    let (_dir, fake) = machine();
    run(&fake, &everything()).unwrap();
    std::fs::remove_file(fake.root().join(IRQ)).unwrap();

    assert_eq!(back(&fake, Overwrite::Nothing), Vec::<String>::new());
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
fn after_a_reboot_a_device_that_udev_gave_away_again_comes_back_to_its_driver() {
    let steps = |scope| {
        let driver = Change::Driver {
            device: "0000:3b:00.0".parse().unwrap(),
            driver: "vfio-pci".to_owned(),
        };
        vec![Step { scope, ..step(driver) }]
    };
    for (scope, expected) in [(Scope::Both, "ice"), (Scope::Once, "vfio-pci")] {
        let (_dir, fake) = machine();
        run(&fake, &steps(scope)).unwrap();
        // The link of the boot before stands for what the rule did.
        put(fake.root(), "proc/sys/kernel/random/boot_id", "two\n");

        assert_eq!(back(&fake, Overwrite::Values), Vec::<String>::new());

        let link = fake.root().join("sys/bus/pci/devices/0000:3b:00.0/driver");
        assert!(std::fs::read_link(link).unwrap().ends_with(expected), "{scope:?}");
    }
}
