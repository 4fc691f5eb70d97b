use proptest::prelude::*;

use super::*;

struct Dir(tempfile::TempDir);

type Files<'a> = &'a [(&'a str, &'a str)];

impl Dir {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn boot(&self) -> Boot {
        Boot::read(&Source::at(self.0.path()).unwrap())
    }
}

const MENU: &str = r#"
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
else
   set default="${saved_entry}"
fi
function load_video {
  insmod vbe
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	load_video
	linux	/boot/vmlinuz-6.1 root=UUID=1 ro  quiet isolcpus=2-3
	initrd	/boot/initrd.img-6.1
}
submenu 'Advanced options' $menuentry_id_option 'advanced' {
	menuentry 'Debian, with Linux 6.1' --class debian $menuentry_id_option 'adv-6.1' {
		linux	/boot/vmlinuz-6.1 root=UUID=1 ro quiet
	}
	menuentry 'Debian, with Linux 6.1 (recovery mode)' $menuentry_id_option 'rec-6.1' {
		linux	/boot/vmlinuz-6.1 root=UUID=1 ro single
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

const ENVIRONMENT: &str = "# GRUB Environment Block\nsaved_entry=advanced>adv-6.1\n######";

#[test]
fn a_generated_menu_is_read_with_its_submenus() {
    let menu = grub::menu(MENU, "boot/grub/grub.cfg");

    let seen: Vec<_> =
        menu.iter().map(|e| (e.id.as_str(), e.place.as_slice(), e.is_rescue)).collect();
    assert_eq!(
        seen,
        [
            ("gnulinux-simple-1", &[0][..], false),
            ("adv-6.1", &[1, 0][..], false),
            ("rec-6.1", &[1, 1][..], true)
        ]
    );
    assert_eq!(menu[0].line, "root=UUID=1 ro  quiet isolcpus=2-3");
    assert_eq!(menu[0].kernel, "/boot/vmlinuz-6.1");
}

#[test]
fn a_default_is_a_place_a_title_or_an_id() {
    let menu = grub::menu(MENU, "m");

    for (wanted, id) in [
        ("0", "gnulinux-simple-1"),
        ("1", "adv-6.1"),
        ("1>1", "rec-6.1"),
        ("advanced>rec-6.1", "rec-6.1"),
        ("Debian GNU/Linux", "gnulinux-simple-1"),
    ] {
        assert_eq!(grub::find(&menu, wanted).unwrap().id, id, "{wanted}");
    }
    assert_eq!(grub::find(&menu, "9"), None);
}

#[test]
fn the_environment_block_says_what_is_started_next() {
    let files = [("boot/grub/grub.cfg", MENU), ("boot/grub/grubenv", ENVIRONMENT)];
    let saved = Dir::with(&files).boot();
    let once = "# GRUB Environment Block\nsaved_entry=0\nnext_entry=1>1\n";
    let next = Dir::with(&[files[0], ("boot/grub/grubenv", once)]).boot();

    assert_eq!(saved.next.value().unwrap().id, "adv-6.1");
    assert_eq!(next.next.value().unwrap().id, "rec-6.1");
}

#[test]
fn settings_are_read_in_order_and_replace_or_keep_what_was_there() {
    let boot = Dir::with(&[
        ("boot/grub/grub.cfg", MENU),
        ("etc/default/grub", "# x\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=''\n"),
        (
            "etc/default/grub.d/50-a.cfg",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT a=\\\"1 2\\\"\"",
        ),
        ("etc/default/grub.d/60-b.cfg", "export GRUB_CMDLINE_LINUX=console=ttyS0 # why\n"),
        ("etc/default/grub.d/README", "GRUB_CMDLINE_LINUX=no"),
    ])
    .boot();
    let grub = boot.grub.value().unwrap();

    assert_eq!(grub.setting("GRUB_CMDLINE_LINUX_DEFAULT").unwrap(), "quiet a=\"1 2\"");
    assert_eq!(grub.setting("GRUB_CMDLINE_LINUX").unwrap(), "console=ttyS0");
    assert!(matches!(boot.loader(), Some(Loader::Grub { has_drop_ins: true, .. })));
}

#[test]
fn what_a_shell_would_have_to_run_is_not_guessed() {
    let boot = Dir::with(&[
        ("boot/grub/grub.cfg", MENU),
        ("etc/default/grub", "GRUB_DISTRIBUTOR=`lsb_release -i`\n"),
    ])
    .boot();

    assert_eq!(boot.grub.value().unwrap().setting("GRUB_DISTRIBUTOR"), None);
}

#[test]
fn entries_of_the_boot_loader_specification_are_newest_first() {
    let entry = |version: &str, options: &str| {
        format!(
            "title Fedora {version}\nversion {version}\nlinux /vmlinuz-{version}\noptions {options}\n"
        )
    };
    let boot = Dir::with(&[
        ("boot/grub2/grub.cfg", "blscfg\n"),
        ("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\n"),
        ("boot/grub2/grubenv", "# GRUB Environment Block\nkernelopts=root=/dev/sda1 ro\n"),
        ("boot/loader/entries/m-6.9.0.conf", &entry("6.9.0", "$kernelopts old")),
        ("boot/loader/entries/m-6.12.0.conf", &entry("6.12.0", "root=/dev/sda1 nohz_full=2-3")),
        ("boot/loader/entries/m-0-rescue.conf", &entry("0-rescue", "single")),
    ])
    .boot();

    assert!(matches!(boot.loader(), Some(Loader::GrubBls { .. })));
    let ids: Vec<_> = boot.entries.value().unwrap().iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["m-6.12.0", "m-6.9.0", "m-0-rescue"]);
    assert_eq!(boot.entries.value().unwrap()[1].line, "root=/dev/sda1 ro old");
    assert_eq!(boot.next.value().unwrap().line, "root=/dev/sda1 nohz_full=2-3");
}

#[test]
fn each_loader_is_known_by_its_files() {
    let grub = ("boot/grub/grub.cfg", "");
    let systemd = ("efi/EFI/systemd/systemd-bootx64.efi", "");
    let table: [(Files<'_>, &[&str]); 8] = [
        (&[], &[]),
        (&[grub], &["GRUB"]),
        (&[grub, ("etc/default/grub.d/x.cfg", "")], &["GRUB with drop-ins"]),
        (&[systemd], &["systemd-boot"]),
        (&[grub, systemd], &["GRUB", "systemd-boot"]),
        (&[grub, ("run/ostree-booted", "")], &["ostree"]),
        (&[grub, ("run/ostree-booted", ""), ("usr/bin/bootc", "")], &["bootc"]),
        (
            &[("boot/firmware/cmdline.txt", "a b"), ("boot/firmware/config.txt", "")],
            &["Raspberry Pi firmware"],
        ),
    ];

    for (files, labels) in table {
        let boot = Dir::with(files).boot();
        let seen: Vec<_> = boot.loaders.iter().map(Loader::label).collect();
        assert_eq!(seen, labels, "{files:?}");
    }
}

#[test]
fn the_firmware_says_which_of_two_loaders_started_the_machine() {
    let mut info = vec![6, 0, 0, 0];
    info.extend("systemd-boot 255\0".encode_utf16().flat_map(u16::to_le_bytes));
    let dir = Dir::with(&[
        ("boot/grub/grub.cfg", ""),
        ("boot/efi/EFI/systemd/systemd-bootx64.efi", ""),
        ("sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", ""),
    ]);
    let path = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    std::fs::write(dir.0.path().join(path), info).unwrap();

    assert_eq!(dir.boot().loader().unwrap().label(), "systemd-boot");
}

#[test]
fn what_boot_is_on_decides_whether_grub_can_write_there() {
    let mounts = |device: &str, number: &str, kind: &str| {
        format!(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 {number} / /boot rw - {kind} {device} rw\n"
        )
    };
    let md = mounts("/dev/md0", "9:0", "ext4");
    let lvm = mounts("/dev/mapper/v-boot", "253:0", "xfs");
    let plain = mounts("/dev/sda2", "8:2", "ext4");
    let btrfs = mounts("/dev/sda2", "0:40", "btrfs");
    let table: [(Files<'_>, StorageKind, bool); 4] = [
        (
            &[("proc/self/mountinfo", &md), ("sys/dev/block/9:0/md/level", "raid1")],
            StorageKind::Mdraid,
            false,
        ),
        (
            &[("proc/self/mountinfo", &lvm), ("sys/dev/block/253:0/dm/uuid", "LVM-abc")],
            StorageKind::Lvm,
            false,
        ),
        (&[("proc/self/mountinfo", &plain)], StorageKind::Plain, true),
        (&[("proc/self/mountinfo", &btrfs)], StorageKind::Other, false),
    ];

    for (files, kind, is_writable) in table {
        let boot = Dir::with(files).boot();
        let storage = boot.storage.value().unwrap();
        assert_eq!(
            (storage.kind, storage.is_writable_by_grub()),
            (kind, is_writable),
            "{storage:?}"
        );
        assert_eq!(storage.mounted_at, "/boot");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(?s)([a-zA-Z0-9 ={}\"'$>\\\\#\n]|menuentry |submenu |linux ){0,200}") {
        let menu = grub::menu(&text, "m");
        prop_assert!(menu.iter().all(|entry| !entry.kernel.is_empty()));
        let _ = grub::assignments(&text);
        let _ = bls::parse(&text, "id", "file", &|_| None);
    }

    #[test]
    fn a_quoted_value_comes_back_as_it_was(value in "[a-zA-Z0-9 =,:._-]{0,60}") {
        for text in [format!("K=\"{value}\""), format!("export K='{value}'")] {
            let read = grub::assignments(&text);
            prop_assert_eq!(&read[0].value, &value);
        }
    }
}
