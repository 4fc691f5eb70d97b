use std::collections::BTreeMap;

use config::CpuId;

use super::*;
use crate::{
    Measured,
    Verdict::*,
    checks::testing::{Fake, quiet_seconds, table},
    measured::ThreadActivity,
};

fn task(fake: Fake, id: u32, name: &str, flags: u32, cpus: &str) -> Fake {
    let stat = format!(
        "{id} ({name}) S 1 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 \
         0 0 0 0 0 0 0 0 0"
    );
    let status = format!(
        "Name:\t{name}\nTgid:\t{id}\nCpus_allowed_list:\t{cpus}\nvoluntary_ctxt_switches:\t1\n\
         nonvoluntary_ctxt_switches:\t1\n"
    );
    fake.file(&format!("proc/{id}/task/{id}/stat"), stat)
        .file(&format!("proc/{id}/task/{id}/status"), status)
}

/// `PF_KTHREAD` of `include/linux/sched.h`.
const KERNEL: u32 = 0x0020_0000;
const ENABLED: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const DEFRAG: &str = "sys/kernel/mm/transparent_hugepage/defrag";

#[test]
fn transparent_hugepages_are_for_those_who_ask() {
    table!(
        "MEM-08",
        [(ENABLED, "always madvise [never]")] => Good,
        [(ENABLED, "always [madvise] never")] => Good,
        [(ENABLED, "[always] madvise never")] => Bad,
        [(ENABLED, "[sometimes] never")] => Unknown,
        [(ENABLED, "always madvise never")] => Unknown,
        [] => NotApplicable,
    );
    let fix = Fake::new().file(ENABLED, "[always] madvise never").look("MEM-08").fix;
    assert!(matches!(&fix[..], [Change::Kernel { value, .. }] if value == "madvise"));
}

#[test]
fn nobody_waits_for_compaction_and_khugepaged_stays_away() {
    const CHOICES: &str = "always defer defer+madvise [madvise] never";
    table!(
        "MEM-09",
        [(DEFRAG, CHOICES)] => Good,
        [(DEFRAG, "always defer defer+madvise madvise [never]")] => Good,
        [(DEFRAG, "always [defer] defer+madvise madvise never")] => Warn,
        [(DEFRAG, "always defer [defer+madvise] madvise never")] => Warn,
        [(DEFRAG, "[always] defer defer+madvise madvise never")] => Bad,
        [(DEFRAG, "[always] never"), (ENABLED, "always [never]")] => Good,
        [(DEFRAG, "[other] never")] => Unknown,
        [] => NotApplicable,
    );
    let khugepaged = |cpus| task(Fake::new().file(DEFRAG, CHOICES), 40, "khugepaged", KERNEL, cpus);
    khugepaged("0-1").expect("MEM-09", Good);
    khugepaged("0-3").expect("MEM-09", Warn);
    khugepaged("0-3").undecided("why").expect("MEM-09", Unknown);
}

#[test]
fn equal_pages_are_not_looked_for() {
    const RUN: &str = "sys/kernel/mm/ksm/run";
    const UNIT: (&str, &str) = ("usr/lib/systemd/system/ksmtuned.service", "");
    const WANTED: (&str, &str) =
        ("etc/systemd/system/multi-user.target.wants/ksmtuned.service", "");
    table!(
        "MEM-10",
        [(RUN, "0")] => Good,
        [(RUN, "2")] => Good,
        [(RUN, "1")] => Bad,
        [(RUN, "0"), UNIT] => Good,
        [(RUN, "0"), UNIT, WANTED] => Warn,
        [(RUN, "9")] => Unknown,
        [] => NotApplicable,
    );
    let fix = Fake::new().files(&[(RUN, "1"), UNIT, WANTED]).look("MEM-10").fix;
    assert!(
        matches!(&fix[..], [Change::Unit { .. }, Change::Kernel { value, .. }] if value == "2"),
        "{fix:?}"
    );
}

#[test]
fn nodes_are_not_balanced() {
    const FILE: &str = "proc/sys/kernel/numa_balancing";
    table!("MEM-11", [(FILE, "0")] => Good, [(FILE, "1")] => Good, [] => NotApplicable);
    let two = |value: &str| {
        Fake::new()
            .file(FILE, value)
            .file("sys/devices/system/node/online", "0-1")
            .file("sys/devices/system/node/node0/cpulist", "0-1")
            .file("sys/devices/system/node/node1/cpulist", "2-3")
    };
    two("0").expect("MEM-11", Good);
    assert_eq!(two("1").expect("MEM-11", Bad).fix, [sysctl("kernel.numa_balancing", 0)]);
    two("2").expect("MEM-11", Warn);
    two("x").expect("MEM-11", Unknown);
}

#[test]
fn memory_of_a_full_node_is_not_reclaimed_first() {
    const FILE: &str = "proc/sys/vm/zone_reclaim_mode";
    table!(
        "MEM-12",
        [(FILE, "0")] => Good,
        [(FILE, "1")] => Warn,
        [(FILE, "x")] => Unknown,
        [] => NotApplicable,
    );
}

