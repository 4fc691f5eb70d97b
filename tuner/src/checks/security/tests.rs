use crate::{
    Verdict::{Good, Info, NotApplicable, Unknown, Warn},
    checks::sample::Sample,
};

const DIR: &str = "sys/devices/system/cpu/vulnerabilities";

#[test]
fn mitigations_and_threads_are_listed_and_never_judged() {
    let machine = Sample::empty()
        .with(&format!("{DIR}/mds"), "Mitigation: Clear CPU buffers; SMT vulnerable")
        .with(&format!("{DIR}/spectre_v2"), "Vulnerable")
        .with("proc/cmdline", "ro mitigations=off")
        .with("sys/devices/system/cpu/smt/control", "on");
    let seen = machine.expect("SEC-01", Info);
    assert_eq!(seen.seen, "open: spectre_v2, mitigations=off");
    assert!(seen.fix.is_empty());
    assert_eq!(machine.expect("SEC-02", Info).seen, "on; vulnerable with it: mds");

    Sample::empty().expect("SEC-01", NotApplicable);
    Sample::empty().expect("SEC-02", NotApplicable);
    Sample::empty().with(&format!("{DIR}/mds/deep"), "").expect("SEC-01", Unknown);
}

#[test]
fn packet_filters_are_listed() {
    let machine = Sample::empty()
        .with("proc/net/ip_tables_names", "nat\nfilter\n")
        .with("sys/module/nf_tables/refcnt", "3");
    assert_eq!(machine.expect("SEC-03", Info).seen, "nftables, iptables (filter, nat)");
    assert_eq!(Sample::empty().expect("SEC-03", Info).seen, "none is loaded");
    Sample::empty().with("proc/net/ip_tables_names/x", "").expect("SEC-03", Unknown);
}

#[test]
fn what_is_switched_off_is_a_warning_in_our_own_file_only() {
    let booted = |line: &str| Sample::empty().with("proc/cmdline", line);
    booted("ro quiet").expect("SEC-04", Good);
    booted("ro audit=1").expect("SEC-04", Good);
    for line in ["audit=0", "selinux=0", "enforcing=0", "apparmor=0", "audit=off"] {
        assert!(booted(line).expect("SEC-04", Info).fix.is_empty());
    }
    let menu = |file: &str, word: &str| {
        booted("audit=0").with("boot/grub/grub.cfg", "").with(
            &format!("etc/default/grub.d/{file}"),
            &format!("GRUB_CMDLINE_LINUX=\"{word}\"\n"),
        )
    };
    menu("zz-90-barewire.cfg", "audit=0").expect("SEC-04", Warn);
    menu("zz-90-barewire.cfg", "quiet").expect("SEC-04", Info);
    menu("50-theirs.cfg", "audit=0").expect("SEC-04", Info);
    Sample::empty().expect("SEC-04", NotApplicable);
}
