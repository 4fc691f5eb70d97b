//! Every command that a report prints and a script runs is run here, by a real `sh`, against a machine made of files
//! and of commands that do to those files what the real ones would.

use std::collections::BTreeMap;

use crate::machine::Fake;
use config::NumaNode;
use proptest::prelude::*;
use tuner::{
    Fact,
    boot::{ArgumentTool, Arguments, KernelArguments, MenuTool},
    change::{BootValue, Change, EthtoolSetting, Form, PARTITION, UnitState, shell_all},
};

fn sysctl(key: &str, value: &str) -> Change {
    Change::Sysctl { key: key.to_owned(), value: value.to_owned() }
}

fn kernel(path: &str, value: &str, form: Form) -> Change {
    Change::Kernel { path: path.to_owned(), value: value.to_owned(), form }
}

/// Runs the change's commands, and has the change look whether it is done.
fn do_it(fake: &Fake, change: &Change) {
    fake.run_ok(&change.shell_below(fake.root()));
    let current = change.current(&fake.source());
    assert!(change.is_done(&current), "{change:?} left {current:?}");
}

#[test]
fn a_sysctl_counts_now_and_at_the_next_boot_and_is_written_down_once() {
    let fake = Fake::new();
    fake.file("proc/sys/vm/swappiness", "60\n");
    fake.file("proc/sys/kernel/nmi_watchdog", "1\n");
    fake.file("etc/sysctl.d/.keep", "");

    for value in ["10", "1", "10", "10"] {
        do_it(&fake, &sysctl("vm.swappiness", value));
    }
    do_it(&fake, &sysctl("kernel.nmi_watchdog", "0"));

    assert_eq!(
        fake.read("etc/sysctl.d/90-barewire.conf"),
        "vm.swappiness = 10\nkernel.nmi_watchdog = 0\n"
    );
    // What systemd-sysctl and procps make of it.
    let check = format!("sysctl --dry-run -p {}/etc/sysctl.d/90-barewire.conf", fake.root());
    let output = fake.run(&[check]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        assert!(said.contains("vm.swappiness = 10"), "{said}");
    } else {
        eprintln!("SKIPPED: sysctl --dry-run: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_sysctl_of_a_vlan_keeps_its_dot() {
    let fake = Fake::new();
    fake.file("proc/sys/net/ipv4/conf/eth0.1/rp_filter", "0\n");
    fake.file("etc/sysctl.d/.keep", "");

    do_it(&fake, &sysctl("net.ipv4.conf.eth0/1.rp_filter", "2"));
    do_it(&fake, &sysctl("net/ipv4/conf/eth0.1/rp_filter", "1"));
}

#[test]
fn kernel_files_take_any_value() {
    let fake = Fake::new();
    for (path, value, form) in [
        ("sys/kernel/mm/transparent_hugepage/enabled", "madvise", Form::Choice),
        ("sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us", "n/a", Form::Text),
        ("proc/irq/24/smp_affinity_list", "0-1,4", Form::CpuList),
        ("sys/devices/virtual/workqueue/cpumask", "00000000,00000003", Form::CpuMask),
        ("proc/sys/kernel/sched_rt_runtime_us", "-1", Form::Number),
        ("sys/a b/$(touch owned)/it's", "`touch owned`; \\n \"$HOME\"", Form::Text),
    ] {
        fake.file(path, "old\n");
        do_it(&fake, &kernel(path, value, form));
    }
}

#[test]
fn a_write_that_fails_stops_a_script() {
    let fake = Fake::new();
    // There is no such interrupt any more: no directory to make a file in.
    let gone = kernel("proc/irq/99/smp_affinity_list", "0", Form::CpuList);
    fake.file("proc/sys/a", "0\n");
    let mut lines = vec!["set -eu".to_owned()];
    lines.extend(gone.shell_below(fake.root()));
    lines.extend(kernel("proc/sys/a", "1", Form::Number).shell_below(fake.root()));

    assert!(!fake.run(&lines).status.success());
    assert_eq!(fake.read("proc/sys/a"), "0\n");
}

#[test]
fn a_file_is_written_as_it_is() {
    let fake = Fake::new();
    for content in ["", "\n", "one", "one\n", "[Manager]\nCPUAffinity=0-1\n\n# it's \"$HOME\"\n"] {
        let change = Change::File { path: "etc/a b/c.conf".into(), content: content.into() };
        fake.run_ok(&change.shell_below(fake.root()));
        assert_eq!(fake.read("etc/a b/c.conf"), content);
    }
}

#[test]
fn a_setting_replaces_its_line_and_leaves_the_others() {
    let fake = Fake::new();
    fake.file("etc/default/irqbalance", "# mine\nOPTIONS=--debug\nIRQBALANCE_BANNED_CPULIST=2\n");
    let set = |value: &str| Change::Setting {
        path: "etc/default/irqbalance".into(),
        key: "IRQBALANCE_BANNED_CPULIST".into(),
        value: value.into(),
    };

    do_it(&fake, &set("2-7"));
    do_it(&fake, &set("2-7"));
    assert_eq!(
        fake.read("etc/default/irqbalance"),
        "# mine\nOPTIONS=--debug\nIRQBALANCE_BANNED_CPULIST=2-7\n"
    );

    do_it(&fake, &set("a \"b\" $c `d` \\e 'f'"));
    let sourced = fake.run_ok(&[
        format!(". {}/etc/default/irqbalance", fake.root()),
        "printf %s \"$IRQBALANCE_BANNED_CPULIST\"".to_owned(),
    ]);
    assert_eq!(sourced, "a \"b\" $c `d` \\e 'f'");
}

#[test]
fn ethtool_is_asked_in_its_own_words() {
    let fake = Fake::new();
    let features = BTreeMap::from([("gro".to_owned(), true), ("lro".to_owned(), false)]);
    for (setting, words) in [
        (EthtoolSetting::Rings { rx: Some(4096), tx: None }, "-G eth0 rx 4096"),
        (
            EthtoolSetting::Coalesce {
                adaptive: Some(false),
                rx_usecs: Some(0),
                tx_usecs: Some(1),
            },
            "-C eth0 adaptive-rx off adaptive-tx off rx-usecs 0 tx-usecs 1",
        ),
        (EthtoolSetting::Channels { combined: 2 }, "-L eth0 combined 2"),
        (EthtoolSetting::Features(features), "-K eth0 gro on lro off"),
        (EthtoolSetting::Pause { rx: false, tx: true }, "-A eth0 rx off tx on"),
        (EthtoolSetting::Eee(false), "--set-eee eth0 eee off"),
    ] {
        let change = Change::Ethtool { interface: "eth0".into(), setting };
        fake.run_ok(&change.shell());
        assert_eq!(fake.called(), [format!("ethtool {words}")]);
    }
}

#[test]
fn systemd_and_taskset_are_asked_in_their_own_words() {
    let fake = Fake::new();
    for (state, words) in [
        (UnitState::Disabled, "disable --now -- ksmtuned.service"),
        (UnitState::Enabled, "enable --now -- ksmtuned.service"),
        (UnitState::Restarted, "try-restart -- ksmtuned.service"),
    ] {
        fake.run_ok(&Change::Unit { unit: "ksmtuned.service".into(), state }.shell());
        assert_eq!(fake.called(), [format!("systemctl {words}")]);
    }

    fake.file("proc/77/comm", "rcuog/2\n");
    fake.file("proc/77/status", "Name:\trcuog/2\nCpus_allowed_list:\t0-7\n");
    let affinity = |name: &str| Change::Affinity {
        thread: 77,
        name: name.to_owned(),
        cpus: "0-1".parse().unwrap(),
    };
    do_it(&fake, &affinity("rcuog/2"));
    assert_eq!(fake.called(), ["taskset -pc 0-1 77"]);
    // Another thread has the number now: it is left alone, and that is no failure.
    fake.run_ok(&affinity("rcuog/3").shell_below(fake.root()));
    assert_eq!(fake.called(), [""; 0]);
    assert_eq!(affinity("rcuog/3").current(&fake.source()), Fact::Absent);
}

#[test]
fn a_partition_is_read_back() {
    let fake = Fake::new();
    fake.file("sys/fs/cgroup/cgroup.subtree_control", "cpu\n");
    let change = Change::Partition { cpus: "2-7".parse().unwrap() };

    do_it(&fake, &change);
    assert_eq!(fake.read(&format!("{PARTITION}/cpuset.cpus")), "2-7\n");

    // The kernel took the words, and made it invalid.
    let invalid = "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n";
    fake.answers(&format!("{PARTITION}/cpuset.cpus.partition"), invalid);
    assert!(!fake.run(&change.shell_below(fake.root())).status.success());
    let current = change.current(&fake.source());
    assert_eq!(current, Fact::Is(format!("{} 2-7", invalid.trim())));
    assert!(!change.is_done(&current));
}

#[test]
fn hugepages_are_counted_afterwards() {
    let fake = Fake::new();
    for node in [None, Some(NumaNode(1))] {
        let change = Change::Hugepages { node, size_kib: 2048, count: 512 };
        let path = tuner::change::hugepages_path(node, 2048);
        fake.file(&path, "0\n");
        do_it(&fake, &change);

        fake.answers(&path, "499\n");
        assert!(!fake.run(&change.shell_below(fake.root())).status.success());
        assert_eq!(change.current(&fake.source()), Fact::Is("499".to_owned()));
        assert!(!change.is_done(&Fact::Is("499".to_owned())));
    }
}

#[test]
fn a_driver_is_changed_by_its_override() {
    let fake = Fake::new();
    let device = "0000:3b:00.0";
    let dir = format!("sys/bus/pci/devices/{device}");
    fake.file(&format!("{dir}/driver_override"), "(null)\n");
    fake.file("sys/bus/pci/drivers_probe", "");
    let change = Change::Driver { device: device.parse().unwrap(), driver: "vfio-pci".into() };

    fake.run_ok(&change.shell_below(fake.root()));
    assert_eq!(fake.called(), ["modprobe -- vfio-pci"]);
    assert_eq!(fake.read(&format!("{dir}/driver_override")), "vfio-pci\n");
    assert_eq!(fake.read("sys/bus/pci/drivers_probe"), format!("{device}\n"));

    fake.file("sys/bus/pci/drivers/ixgbe/unbind", "");
    fake.link(&format!("{dir}/driver"), "../../drivers/ixgbe");
    fake.run_ok(&change.shell_below(fake.root()));
    assert_eq!(fake.read("sys/bus/pci/drivers/ixgbe/unbind"), format!("{device}\n"));
}

#[test]
fn a_kernel_parameter_goes_where_this_machine_keeps_it() {
    let set = |key: &str, value: BootValue| Change::BootParameter { key: key.into(), value };
    let debian = Fake::new();
    debian.without("grubby");
    debian.file(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"mce=off\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet nohz-full=1\"\n",
    );
    for change in [
        set("nohz_full", BootValue::Is("2-3".into())),
        set("nosmt", BootValue::Flag),
        set("mce", BootValue::Absent),
        set("nohz_full", BootValue::Is("2-7".into())),
    ] {
        debian.run_ok(&change.shell_below(debian.root()));
        assert_eq!(debian.called(), ["update-grub"]);
    }
    assert_eq!(debian.grub_variable("GRUB_CMDLINE_LINUX_DEFAULT"), "nohz_full=2-7 nosmt quiet");
    assert_eq!(debian.grub_variable("GRUB_CMDLINE_LINUX"), "");

    let rhel = Fake::new();
    rhel.run_ok(&set("nohz_full", BootValue::Is("2-3".into())).shell_below(rhel.root()));
    assert_eq!(
        rhel.called(),
        [
            "grubby --info=ALL",
            "grubby --update-kernel=/boot/vmlinuz-6.1 --remove-args=nohz_full",
            "grubby --update-kernel=/boot/vmlinuz-6.1 --args=nohz_full=2-3",
            "grubby --update-kernel=/boot/vmlinuz-6.2 --remove-args=nohz_full",
            "grubby --update-kernel=/boot/vmlinuz-6.2 --args=nohz_full=2-3",
        ]
    );
    // Nothing set is no success.
    rhel.file("no-kernels", "");
    let output = rhel.run(&set("nosmt", BootValue::Flag).shell_below(rhel.root()));
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(rhel.called(), ["grubby --info=ALL"]);
}

#[test]
fn the_tools_that_keep_arguments_get_whole_words() {
    let fake = Fake::new();
    let arguments = Arguments::from_line("nohz_full=2-3 dyndbg=\"file a +p\"");
    for (tool, called) in [
        (
            ArgumentTool::Grubby,
            vec![
                "grubby --info=ALL",
                "grubby --update-kernel=/boot/vmlinuz-6.1 --remove-args=nohz_full dyndbg",
                "grubby --update-kernel=/boot/vmlinuz-6.1 --args=nohz_full=2-3 dyndbg=\"file a +p\"",
                "grubby --update-kernel=/boot/vmlinuz-6.2 --remove-args=nohz_full dyndbg",
                "grubby --update-kernel=/boot/vmlinuz-6.2 --args=nohz_full=2-3 dyndbg=\"file a +p\"",
            ],
        ),
        (
            ArgumentTool::RpmOstree,
            vec![
                "rpm-ostree kargs --delete-if-present=nohz_full --delete-if-present=dyndbg \
                 --append-if-missing=nohz_full=2-3 --append-if-missing=dyndbg=\"file a +p\"",
            ],
        ),
        (
            ArgumentTool::Bootc,
            vec![
                "bootc loader-entries set-options-for-source --source barewire --options \
                 nohz_full=2-3 dyndbg=\"file a +p\"",
            ],
        ),
    ] {
        let change = Change::KernelArguments(KernelArguments::with(tool, &arguments));
        fake.run_ok(&change.shell());
        assert_eq!(fake.called(), called);
    }
    for (tool, called) in [
        (MenuTool::UpdateGrub, "update-grub"),
        (
            MenuTool::GrubMkconfig { menu: "boot/grub2/grub.cfg".into() },
            "grub2-mkconfig -o /boot/grub2/grub.cfg",
        ),
        (
            MenuTool::KernelInstall { version: "6.12.0".into() },
            "kernel-install add 6.12.0 /lib/modules/6.12.0/vmlinuz",
        ),
    ] {
        fake.run_ok(&Change::BootMenu { tool }.shell());
        assert_eq!(fake.called(), [called]);
    }
}

#[test]
fn many_files_of_one_value_are_one_loop() {
    let fake = Fake::new();
    let governor = |cpu: u32| {
        let path = format!("sys/devices/system/cpu/cpufreq/policy{cpu}/scaling_governor");
        kernel(&path, "performance", Form::Text)
    };
    let mut changes: Vec<Change> = (0..3).map(governor).collect();
    changes.push(sysctl("vm.swappiness", "1"));

    let lines = shell_all(&changes);

    assert_eq!(lines.len(), 3);
    // The loop itself, on files that are there.
    let paths = ["a", "b"].map(|name| format!("{}/{name}", fake.root()));
    let changes: Vec<Change> =
        paths.iter().map(|path| kernel(&path[1..], "it's", Form::Text)).collect();
    fake.run_ok(&shell_all(&changes));
    assert_eq!(fake.read("a") + &fake.read("b"), "it's\nit's\n");
    let broken = [kernel("nowhere/a", "1", Form::Text), kernel(&paths[0][1..], "1", Form::Text)];
    assert!(!fake.run(&shell_all(&broken)).status.success());
    assert_eq!(fake.read("a"), "it's\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Names come from devices, threads and files that strangers made.
    #[test]
    fn no_name_becomes_a_command(hostile in "[^\\x00\r]{1,30}") {
        let fake = Fake::new();
        let name = hostile.replace('/', "_");
        fake.file("etc/sysctl.d/.keep", "");
        fake.file("etc/default/grub", "");
        let changes = [
            kernel(&format!("dir/{name}"), &hostile, Form::Text),
            Change::File { path: format!("dir/{name}"), content: hostile.clone() },
            Change::Ethtool { interface: name.clone(), setting: EthtoolSetting::Eee(false) },
            Change::Unit { unit: name.clone(), state: UnitState::Restarted },
            Change::Affinity { thread: 5, name: name.clone(), cpus: "1".parse().unwrap() },
            Change::Setting { path: "dir/setting".into(), key: "KEY".into(), value: hostile.clone() },
            Change::BootParameter { key: "k".into(), value: BootValue::Is(hostile.clone()) },
        ];
        fake.file("dir/setting", "");
        for change in changes {
            // A path of "." can not be written; what matters is that nothing else ran.
            fake.run(&change.shell_below(fake.root()));
            for call in fake.called() {
                let command = call.split(' ').next().unwrap_or_default().to_owned();
                let known = ["ethtool", "systemctl", "taskset", "grubby"];
                prop_assert!(known.contains(&command.as_str()) || hostile.contains('\n'), "{call}");
            }
            prop_assert!(!fake.has("owned"));
        }
    }
}