const SWAPS: &str = "proc/swaps";
const HEADING: &str = "Filename Type Size Used Priority\n";
const ONE: &str = "Filename Type Size Used Priority\n/swapfile file 4096 2048 -2\n";

#[test]
fn swap_that_is_read_back_is_bad() {
    table!(
        "MEM-13",
        [(SWAPS, HEADING)] => Good,
        [(SWAPS, ONE)] => Warn,
        [(SWAPS, "rubbish")] => Unknown,
        [] => NotApplicable,
    );
    let read_back = |pages: u64| {
        let vmstat = Fact::Is(BTreeMap::from([("pswpin".to_owned(), pages)]));
        Fake::new().file(SWAPS, ONE).measured(Measured { vmstat, ..quiet_seconds() })
    };
    read_back(0).expect("MEM-13", Warn);
    read_back(1).expect("MEM-13", Bad);
    let advice = |available: &str| {
        let meminfo = format!("MemTotal: 9999 kB\nMemAvailable: {available} kB\n");
        let finding = Fake::new().file(SWAPS, ONE).file("proc/meminfo", meminfo).look("MEM-13");
        assert!(finding.fix.is_empty());
        finding.advice.unwrap()
    };
    assert!(advice("2049").contains("is possible"));
    assert!(advice("2048").contains("would run out"));
}

#[test]
fn swappiness_only_counts_with_swap() {
    const FILE: &str = "proc/sys/vm/swappiness";
    table!(
        "MEM-14",
        [(FILE, "10"), (SWAPS, ONE)] => Good,
        [(FILE, "11"), (SWAPS, ONE)] => Warn,
        [(FILE, "60"), (SWAPS, HEADING)] => Good,
        [(FILE, "60")] => Warn,
        [(FILE, "x")] => Unknown,
        [] => NotApplicable,
    );
}

#[test]
fn memory_is_not_compacted_in_advance() {
    const FILE: &str = "proc/sys/vm/compaction_proactiveness";
    table!(
        "MEM-15",
        [(FILE, "0")] => Good,
        [(FILE, "1")] => Warn,
        [(FILE, "x")] => Unknown,
        [] => NotApplicable,
    );
    assert!(Fake::new().file(FILE, "20").look("MEM-15").is_proposed);
}

#[test]
fn workers_take_no_page_faults() {
    let with = |process: u32, name: &str, minor_faults: u64, major_faults: u64| {
        let activity = ThreadActivity {
            process,
            thread: process + 1,
            name: name.to_owned(),
            is_kernel: false,
            last_cpu: CpuId::new(2).unwrap(),
            voluntary: None,
            involuntary: None,
            minor_faults,
            major_faults,
            ticks: 0,
        };
        let threads = Fact::Is(vec![activity]);
        task(Fake::new(), 9, "barewired", 0, "0-3")
            .measured(Measured { threads, ..quiet_seconds() })
    };

    with(9, "bw-worker-0", 0, 0).expect("MEM-17", Good);
    with(9, "bw-worker-0", 1, 0).expect("MEM-17", Warn);
    let bad = with(9, "bw-worker-0", 0, 1).expect("MEM-17", Bad);
    assert_eq!(bad.details, ["bw-worker-0: 0 minor, 1 major"]);
    // Not a worker; not of the daemon.
    with(9, "bw-control", 5, 5).expect("MEM-17", Good);
    with(8, "bw-worker-0", 5, 5).expect("MEM-17", Good);
    Fake::new().measured(quiet_seconds()).expect("MEM-17", NotApplicable);
    task(Fake::new(), 9, "barewired", 0, "0-3").expect("MEM-17", NotApplicable);
}

#[test]
fn the_number_of_mappings_is_only_ever_raised() {
    const FILE: &str = "proc/sys/vm/max_map_count";
    table!(
        "MEM-18",
        [(FILE, "65530")] => Good,
        [(FILE, "65529")] => Warn,
        [(FILE, "1048576")] => Good,
        [(FILE, "-1")] => Unknown,
        [(FILE, "x")] => Unknown,
        [] => NotApplicable,
    );
    let used = |maps: u64, verdict| {
        let limit = serde_json::json!({ "is": null });
        let answer = serde_json::json!([{ "id": 9, "maps": { "is": maps }, "may_lock": limit }]);
        Fake::new()
            .file(FILE, "100000")
            .answer("memory/daemons", &Fact::Is(answer))
            .expect("MEM-18", verdict)
    };
    used(79_999, Good);
    assert_eq!(used(80_000, Warn).fix, [sysctl("vm.max_map_count", 200_000)]);
    used(99_999, Warn);
    used(100_000, Bad);
}

#[test]
fn dirty_pages_are_shown_and_not_judged() {
    const RATIO: &str = "proc/sys/vm/dirty_ratio";
    const BACKGROUND: &str = "proc/sys/vm/dirty_background_ratio";
    table!(
        "MEM-20",
        [(RATIO, "20"), (BACKGROUND, "10")] => Info,
        [(RATIO, "1"), (BACKGROUND, "99")] => Info,
        [(RATIO, "\0"), (BACKGROUND, "10")] => Unknown,
        [(RATIO, "20")] => NotApplicable,
        [] => NotApplicable,
    );
}
