use std::collections::BTreeMap;

use config::CpuId;
use linux::activity::CpuTime;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    checks::{
        hardware::Hardware as _,
        sample::{Sample, quiet},
    },
};

/// A machine that GRUB starts with this entry, and that runs with this line.
fn grub(entry: &str, running: &str) -> Sample {
    let menu = format!("menuentry 'Debian' --id one {{\n\tlinux /vmlinuz {entry}\n}}\n");
    Sample::empty().with("boot/grub/grub.cfg", &menu).with("proc/cmdline", running)
}

#[test]
fn what_is_configured_and_does_not_run_yet_is_pending() {
    let line = "root=/dev/sda1 ro quiet";
    grub(line, &format!("BOOT_IMAGE=/vmlinuz {line} initrd=/x")).expect("BOOT-01", Good);
    grub(line, "quiet ro root=/dev/sda1").expect("BOOT-01", Good);
    let more = grub("root=/dev/sda1 ro quiet isolcpus=2-3", line).expect("BOOT-01", Warn);
    assert_eq!(more.seen, "pending reboot: +isolcpus=2-3");
    let less = grub("root=/dev/sda1 ro", line).expect("BOOT-01", Warn);
    assert_eq!(less.seen, "pending reboot: -quiet");

    let settings = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet isolcpus=2-3\"\n";
    let forgotten = grub(line, line).with("etc/default/grub", settings).expect("BOOT-01", Bad);
    assert_eq!(forgotten.seen, "configured, but not in the menu: isolcpus=2-3");
    grub(line, line)
        .with("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n")
        .expect("BOOT-01", Good);

    Sample::empty().with("proc/cmdline", line).expect("BOOT-01", NotApplicable);
    Sample::empty()
        .with("boot/grub/grub.cfg", "no entry")
        .with("proc/cmdline", line)
        .expect("BOOT-01", Unknown);
}

#[test]
fn one_loader_that_can_be_configured_is_good() {
    grub("ro", "ro").expect("BOOT-02", Good);
    grub("ro", "ro").with("boot/efi/EFI/systemd/systemd-bootx64.efi", "").expect("BOOT-02", Warn);
    Sample::empty().with("efi/EFI/Linux/x.efi", "").expect("BOOT-02", Info);
    Sample::empty().processor(true).expect("BOOT-02", NotApplicable);
    Sample::empty().processor(false).expect("BOOT-02", Unknown);
}

#[test]
fn a_drop_in_after_ours_adds_and_does_not_assign() {
    let drop_in =
        |name: &str, text: &str| grub("ro", "ro").with(&format!("etc/default/grub.d/{name}"), text);
    let assigning = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n";
    let adding = "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT quiet\"\n";
    drop_in("50-cloud.cfg", assigning).expect("BOOT-03", Good);
    drop_in("zzz.cfg", adding).expect("BOOT-03", Good);
    drop_in("zzz.cfg", "GRUB_TIMEOUT=1\n").expect("BOOT-03", Good);
    let bad = drop_in("zzz.cfg", assigning).expect("BOOT-03", Bad);
    assert_eq!(bad.seen, "/etc/default/grub.d/zzz.cfg:1 assigns GRUB_CMDLINE_LINUX_DEFAULT");
    drop_in("zzz.cfg/deep", "").expect("BOOT-03", Unknown);
    grub("ro", "ro").expect("BOOT-03", NotApplicable);
    Sample::empty().expect("BOOT-03", NotApplicable);
}

#[test]
fn a_line_leaves_room_and_is_never_cut_off() {
    let of = |length: usize| "x".repeat(length);
    for (length, verdict) in [(100, Good), (1800, Good), (1801, Warn), (2047, Warn), (2048, Bad)] {
        Sample::empty().with("proc/cmdline", &of(length)).expect("BOOT-04", verdict);
        grub(&of(length), "ro").expect("BOOT-04", verdict);
    }
    Sample::empty().expect("BOOT-04", NotApplicable);
    Sample::empty().with("proc/cmdline/x", "").expect("BOOT-04", Unknown);
}

