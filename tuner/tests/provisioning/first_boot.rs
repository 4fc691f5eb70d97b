//! What the payload does when a machine boots, in a jail that is a live machine to it; and Packer's scripts.

use std::{fs, path::Path, process::Output};

use crate::{
    examples,
    install::payload,
    jail::{Jail, Network, went_well},
    machine::{self, PROGRAM, boots, put, put_program, said},
};

const FIRST_BOOT: &str = "/usr/local/libexec/barewire-first-boot";
const APPROVED: &str = "var/lib/barewire/first-boot/approved";
const TRIED: &str = "root=/dev/sda1 ro quiet skew_tick=1 intel_iommu=on";

/// Makes the menu's one entry of the same files as Debian's.
const UPDATE_GRUB: &str = r#"#!/bin/sh
echo update-grub >> /ran
. /etc/default/grub
for file in /etc/default/grub.d/*.cfg; do
    if [ -e "$file" ]; then . "$file"; fi
done
sed -i "s|^  linux .*|  linux /vmlinuz root=/dev/sda1 ro $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT|" \
    /boot/grub/grub.cfg
"#;

/// A machine with GRUB, on which the payload is installed.
fn installed() -> Option<Jail> {
    let jail = bare()?;
    fs::write(jail.upper().join("barewire.tar"), payload()).unwrap();
    went_well(&jail.run("tar --extract --file /barewire.tar --directory /", Network::None));
    Some(jail)
}

/// The machine before. What would reboot it only writes down that it ran.
fn bare() -> Option<Jail> {
    let jail = Jail::new()?;
    let root = jail.upper();
    machine::grub(&root);
    put_program(&root, "usr/local/sbin/systemctl", "#!/bin/sh\necho \"systemctl $*\" >> /ran\n");
    for folder in ["usr/local/sbin", "usr/sbin"] {
        put_program(&root, &format!("{folder}/update-grub"), UPDATE_GRUB);
    }
    Some(jail)
}

fn boot(jail: &Jail) -> Output {
    jail.run(FIRST_BOOT, Network::None)
}

/// What ran since the last time.
fn ran(root: &Path) -> String {
    let text = fs::read_to_string(root.join("ran")).unwrap_or_default();
    let _ = fs::remove_file(root.join("ran"));
    text
}

/// GRUB took the entry that is on trial.
fn reboots_into_the_trial(root: &Path) {
    let custom = fs::read_to_string(root.join("boot/grub/custom.cfg")).unwrap();
    assert!(custom.contains(TRIED), "{custom}");
    machine::grub_environment(root);
    boots(root, "two", TRIED);
}

/// Lets through all that files can not answer: what is left is what tuning is about.
fn waive_what_files_cannot_answer(jail: &Jail) {
    let gate = "barewire-tune --config /etc/barewire/barewire.toml gate --json";
    let output = jail.run(gate, Network::None);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let closing: Vec<&str> = answer["counted"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|counted| counted["effect"] == "closes")
        .map(|counted| counted["id"].as_str().unwrap())
        .collect();
    for tuned in ["MEM-14", "CLK-04"] {
        assert!(!closing.contains(&tuned), "{closing:?}");
    }
    let waiver = |id: &&str| {
        format!(
            "[[waiver]]\nid = \"{id}\"\nreason = \"files have no answer\"\nexpires = 9999-12-31\n"
        )
    };
    let text: String = closing.iter().map(waiver).collect();
    put(&jail.upper(), "etc/barewire/waivers.toml", &text);
}

#[test]
fn a_machine_is_tuned_rebooted_once_and_approved() {
    let Some(jail) = installed() else { return };
    let root = jail.upper();

    let first = boot(&jail);

    went_well(&first);
    assert_eq!(ran(&root), "systemctl reboot\n", "{}", said(&first));
    assert!(!root.join(APPROVED).exists());
    assert_eq!(fs::read_to_string(root.join("proc/sys/vm/swappiness")).unwrap(), "10\n");

    reboots_into_the_trial(&root);
    // A reboot forgets it, sysctl.d(5) aside, which is systemd's part.
    put(&root, "proc/sys/vm/swappiness", "60\n");
    waive_what_files_cannot_answer(&jail);
    let second = boot(&jail);

    went_well(&second);
    assert_eq!(ran(&root), "update-grub\n", "the kernel arguments last: {}", said(&second));
    assert!(root.join("etc/default/grub.d/zz-90-barewire.cfg").is_file());
    assert_eq!(fs::read_to_string(root.join("proc/sys/vm/swappiness")).unwrap(), "10\n");
    assert!(root.join(APPROVED).is_file(), "{}", said(&second));
    sets_again_at_the_next_boot(&jail);
}

/// What no file keeps, and nothing else.
#[track_caller]
fn sets_again_at_the_next_boot(jail: &Jail) {
    let root = jail.upper();
    boots(&root, "three", TRIED);
    put(&root, "proc/sys/vm/swappiness", "60\n");

    let output = boot(jail);

    went_well(&output);
    assert_eq!(ran(&root), "", "{}", said(&output));
    assert_eq!(fs::read_to_string(root.join("proc/sys/vm/swappiness")).unwrap(), "10\n");
}

#[test]
fn a_machine_that_came_up_without_the_kernel_arguments_is_not_approved_nor_rebooted_again() {
    let Some(jail) = installed() else { return };
    let root = jail.upper();
    went_well(&boot(&jail));
    ran(&root);
    machine::grub_environment(&root);
    boots(&root, "two", "root=/dev/sda1 ro quiet");

    for _ in 0..2 {
        let output = boot(&jail);

        // Bad, or still pending.
        assert!(matches!(output.status.code(), Some(20 | 40)), "{}", said(&output));
        assert_eq!(ran(&root), "", "{}", said(&output));
        assert!(!root.join(APPROVED).exists());
    }
}

#[test]
fn a_machine_whose_gate_stays_closed_is_not_approved() {
    let Some(jail) = installed() else { return };
    let root = jail.upper();
    went_well(&boot(&jail));
    reboots_into_the_trial(&root);

    let output = boot(&jail);

    assert_eq!(output.status.code(), Some(20), "{}", said(&output));
    assert!(said(&output).contains("not approved"), "{}", said(&output));
    assert!(!root.join(APPROVED).exists());
}

#[test]
fn an_image_is_built_only_if_the_gate_approves_it() {
    let Some(jail) = bare() else { return };
    let root = jail.upper();
    for (name, from) in [
        ("barewire-tune", Path::new(PROGRAM).to_owned()),
        ("barewire.toml", machine::config()),
        ("waivers.toml", examples().join("waivers.toml")),
        ("barewire-first-boot", examples().join("payload/barewire-first-boot")),
        ("barewire-first-boot.service", examples().join("payload/barewire-first-boot.service")),
    ] {
        fs::create_dir_all(root.join("tmp/barewire")).unwrap();
        fs::copy(from, root.join("tmp/barewire").join(name)).unwrap();
    }
    for script in ["tune.sh", "gate.sh"] {
        fs::copy(examples().join("packer").join(script), root.join(script)).unwrap();
    }

    let tuned = jail.run("sh /tune.sh", Network::None);

    went_well(&tuned);
    assert_eq!(ran(&root), "systemctl reboot\n", "{}", said(&tuned));
    let early = jail.run("sh /gate.sh", Network::None);
    assert_eq!(early.status.code(), Some(40), "before the reboot: {}", said(&early));

    reboots_into_the_trial(&root);
    let closed = jail.run("sh /gate.sh", Network::None);
    assert_eq!(closed.status.code(), Some(20), "{}", said(&closed));
    assert!(!root.join(APPROVED).exists());

    waive_what_files_cannot_answer(&jail);
    ran(&root);
    went_well(&jail.run("sh /gate.sh", Network::None));
    assert_eq!(ran(&root), "systemctl enable barewire-first-boot.service\n");
    sets_again_at_the_next_boot(&jail);
}
