//! The commands that a report prints for a kernel parameter, run by a real `sh` on a machine with that boot loader.

use tuner::{
    boot::{Arguments, shell::commands},
    change::BootValue,
    facts::boot::Loader,
};

use crate::machine::Fake;

/// Sets one parameter after the other, as somebody does who pastes the fixes of a report.
fn set(fake: &Fake, loader: &Loader, parameters: &[(&str, BootValue)]) {
    let at = |path: &str| format!("{}/{path}", fake.root());
    for (key, value) in parameters {
        let lines = commands(Some(loader), &Arguments::of(key, value), &at).unwrap();
        fake.run_ok(&lines);
    }
}

fn parameters() -> Vec<(&'static str, BootValue)> {
    vec![
        ("nohz_full", BootValue::Is("2-3".to_owned())),
        ("mce", BootValue::Absent),
        ("nosmt", BootValue::Flag),
        ("nohz_full", BootValue::Is("2-7".to_owned())),
    ]
}

#[test]
fn debian_gets_a_drop_in() {
    let fake = Fake::new();
    fake.file(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX='mce=off a'\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
    );
    let loader = Loader::Grub { menu: "boot/grub/grub.cfg".to_owned(), has_drop_ins: true };

    set(&fake, &loader, &parameters());

    assert_eq!(fake.grub_variable("GRUB_CMDLINE_LINUX"), "a");
    assert_eq!(fake.grub_variable("GRUB_CMDLINE_LINUX_DEFAULT"), "nohz_full=2-7 nosmt quiet");
    assert_eq!(fake.called(), ["update-grub"; 4]);
}

#[test]
fn a_grub_that_reads_no_drop_ins_gets_its_settings_changed() {
    let fake = Fake::new();
    fake.file("etc/default/grub.d/.keep.cfg", "");
    fake.file(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX='mce=off a'\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
    );
    let of = |menu: &str| Loader::Grub { menu: menu.to_owned(), has_drop_ins: false };

    set(&fake, &of("boot/grub2/grub.cfg"), &parameters());

    let sourced = |name: &str| {
        fake.run_ok(&[format!(". {}/etc/default/grub; printf %s \"${name}\"", fake.root())])
    };
    assert_eq!(sourced("GRUB_CMDLINE_LINUX"), "a");
    assert_eq!(sourced("GRUB_CMDLINE_LINUX_DEFAULT"), "nohz_full=2-7 nosmt quiet");
    assert!(!fake.has("etc/default/grub.d/zz-90-barewire.cfg"), "nobody would read it");
    assert_eq!(fake.called(), ["grub2-mkconfig -o /boot/grub2/grub.cfg"; 4]);
    // Arch and Gentoo have it under its own name.
    let lines =
        commands(Some(&of("boot/grub/grub.cfg")), &Arguments::from_line("a=1"), &str::to_owned);
    assert!(lines.unwrap()[0].ends_with(" && grub-mkconfig -o /boot/grub/grub.cfg"));
}

#[test]
fn systemd_boot_gets_the_line_of_new_entries_changed() {
    let loader = Loader::SystemdBoot { entries: "boot/loader/entries".to_owned() };
    let fake = Fake::new();
    // Without the file, kernel-install would take this, and not what the loader passed besides.
    fake.file(
        "proc/cmdline",
        "BOOT_IMAGE=/vmlinuz initrd=\\i root=/dev/sda1 mce=off * -- nohz-full=1\n",
    );

    set(&fake, &loader, &parameters());

    assert_eq!(fake.read("etc/kernel/cmdline"), "nohz_full=2-7 nosmt root=/dev/sda1 * --\n");
    let called = fake.called();
    assert_eq!(called.len(), 4);
    let [_, _, version, image] = called[0].split(' ').collect::<Vec<_>>()[..] else {
        panic!("{called:?}")
    };
    assert_eq!(image, format!("/lib/modules/{version}/vmlinuz"));
}

#[test]
fn a_loader_of_which_we_write_nothing_gets_words_and_no_commands() {
    let arguments = Arguments::of("nohz_full", &BootValue::Is("2-3".to_owned()));
    let of = |loader: Option<&Loader>| commands(loader, &arguments, &str::to_owned);
    let pi = Loader::RaspberryPi { file: "boot/firmware/cmdline.txt".to_owned() };
    for (loader, says) in [
        (None, "hypervisor"),
        (Some(&Loader::Bootc), "image-based"),
        (Some(&Loader::Uki { images: Vec::new() }), "signed"),
        (Some(&Loader::Zipl), "zipl"),
        (Some(&pi), "/boot/firmware/cmdline.txt"),
    ] {
        let why = of(loader).unwrap_err();
        assert!(why.contains(says) && why.ends_with(": nohz_full=2-3"), "{why}");
    }
    let ostree = of(Some(&Loader::Ostree)).unwrap();
    let fake = Fake::new();
    fake.run_ok(&ostree);
    let expected =
        "rpm-ostree kargs --delete-if-present=nohz_full --append-if-missing=nohz_full=2-3";
    assert_eq!(fake.called(), [expected]);
}