#[test]
fn a_choice_for_one_boot_needs_a_block_that_grub_can_write() {
    let on = |kind: &str, number: &str| {
        grub("ro", "ro")
            .with("boot/grub/grubenv", "# GRUB Environment Block\n")
            .with("proc/self/mountinfo", &format!("22 1 {number} / / rw - {kind} /dev/x rw\n"))
    };
    on("ext4", "8:1").expect("BOOT-05", Good);
    on("btrfs", "0:40").expect("BOOT-05", Warn);
    on("ext4", "9:0").with("sys/dev/block/9:0/md/level", "raid1").expect("BOOT-05", Warn);
    on("ext4", "8:1").without("boot/grub/grubenv").expect("BOOT-05", Bad);
    on("ext4", "8:1").with("boot/grub/grubenv", "garbage").expect("BOOT-05", Unknown);
    Sample::empty().expect("BOOT-05", NotApplicable);

    let entry = |name: &str| format!("efi/loader/entries/{name}.conf");
    let systemd = || Sample::empty().with("efi/EFI/systemd/systemd-bootx64.efi", "");
    systemd().with(&entry("a"), "linux /a\n").expect("BOOT-05", Warn);
    systemd()
        .with(&entry("a"), "linux /a\n")
        .with(&entry("b"), "linux /b\n")
        .expect("BOOT-05", Good);
    systemd().with(&entry("a"), "title no kernel\n").expect("BOOT-05", Bad);

    let deployment = |name: &str| format!("boot/loader/entries/{name}.conf");
    let ostree = || Sample::empty().with("run/ostree-booted", "");
    ostree().with(&deployment("a"), "linux /a\n").expect("BOOT-05", Warn);
    ostree()
        .with(&deployment("a"), "linux /a\n")
        .with(&deployment("b"), "linux /b\n")
        .expect("BOOT-05", Good);
    ostree().with(&deployment("a"), "title no kernel\n").expect("BOOT-05", Bad);
}

#[test]
fn one_parameter_has_one_value() {
    let line = |line: &str| Sample::empty().with("proc/cmdline", line);
    line("isolcpus=2-3 quiet").expect("BOOT-06", Good);
    line("isolcpus=2-3 isolcpus=2-3").expect("BOOT-06", Good);
    line("console=tty0 console=ttyS0 hugepages=1 hugepages=2").expect("BOOT-06", Good);
    line("rd.lvm.lv=a rd.lvm.lv=b").expect("BOOT-06", Good);
    let bad = line("isolcpus=2-3 isolcpus=4-5").expect("BOOT-06", Bad);
    assert_eq!(bad.seen, "isolcpus: 2-3 and 4-5 (now)");
    line("nohz-full=2 nohz_full=3").expect("BOOT-06", Bad);
    grub("skew_tick=1 skew_tick=0", "ro").expect("BOOT-06", Bad);
    Sample::empty().expect("BOOT-06", NotApplicable);
    Sample::empty().with("proc/cmdline/x", "").expect("BOOT-06", Unknown);
}

#[test]
fn an_old_kernel_lacks_what_isolation_needs() {
    let release = |text: &str| Sample::empty().with("proc/sys/kernel/osrelease", text);
    release("6.12.41-amd64").expect("BOOT-07", Good);
    release("6.7.0").expect("BOOT-07", Good);
    release("6.6.0").expect("BOOT-07", Warn);
    release("5.6.0").expect("BOOT-07", Warn);
    assert_eq!(release("5.5.9").expect("BOOT-07", Bad).details.len(), 4);
    // A version has what came with it.
    assert_eq!(release("5.6.0").expect("BOOT-07", Warn).details.len(), 3);
    assert_eq!(release("6.8.0").expect("BOOT-07", Good).details.len(), 0);
    release("mainline").expect("BOOT-07", Unknown);
    Sample::empty().expect("BOOT-07", NotApplicable);
}

#[test]
fn a_guest_is_a_warning_and_stolen_time_is_bad() {
    let guest = |stolen: u64| {
        let text = format!("cpu  {} 0 0 0 0 0 0 {stolen} 0 0\n", 10_000 - stolen);
        Sample::empty().processor(true).with("proc/stat", &text)
    };
    Sample::empty().processor(false).expect("VIRT-01", Good);
    guest(0).expect("VIRT-01", Warn);
    // A thousandth is 10 of 10 000.
    guest(10).expect("VIRT-01", Warn);
    guest(11).expect("VIRT-01", Bad);
    let measured = |steal: u64| {
        let time = CpuTime { user: 1000 - steal, steal, ..CpuTime::default() };
        let cpu_times = Fact::Is(BTreeMap::from([(CpuId::new(0).unwrap(), time)]));
        Measured { cpu_times, ..quiet() }
    };
    guest(5000).measured(measured(0)).expect("VIRT-01", Warn);
    guest(0).measured(measured(2)).expect("VIRT-01", Bad);
    Sample::empty().processor(true).with("proc/stat", "nothing").expect("VIRT-01", Unknown);
    Sample::empty().expect("VIRT-01", NotApplicable);
}
