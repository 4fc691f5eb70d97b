//! How boot loaders are told.

use super::*;

#[test]
fn each_loader_is_written_in_its_own_way() {
    let parameters = [warn("CLK-04", boot("skew_tick", "1")), bad("RAS-01", no_boot("mce"))];
    // Fedora, RHEL.
    let fake = Fake::bare("one-node");
    let fake = Fake {
        config: CONFIG.replace("housekeeping = \"0,8,4,12\"\nworkers = \"1-3\"", ""),
        ..fake
    };
    fake.file("boot/grub2/grub.cfg", "set default=0\n");
    fake.file("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\n");
    let entry = |id: &str, options: &str| {
        let text = format!("title {id}\nversion {id}\nlinux /vmlinuz-{id}\noptions {options}\n");
        fake.file(&format!("boot/loader/entries/{id}.conf"), &text);
    };
    entry("m-6.1", "root=/dev/sda ro mce=off");
    let plan = fake.plan(&parameters);
    let [Step { change: Change::KernelArguments(arguments), from, .. }] = &plan.steps[..] else {
        panic!("{plan:#?}")
    };
    assert_eq!(arguments.tool, ArgumentTool::Grubby);
    assert_eq!(
        (arguments.add.join(" "), arguments.remove.join(" ")),
        ("skew_tick=1".into(), "skew_tick mce".into())
    );
    assert_eq!(*from, Fact::Is("mce=off".to_owned()));
    entry("m-6.1", "root=/dev/sda ro skew_tick=1");
    assert!(fake.plan(&parameters).is_empty());
    // What new kernels are started with, where a file says it.
    fake.file("etc/kernel/cmdline", "root=/dev/sda ro mce=off\n");
    let plan = fake.plan(&parameters);
    let [file] = &plan.steps[..] else { panic!("{plan:#?}") };
    assert_eq!(file.to, "root=/dev/sda ro skew_tick=1\n");
    assert!(file.change.needs_reboot());

    // systemd-boot.
    fake.remove("boot/grub2/grub.cfg");
    fake.file("efi/EFI/systemd/systemd-bootx64.efi", "");
    fake.file("efi/loader/entries/m.conf", "title m\nlinux /m\noptions root=/dev/sda ro\n");
    fake.file("proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    fake.file("etc/kernel/cmdline", "root=/dev/sda  mce=off ro\n");
    let plan = fake.plan(&parameters);
    let [file, menu] = &plan.steps[..] else { panic!("{plan:#?}") };
    assert_eq!(file.to, "root=/dev/sda ro skew_tick=1\n");
    assert_eq!(
        menu.change,
        Change::BootMenu { tool: MenuTool::KernelInstall { version: "6.12.1-amd64".into() } }
    );

    // An image-based system: by hand.
    fake.file("run/ostree-booted", "");
    entry("m-6.1", "root=/dev/sda ro mce=off");
    let plan = fake.plan(&parameters);
    assert!(plan.steps.is_empty() && !plan.is_empty());
    assert_eq!(
        plan.by_hand[0].commands,
        [
            "rpm-ostree kargs --delete-if-present=skew_tick --delete-if-present=mce --append-if-missing=skew_tick=1"
        ]
    );
    assert_eq!(plan.by_hand[0].checks, ["CLK-04", "RAS-01"]);
}

#[test]
fn grub_without_drop_ins_is_set_in_its_one_file() {
    let fake = Fake::new();
    fs::remove_dir_all(fake.dir.path().join("etc/default/grub.d")).unwrap();
    fake.file(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"mce=off a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet skew_tick=0\"\n",
    );
    let parameters = [warn("CLK-04", boot("skew_tick", "1")), bad("RAS-01", no_boot("mce"))];

    let plan = fake.plan(&parameters);

    let wanted: Vec<&str> = plan.steps.iter().map(|step| step.to.as_str()).collect();
    assert_eq!(wanted, ["quiet skew_tick=1", "a", "made anew"]);

    fake.file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"$(cat /etc/args)\"\n");
    let plan = fake.plan(&parameters);
    assert!(plan.steps.is_empty() && plan.by_hand.len() == 1, "{plan:#?}");
}

#[test]
fn a_command_line_that_the_kernel_would_cut_is_refused() {
    let fake = Fake::new();
    let most = 2047 - "root=/dev/sda1 ro quiet skew_tick=".len();

    let plan = fake.plan(&[warn("CLK-04", boot("skew_tick", &"1".repeat(most)))]);
    assert_eq!(plan.steps.len(), 2, "{plan:#?}");
    let plan = fake.plan(&[warn("CLK-04", boot("skew_tick", &"1".repeat(most + 1)))]);
    assert!(plan.steps.is_empty());
    assert!(why(&plan, "CLK-04").contains("2048 bytes"), "{plan:#?}");
}
